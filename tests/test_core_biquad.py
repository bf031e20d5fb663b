"""The filter cascade: exact against Python integers, close to float64, never overflowing, never cycling."""

import itertools
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from edge import Cascade, Filter, PathRunner, Section
from edge.core.build_binding import CORE
from edge.firmware.bench.emulator import available
from edge.firmware.bench.filter_bench import SECTION_WORDS, Form, Job, run_cascades
from tests.core_paths import path_of, sections_of
from train.filter_design import Design, design
from train.filter_proof import impulse_response, prove, sos_of

Ints = NDArray[np.int64]

# ANCHORS of the field: CMSIS-DSP 1.10.3 arm_biquad_cascade_df1_32x64_q31 against float64 sosfilt, signal to
# error in dB for 24-bit white noise at full scale and 60 dB below. Band-passes have 8 poles.
PEER_DB = [
    (Filter("highpass", (0.5,), 2), 250.0, 160.1, 114.7),
    (Filter("bandpass", (0.5, 40.0), 4), 250.0, 131.8, 101.5),
    (Filter("highpass", (0.1,), 2), 500.0, 126.2, 114.5),
    (Filter("bandpass", (0.5, 40.0), 4), 1000.0, 101.1, 80.0),
    (Filter("bandpass", (8.0, 13.0), 4), 250.0, 112.5, 63.1),
    (Filter("notch", (50.0,), q=30.0), 1000.0, 168.7, 114.6),
    (Filter("bandpass", (20.0, 450.0), 4), 1000.0, 164.6, 110.6),
    (Filter("highpass", (10.0,), 2), 2000.0, 140.3, 114.6),
]


def run(d: Design, counts: Ints, bits: int = 24) -> NDArray[np.int32]:
    path = path_of(d.stages, bits=bits, shift=d.shift, channels=counts.shape[1])
    return PathRunner(path).filter(counts)


def model(sections: tuple[Section, ...], samples: list[int]) -> list[int]:
    """One channel in Python's unbounded integers, from the formulas in biquad.h."""
    for s in sections:
        w1, w2 = s.weights
        x1 = x2 = y1 = y2 = e1 = e2 = 0
        out = []
        for x0 in samples:
            acc = (wrapped(s.b[0] * x0 + s.b[1] * x1 + s.b[2] * x2) >> s.b_shift) + w1 * e1 + w2 * e2
            acc += -s.a[0] * y1 - s.a[1] * y2 + (-s.a_low[0] * y1 >> 16) + (-s.a_low[1] * y2 >> 16)
            acc = wrapped(acc)
            high = max(-(1 << 31), min((1 << 31) - 1, (acc >> 32) * 4))
            y0 = min((1 << 31) - 1, high + (acc % (1 << 32) + (1 << 29) >> 30))
            e0 = (acc - ((acc + (1 << 29)) >> 30 << 30)) >> 6
            x2, x1, y2, y1, e2, e1 = x1, x0, y1, y0, e1, e0
            out.append(y0)
        samples = out
    return samples


def wrapped(value: int) -> int:
    """Modulo 2^64, from -2^63."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


coefficient = st.integers(-(2**31) + 1, 2**31 - 1)
low_bits = st.integers(-32767, 32768)
weight_pair = st.tuples(st.integers(-128, 128), st.integers(-64, 64))


@st.composite
def wild_section(draw: st.DrawFn) -> Section:
    """Any section the format can hold, stable or not: saturation must match, too."""
    return Section(
        b=(draw(coefficient), draw(coefficient), draw(coefficient)),
        a=(draw(coefficient), draw(coefficient)),
        weights=draw(weight_pair),
        a_low=draw(st.just((0, 0)) | st.tuples(low_bits, low_bits)),
        b_shift=draw(st.sampled_from([0, 8, 16])),
    )


@st.composite
def real_filter(draw: st.DrawFn) -> Filter:
    low = draw(st.floats(0.002, 0.15))
    high = draw(st.floats(0.2, 0.48))
    order = draw(st.integers(1, 4))
    kind = draw(st.sampled_from(["highpass", "lowpass", "bandpass", "notch"]))
    edges = {"highpass": (low,), "lowpass": (high,), "bandpass": (low, high), "notch": (low + 0.05,)}[kind]
    if kind == "notch":
        return Filter("notch", edges, q=draw(st.floats(2, 50)))
    return Filter(kind, edges, order)  # type: ignore[arg-type]


def chunked(runner: PathRunner, counts: Ints, cuts: list[int]) -> NDArray[np.int32]:
    bounds = [0, *sorted(c % (len(counts) + 1) for c in cuts), len(counts)]
    return np.concatenate([runner.filter(counts[a:b]) for a, b in itertools.pairwise(bounds)])


@settings(max_examples=150, deadline=None)
@given(
    sections=st.lists(wild_section(), min_size=0, max_size=3).map(tuple),
    bits=st.integers(8, 24),
    # One by one, and by fours and eights where the processor can.
    channels=st.sampled_from([1, 3, 4, 7, 13]),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 40), max_size=4),
)
def test_any_coefficients_give_the_integers_of_the_model(
    sections: tuple[Section, ...], bits: int, channels: int, seed: int, cuts: list[int]
) -> None:
    shift = 32 - bits
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1)
    rng = np.random.default_rng(seed)
    counts = rng.integers(low, high, (40, channels))
    counts = np.where(rng.random(counts.shape) < 0.2, rng.choice([low, high - 1], counts.shape), counts)
    stages = (Cascade(sections),) if sections else ()
    got = chunked(PathRunner(path_of(stages, bits=bits, shift=shift, channels=channels)), counts, cuts)
    for c in range(channels):
        assert got[:, c].tolist() == model(sections, [v << shift for v in counts[:, c].tolist()])


@settings(max_examples=60, deadline=None)
@given(f=real_filter(), bits=st.sampled_from([8, 12, 16, 24]), cuts=st.lists(st.integers(0, 400), max_size=6))
def test_any_design_in_any_chunks_gives_the_integers_of_the_model(
    f: Filter, bits: int, cuts: list[int]
) -> None:
    d = design([f], 1.0, bits)
    counts = np.random.default_rng(1).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (400, 1))
    runner = PathRunner(path_of(d.stages, bits=bits, shift=d.shift))
    got = chunked(runner, counts, cuts)
    assert got[:, 0].tolist() == model(sections_of(d.stages), [v << d.shift for v in counts[:, 0].tolist()])


def decibels(reference: NDArray[np.float64], error: NDArray[np.float64]) -> float:
    return float(10 * np.log10(np.sum(reference**2) / np.sum(error**2)))


@pytest.mark.parametrize(("f", "fs_hz", "peer_full", "peer_low"), PEER_DB)
def test_more_exact_than_the_peer(f: Filter, fs_hz: float, peer_full: float, peer_low: float) -> None:
    d = design([f], fs_hz, 24)
    if f.kind == "notch":
        sos = signal.tf2sos(*signal.iirnotch(f.edges_hz[0], f.q, fs_hz))
    else:
        edges = f.edges_hz if len(f.edges_hz) == 2 else f.edges_hz[0]
        sos = signal.butter(f.order, edges, f.kind, fs=fs_hz, output="sos")
    noise = np.random.default_rng(2).uniform(-1, 1, (int(60 * max(fs_hz, 1000)), 1)) * (2**23 - 1)
    for scale, peer in ((1.0, peer_full), (1e-3, peer_low)):
        counts = np.round(noise * scale).astype(np.int64)
        reference = signal.sosfilt(sos, counts.astype(np.float64), axis=0)
        assert decibels(reference, run(d, counts) / 2.0**d.shift - reference) >= peer


@pytest.mark.parametrize(("f", "fs_hz"), [p[:2] for p in PEER_DB])
def test_rounding_noise_is_what_the_proof_says(f: Filter, fs_hz: float) -> None:
    d = design([f], fs_hz, 16)
    proof = prove(sections_of(d.stages), 16, d.shift)
    counts = np.random.default_rng(3).integers(-(2**15), 2**15, (100_000, 1))
    exact = signal.sosfilt(sos_of(sections_of(d.stages)), counts.astype(np.float64), axis=0) * 2.0**d.shift
    error = run(d, counts, 16) - exact
    assert np.std(error) == pytest.approx(proof.noise_rms, rel=0.05)


@pytest.mark.parametrize(("f", "fs_hz"), [p[:2] for p in PEER_DB])
@pytest.mark.parametrize("bits", [8, 24])
def test_worst_case_inputs_stay_within_the_proved_bounds(f: Filter, fs_hz: float, bits: int) -> None:
    d = design([f], fs_hz, bits)
    proof = prove(sections_of(d.stages), bits, d.shift)
    assert proof.holds
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    for k in range(1, len(sections_of(d.stages)) + 1):
        response = impulse_response(sos_of(sections_of(d.stages)[:k]), 20 * d.settle + 100)
        worst = np.where(response[::-1] > 0, high, low)[:, None]
        prefix = Design((Cascade(sections_of(d.stages)[:k]),), d.shift, 0, 0.0)
        for counts in (worst, -1 - worst):
            peak = np.abs(run(prefix, counts, bits).astype(np.int64)).max()
            assert peak <= proof.signal_bounds[k - 1]
            # The bound is tight: the input made for it comes close.
            assert peak >= 0.98 * proof.signal_bounds[k - 1]


@pytest.mark.parametrize(("f", "fs_hz"), [p[:2] for p in PEER_DB])
def test_silence_settles_to_a_constant_within_one_lsb(f: Filter, fs_hz: float) -> None:
    d = design([f], fs_hz, 24)
    rng = np.random.default_rng(4)
    counts = rng.integers(-(2**23), 2**23, (2000, 4))
    counts[:, 1] = np.where(np.arange(2000) // 50 % 2, 2**23 - 1, -(2**23))  # full-scale square wave
    counts[:, 2] = 2**23 - 1
    silence = np.zeros((25 * d.settle, 4), np.int64)
    tail = run(d, np.concatenate([counts, silence]))[-1000:]
    assert np.ptp(tail, axis=0).max() == 0
    assert np.abs(tail).max() <= 1


def test_a_section_saturates_instead_of_wrapping() -> None:
    nearly_two = 2**31 - 1
    path = path_of((Cascade((Section((nearly_two, nearly_two, 0), (0, 0)),)),), bits=8, shift=23)
    got = PathRunner(path).filter(np.array([[127], [127], [-128], [-128]]))[:, 0].tolist()
    # The second and the last lie beyond int32: at its limits to within 4, as biquad.h says.
    assert got[0] == 127 * 2**24 - 1
    assert 2**31 - 4 <= got[1] < 2**31
    assert got[2] == -(2**24)
    assert -(2**31) <= got[3] <= -(2**31) + 4


# The last two are limits of c_low in both halves.
EXTREME = np.array([-(2**31), 2**31 - 1, -(2**30), 2**30, -(2**29), 2**29, -1, 0, 1, -0x7FFF8000, 0x7FFF7FFF])


def extreme(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Integers of every size, one in three at a limit."""
    values = rng.integers(-(2**31), 2**31, shape) >> rng.integers(0, 31, shape)
    return np.where(rng.random(shape) < 0.33, rng.choice(EXTREME, shape), values).astype(np.int32)


def extreme_job(rng: np.random.Generator) -> Job:
    count, channels, calls = int(rng.integers(1, 5)), int(rng.choice([1, 1, 2, 5])), int(rng.integers(1, 4))
    words = extreme(rng, (count, SECTION_WORDS))
    words[:, 3] = rng.choice([0, 8, 16], count)
    words[:, 7] = rng.integers(-128, 129, count)
    words[:, 8] = rng.integers(-64, 65, count)
    state = extreme(rng, (channels, 2 + 4 * count))
    for section in range(count):
        state[:, 2 + 4 * section : 4 + 4 * section] >>= 8  # errors have 24 bits
    # Below and above the least block of the assembly, odd and even.
    samples = int(rng.choice([1, 2, 7, 8, 9, 30]))
    return Job(Form.TARGET, words, state, extreme(rng, (calls, samples, channels)))


@pytest.mark.parametrize("board", ["mps2-an386", "mps2-an500", "mps3-an547"])
def test_the_assembly_gives_the_integers_of_the_c(board: str) -> None:
    if not available():
        pytest.skip("arm-none-eabi-gcc or qemu-system-arm is not installed")
    rng = np.random.default_rng(6)
    jobs = [extreme_job(rng) for _ in range(2000)]
    results = run_cascades([*jobs, *(replace(job, form=Form.PORTABLE) for job in jobs)], board)
    assembly, portable = results[: len(jobs)], results[len(jobs) :]
    for a, c in zip(assembly, portable, strict=True):
        np.testing.assert_array_equal(a.signal, c.signal)
        np.testing.assert_array_equal(a.state, c.state)
    # Both did run, each its own.
    assert sum(a.instructions for a in assembly) < 0.7 * sum(c.instructions for c in portable)


@pytest.mark.parametrize(
    ("cpu", "there"), [("m0", False), ("m3", False), ("m4", True), ("m7", True), ("m33", True), ("m55", True)]
)
def test_the_assembly_is_for_m_profile_cores_with_dsp(cpu: str, there: bool, tmp_path: Path) -> None:
    if not available():
        pytest.skip("arm-none-eabi-gcc or qemu-system-arm is not installed")
    command = ["arm-none-eabi-gcc", f"-mcpu=cortex-{cpu}", "-mthumb", "-c", "-o", str(tmp_path / "o")]
    subprocess.run([*command, str(CORE / "biquad_armv7em.S")], check=True)
    symbols = subprocess.run(["arm-none-eabi-nm", str(tmp_path / "o")], capture_output=True, text=True)
    assert ("nrv_cascade_run" in symbols.stdout) == there
