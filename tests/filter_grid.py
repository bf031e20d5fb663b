"""Many filter designs, each as scipy computes it in float64, and how exact the core and its peer are.

`python -m tests.filter_grid` measures them all and writes the table into docs/filters.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge import Filter, PathRunner
from tests.core_paths import path_of, sections_of
from train.filter_design import Design, design

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DOCUMENT = Path(__file__).parent.parent / "docs" / "filters.md"
MARKS = ("<!-- table: python -m tests.filter_grid -->", "<!-- end of table -->")
LEVELS = (1.0, 1e-3)
"""Of the white noise, relative to full scale of 24 bits."""


class Case(NamedTuple):
    """One design: filters, and samples per second before them."""

    fs_hz: float
    filters: tuple[Filter, ...]

    def __str__(self) -> str:
        return f"{' + '.join(map(_words, self.filters))} at {self.fs_hz:g} Hz"


def _words(f: Filter) -> str:
    order = f.order or (4 if f.family in ("chebyshev2", "elliptic") else 2)
    extra = {
        "notch": f", {f.harmonics} harmonics" if f.harmonics else "",
        "decimate": "",
    }.get(f.kind, "" if f.family == "fir" else f", order {order}")
    return f"{f}{extra}"


def _case(fs_hz: float, *filters: Filter) -> Case:
    return Case(fs_hz, filters)


def _band(low: float, high: float, order: int) -> Filter:
    return Filter("bandpass", (low, high), order)


def _high(edge: float, order: int = 2) -> Filter:
    return Filter("highpass", (edge,), order)


_MAINS = Filter("notch", (50.0,))

EEG = [
    *(_case(fs, _high(0.5)) for fs in (125.0, 250.0, 500.0, 1000.0)),
    *(_case(fs, _high(0.1)) for fs in (250.0, 500.0, 1000.0)),
    _case(250.0, _high(0.5, 4)),
    _case(500.0, _high(0.1, 4)),
    _case(125.0, _band(0.5, 40, 2)),
    *(_case(fs, _band(0.5, 40, 4)) for fs in (250.0, 500.0, 1000.0)),
    _case(250.0, _band(0.5, 40, 6)),
    _case(250.0, _band(0.5, 40, 8)),
    _case(125.0, _band(1, 30, 2)),
    _case(250.0, _band(1, 30, 4)),
    _case(500.0, _band(1, 30, 8)),
    _case(250.0, _band(8, 13, 2)),
    *(_case(fs, _band(8, 13, 4)) for fs in (125.0, 250.0, 1000.0)),
    _case(250.0, _band(8, 13, 8)),
    _case(250.0, _MAINS),
    _case(500.0, Filter("notch", (60.0,), harmonics="all")),
    _case(1000.0, Filter("notch", (50.0,), q=35.0, harmonics="all")),
    _case(250.0, _high(0.5), _MAINS, Filter("lowpass", (35.0,), 4)),
    _case(250.0, Filter("lowpass", (40.0,), 8, family="chebyshev2")),
    _case(250.0, Filter("lowpass", (40.0,), 8, family="elliptic")),
    _case(1000.0, Filter("lowpass", (40.0,), 5, family="elliptic", stop_db=80.0, ripple_db=0.5)),
    _case(250.0, Filter("lowpass", (35.0,), 4, family="bessel")),
    _case(500.0, Filter("lowpass", (5.0,), 8, family="bessel")),
    _case(500.0, Filter("bandpass", (1.0, 30.0), 6, family="chebyshev2", stop_db=40.0)),
    _case(250.0, Filter("bandpass", (0.5, 40.0), 4, family="elliptic")),
    _case(250.0, Filter("bandstop", (45.0, 55.0), 4)),
    _case(250.0, Filter("lowpass", (40.0,), family="fir")),
    _case(250.0, Filter("bandpass", (1.0, 30.0), family="fir", stop_db=50.0)),
    _case(125.0, Filter("highpass", (0.5,), family="fir", taps=501)),
    _case(1000.0, Filter("decimate", factor=4), _band(0.5, 40, 4)),
    _case(500.0, Filter("decimate", family="elliptic", factor=2), _high(0.1)),
    _case(1000.0, Filter("decimate", (40.0,), 8, family="chebyshev2", factor=8)),
]
EMG = [
    *(_case(fs, _band(20, 450, 4)) for fs in (1000.0, 2000.0)),
    _case(2000.0, _band(20, 450, 8)),
    _case(200.0, _band(20, 95, 4)),
    *(_case(fs, _high(10)) for fs in (200.0, 1000.0, 2000.0)),
    _case(1000.0, _high(20, 4)),
    _case(2000.0, _high(0.1)),
    _case(1000.0, _band(20, 450, 4), Filter("notch", (50.0,), harmonics="all")),
    _case(2000.0, _band(20, 450, 4), Filter("notch", (50.0,), harmonics="all")),
    _case(2000.0, _band(20, 450, 4), Filter("notch", (60.0,), q=20.0, harmonics=7)),
    _case(1000.0, Filter("envelope", (5.0,))),
    _case(1000.0, _band(20, 450, 4), Filter("envelope", (3.0,), 4)),
    _case(2000.0, _band(20, 450, 4), _MAINS, Filter("envelope", (6.0,), family="bessel")),
    _case(
        1000.0, _high(20, 4), Filter("envelope", (10.0,)), Filter("decimate", family="elliptic", factor=10)
    ),
    _case(2000.0, Filter("decimate", factor=2), _band(20, 450, 4)),
    _case(1000.0, _high(20), Filter("envelope", (5.0,), family="fir"), Filter("decimate", factor=20)),
]
GRID = [*EEG, *EMG]


def sos_of_filter(f: Filter, fs_hz: float) -> Floats:
    """One recursive filter as scipy designs it, by itself: nothing of the designer is used."""
    options: dict[str, Any] = {"fs": fs_hz, "output": "sos"}
    if f.kind == "notch":
        below_nyquist = math.ceil(fs_hz / 2 / f.edges_hz[0]) - 1
        count = below_nyquist if f.harmonics == "all" else f.harmonics or 1
        rows = [signal.iirnotch(k * f.edges_hz[0], f.q or 30, fs_hz) for k in range(1, count + 1)]
        return np.concatenate([signal.tf2sos(b, a) for b, a in rows])
    kind = {"envelope": "lowpass", "decimate": "lowpass"}.get(f.kind, f.kind)
    edges = f.edges_hz if len(f.edges_hz) == 2 else f.edges_hz[0]
    stop, ripple = f.stop_db or 60, f.ripple_db or 0.1
    match f.family:
        case "chebyshev2":
            return np.asarray(signal.cheby2(f.order or 4, stop, edges, kind, **options))
        case "elliptic":
            return np.asarray(signal.ellip(f.order or 4, ripple, stop, edges, kind, **options))
        case "bessel":
            return np.asarray(signal.bessel(f.order or 2, edges, kind, norm="mag", **options))
    return np.asarray(signal.butter(f.order or 2, edges, kind, **options))


def _taps_of_filter(f: Filter, fs_hz: float) -> Floats:
    stop = f.stop_db or 60
    if f.kind == "decimate":
        assert f.factor is not None
        rate = fs_hz / f.factor
        edge = f.edges_hz[0] if f.edges_hz else 0.4 * rate
        cuts, kind, width = [rate / 2], "lowpass", rate - 2 * edge
    else:
        cuts, kind = list(f.edges_hz), "lowpass" if f.kind == "envelope" else f.kind
        width = float(np.min(np.diff([0, *cuts, fs_hz / 2]))) / 2
    taps, beta = signal.kaiserord(stop, width / (fs_hz / 2))
    odd = f.taps or taps + 1 - taps % 2
    return np.asarray(signal.firwin(odd, cuts, window=("kaiser", beta), pass_zero=kind, fs=fs_hz))


def oracle(case: Case, counts: Ints) -> Floats:
    """Filter counts [n, channels] in float64."""
    values, fs_hz = counts.astype(np.float64), case.fs_hz
    for f in case.filters:
        if f.kind == "envelope":
            values = np.abs(values)
        if f.family == "fir" or (f.kind == "decimate" and f.family is None):
            values = signal.lfilter(_taps_of_filter(f, fs_hz), 1.0, values, axis=0)
        elif f.kind == "decimate":
            values = signal.sosfilt(_anti_alias(f, fs_hz), values, axis=0)
        else:
            values = signal.sosfilt(sos_of_filter(f, fs_hz), values, axis=0)
        if f.factor:
            values, fs_hz = values[:: f.factor], fs_hz / f.factor
    return values


def _anti_alias(f: Filter, fs_hz: float) -> Floats:
    """The lowest order that passes the pass-band within 3 dB and attenuates what folds into it."""
    assert f.factor is not None
    edge = f.edges_hz[0] if f.edges_hz else 0.4 * fs_hz / f.factor
    stop = fs_hz / f.factor - edge
    orders = [f.order] if f.order else range(1, 9)
    for order in orders:
        at = stop if f.family == "chebyshev2" else edge
        sos = sos_of_filter(Filter("lowpass", (at,), order, family=f.family), fs_hz)
        gains = np.abs(signal.sosfreqz(sos, [edge, *np.linspace(stop, fs_hz / 2, 500)], fs=fs_hz)[1])
        if gains[0] > 0.706 and gains[1:].max() < 10 ** (-(f.stop_db or 60) / 20) * 1.001:
            return sos
    raise AssertionError("no order does")


def is_one_cascade(case: Case) -> bool:
    """Whether the design is recursive sections and nothing else: what the peer can run."""
    return all(f.kind not in ("decimate", "envelope") and f.family != "fir" for f in case.filters)


def run(d: Design, counts: Ints) -> NDArray[np.int32]:
    """Filter 24-bit counts [n, channels] with the core."""
    return PathRunner(path_of(d.stages, shift=d.shift, channels=counts.shape[1])).filter(counts)


def noise(case: Case, level: float) -> Ints:
    """White noise of 24 bits, [n, 1]: 40 s, at least 40,000 samples."""
    count = int(max(40 * case.fs_hz, 40_000))
    values = np.random.default_rng(2).uniform(-1, 1, (count, 1)) * (2**23 - 1) * level
    return np.asarray(np.round(values), np.int64)


def decibels(reference: Floats, error: Floats) -> float:
    """Signal to error."""
    return float(10 * np.log10(np.sum(reference**2) / np.sum(error**2)))


def ours_db(case: Case, d: Design) -> tuple[float, ...]:
    """Signal to error of the core at both levels."""
    return tuple(_ours_db(case, d, level) for level in LEVELS)


def _ours_db(case: Case, d: Design, level: float) -> float:
    counts = noise(case, level)
    exact = oracle(case, counts)
    return decibels(exact, run(d, counts) / 2.0**d.shift - exact)


def peer_db(case: Case) -> tuple[float, ...]:
    """Signal to error of CMSIS-DSP's exact biquads at both levels."""
    from tests.cmsis_peer import peer_cascade

    sos = np.concatenate([sos_of_filter(f, case.fs_hz) for f in case.filters])
    figures = []
    for level in LEVELS:
        counts = noise(case, level)
        exact = signal.sosfilt(sos, counts[:, 0].astype(np.float64))
        figures.append(decibels(exact, peer_cascade(sos, counts[:, 0]) - exact))
    return tuple(figures)


def table(cases: Sequence[Case]) -> str:
    """Measure all and write a table in Markdown."""
    lines = [
        "| design | rate, Hz | sections | taps | ours, 0 / -60 dB | CMSIS-DSP, 0 / -60 dB |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for case in cases:
        d = design(case.filters, case.fs_hz, 24)
        taps = sum(len(getattr(stage, "weights", ())) for stage in d.stages)
        peer = " / ".join(f"{v:.1f}" for v in peer_db(case)) if is_one_cascade(case) else ""
        ours = " / ".join(f"{v:.1f}" for v in ours_db(case, d))
        sections = len(sections_of(d.stages))
        name = " + ".join(map(_words, case.filters))
        lines.append(f"| {name} | {case.fs_hz:g} | {sections or ''} | {taps or ''} | {ours} | {peer} |")
    return "\n".join(lines)


def main() -> None:
    """Put the table between its marks in docs/filters.md."""
    text = DOCUMENT.read_text()
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    DOCUMENT.write_text(f"{before}{MARKS[0]}\n{table(GRID)}\n{MARKS[1]}{after}")


if __name__ == "__main__":
    main()
