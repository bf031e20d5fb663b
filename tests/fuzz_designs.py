"""Random lists of filters through the designer and the core: `python -m tests.fuzz_designs --seconds 300`.

A list is either refused with a reason or gives a path that the core runs without saturating, whatever the
input, with the integers of a model in Python's unbounded ones, close to float64.
"""

import argparse
import itertools
import math
import sys
import time
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge import Cascade, Filter, Fir, InnervateError, Mix, PathRunner, Stage
from edge.filters import Family, Kind
from tests.core_paths import path_of
from tests.test_core_stage import model
from train.filter_design import design

Ints = NDArray[np.int64]

RATES_HZ = (125.0, 200.0, 250.0, 500.0, 1000.0, 2000.0, 4000.0)
FAMILY_FIELDS = {
    "butterworth": ("order",),
    "bessel": ("order",),
    "chebyshev2": ("order", "stop_db"),
    "elliptic": ("order", "stop_db", "ripple_db"),
    "fir": ("taps", "stop_db"),
}
EXACT_SAMPLES = 120
"""As far as the slow model is followed."""

SAMPLES_MAX = 200_000
LEAST_DB = 117.0
"""Signal to rounding error for noise at full scale: 120 dB are promised, a short record may give less."""


class DesignFuzzError(AssertionError):
    """A design that does not do what it should."""


def random_filter(rng: np.random.Generator, fs_hz: float) -> Filter:
    """Anything that a task file might hold: sensible, extreme, at times impossible."""
    kind = str(rng.choice(get_args(Kind)))
    low, high = np.sort(np.exp(rng.uniform(np.log(3e-4), np.log(0.51), 2))) * fs_hz
    one = low if rng.random() < 0.5 else high
    edges = (float(low), float(high)) if kind.startswith("band") else (float(one),)
    fields: dict[str, Any] = {"kind": kind, "edges_hz": edges}
    if kind == "notch":
        some = {"q": float(rng.uniform(0.3, 60)), "harmonics": int(rng.integers(1, 5))}
    else:
        family = str(rng.choice(get_args(Family)))
        all_of_it = {
            "order": int(rng.integers(1, 9)),
            "stop_db": float(rng.uniform(20, 90)),
            "ripple_db": float(rng.uniform(0.01, 1)),
            "taps": int(rng.integers(1, 100)) * 2 + 1,
        }
        fields["family"] = family
        some = {name: value for name, value in all_of_it.items() if name in FAMILY_FIELDS[family]}
        if kind == "decimate":
            fields |= {"factor": int(rng.integers(2, 12)), "edges_hz": ()}
    fields |= {name: value for name, value in some.items() if rng.random() < 0.5}
    return Filter(**fields)


def signals(rng: np.random.Generator, bits: int, samples: int) -> Ints:
    """Full-scale noise, a full-scale square wave of any period, a step; int64 [samples, 3]."""
    top = 2 ** (bits - 1)
    square = np.where(np.arange(samples) // rng.integers(1, 100) % 2, top - 1, -top)
    return np.stack([rng.integers(-top, top, samples), square, np.full(samples, -top)], axis=1)


def in_float64(stages: tuple[Stage, ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same stages without any rounding but float64's, [samples, channels]."""
    for stage in stages:
        if isinstance(stage, Cascade):
            x = signal.sosfilt([section.coefficients() for section in stage.sections], x, axis=0)
        elif isinstance(stage, Fir):
            x = signal.lfilter(np.array(stage.weights) / 2.0**30, 1.0, x, axis=0)[:: stage.factor]
        elif isinstance(stage, Mix):
            x = x @ (np.array(stage.weights, np.float64).T / 2.0**stage.right_shift)
        else:
            x = np.abs(x)
    return x


def check(seed: int) -> bool:
    """Design, run and compare once. Returns whether the list was accepted.

    Raises:
        DesignFuzzError: what went wrong, with the filters.
    """
    rng = np.random.default_rng(seed)
    fs_hz = float(rng.choice(RATES_HZ))
    bits = int(rng.choice([8, 10, 12, 16, 24]))
    filters = [random_filter(rng, fs_hz) for _ in range(rng.integers(1, 4))]
    what = f"seed {seed}: {filters} at {fs_hz:g} Hz, {bits} bits"
    try:
        found = design(filters, fs_hz, bits)
    except InnervateError:
        return False
    except Exception as error:
        raise DesignFuzzError(f"{what}: {type(error).__name__}: {error}") from error
    if not (np.isfinite(found.group_delay_ms) and found.group_delay_ms >= 0 and found.settle >= 0):
        raise DesignFuzzError(f"{what}: a group delay of {found.group_delay_ms} ms")
    decimation = math.prod(stage.decimation for stage in found.stages)
    wanted = 2000 + 5 * found.settle * decimation
    samples = min(wanted, SAMPLES_MAX)
    counts = signals(rng, bits, samples)
    path = path_of(found.stages, bits=bits, shift=found.shift, channels=counts.shape[1])
    try:
        runner = PathRunner(path)
    except InnervateError as refusal:
        raise DesignFuzzError(f"{what}: the core cannot run it: {refusal}") from refusal
    cuts = [0, *np.sort(rng.integers(0, samples, 3)).tolist(), samples]
    got = np.concatenate([runner.filter(counts[a:b]) for a, b in itertools.pairwise(cuts)])
    if np.abs(got.astype(np.int64)).max() >= 2**31 - 1:
        raise DesignFuzzError(f"{what}: saturates")
    rows = (counts[:EXACT_SAMPLES] << found.shift).tolist()
    for stage in found.stages:
        rows = model(stage, rows)
    if got[: len(rows)].tolist() != rows:
        raise DesignFuzzError(f"{what}: other integers than the model's")
    # Once it has settled, noise is what the designer's promise is about.
    exact = in_float64(found.stages, counts[:, :1] * 2.0**found.shift)[len(got) // 2 :, 0]
    off = got[len(got) // 2 :, 0] - exact
    reached = 10 * np.log10(np.sum(exact**2) / np.sum(off**2)) if np.any(off) else math.inf
    if samples == wanted and not reached >= LEAST_DB:
        raise DesignFuzzError(f"{what}: noise comes out {reached:.1f} dB above the rounding errors")
    return True


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_designs", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--seed", type=int, default=time.time_ns() // 10**9 * 10**4, help="of the first list")
    options = parser.parse_args()
    end = time.monotonic() + options.seconds
    accepted = tried = 0
    while time.monotonic() < end:
        try:
            accepted += check(options.seed + tried)
        except DesignFuzzError as error:
            print(error, file=sys.stderr)
            return 1
        tried += 1
    print(f"{tried} lists of filters, {accepted} accepted")
    return 0


if __name__ == "__main__":
    sys.exit(main())
