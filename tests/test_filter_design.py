"""Filter design: near scipy's response, refusals with reasons, scale, settling, delay and normalisation."""

import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from edge._core import lib
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from edge import Cascade, Filter, Fir, InnervateError, Mix, PathRunner, Section
from tests.core_paths import path_of, sections_of
from train import readers, task
from train.filter_design import Design, design, normalise, signal_path
from train.filter_proof import horizon, impulse_response, prove, sos_of
from train.filter_rest import RAMP, rests
from train.montage import fit_montage

EMG = [Filter("bandpass", (20.0, 450.0), 4), Filter("notch", (50.0,))]


def reference(f: Filter, fs_hz: float) -> Any:
    if f.kind == "notch":
        return signal.tf2sos(*signal.iirnotch(f.edges_hz[0], f.q or 30, fs_hz))
    edges = f.edges_hz if len(f.edges_hz) == 2 else f.edges_hz[0]
    return signal.butter(f.order or 2, edges, f.kind, fs=fs_hz, output="sos")


DESIGNS = [
    ([Filter("highpass", (0.1,), 2)], 250.0, 24),
    ([Filter("highpass", (0.1,), 2)], 1000.0, 24),
    ([Filter("highpass", (10.0,), 1)], 200.0, 8),
    ([Filter("lowpass", (40.0,), 8)], 250.0, 24),
    ([Filter("lowpass", (0.5,), 4)], 1000.0, 16),
    ([Filter("bandpass", (8.0, 13.0), 3)], 500.0, 24),
    ([Filter("bandpass", (20.0, 95.0), 4)], 200.0, 8),
    ([*EMG, Filter("notch", (150.0,))], 1000.0, 16),
    ([*EMG, *(Filter("notch", (50.0 * k,), q=35.0) for k in range(2, 9))], 2000.0, 16),
    ([Filter("highpass", (0.5,), 2), Filter("notch", (60.0,)), Filter("lowpass", (35.0,), 4)], 250.0, 24),
]


@pytest.mark.parametrize(("filters", "fs_hz", "bits"), DESIGNS)
def test_response_is_that_of_scipy(filters: list[Filter], fs_hz: float, bits: int) -> None:
    d = design(filters, fs_hz, bits)
    grid = np.geomspace(fs_hz * 1e-5, fs_hz * 0.4999, 4000)
    wanted = np.prod([signal.sosfreqz(reference(f, fs_hz), grid, fs=fs_hz)[1] for f in filters], axis=0)
    got = signal.sosfreqz(sos_of(sections_of(d.stages)), grid, fs=fs_hz)[1]
    assert np.abs(got - wanted).max() < 2e-6


@pytest.mark.parametrize(("filters", "fs_hz", "bits"), DESIGNS)
def test_one_more_bit_would_not_be_proved(filters: list[Filter], fs_hz: float, bits: int) -> None:
    d = design(filters, fs_hz, bits)
    assert prove(sections_of(d.stages), bits, d.shift).holds
    assert d.shift + bits == 32 or not prove(sections_of(d.stages), bits, d.shift + 1).holds


@pytest.mark.parametrize(("filters", "fs_hz", "bits"), DESIGNS)
def test_the_device_runs_every_design(filters: list[Filter], fs_hz: float, bits: int) -> None:
    """Against float64 with full-scale noise: the error stays within a count, mostly far below."""
    d = design(filters, fs_hz, bits)
    counts = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (20_000, 1))
    exact = counts.astype(np.float64)
    for f in filters:
        exact = signal.sosfilt(reference(f, fs_hz), exact, axis=0)
    got = PathRunner(path_of(d.stages, bits=bits, shift=d.shift)).filter(counts) / 2.0**d.shift
    assert np.abs(got - exact).max() < 0.5
    assert np.std(got - exact) < 1 / np.sqrt(12)


def test_high_passes_block_a_constant_exactly() -> None:
    for f in (Filter("highpass", (0.5,), 3), Filter("bandpass", (0.5, 40.0), 4)):
        sections = sections_of(design([f], 250.0, 24).stages)
        assert any(sum(s.b) == 0 for s in sections)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(["highpass", "lowpass", "bandpass", "notch"]),
    edges=st.tuples(st.floats(2e-3, 0.499), st.floats(2e-3, 0.499)),
    order=st.integers(1, 8),
    q=st.floats(0.6, 200),
    bits=st.integers(8, 24),
)
def test_a_design_is_proved_or_refused_in_a_sentence(
    kind: Any, edges: tuple[float, float], order: int, q: float, bits: int
) -> None:
    """The narrowest filters need too many bits; nothing else may be refused, nothing may go wrong."""
    if kind == "notch":
        f = Filter(kind, edges[:1], q=q)
    else:
        f = Filter(kind, tuple(sorted(edges)) if kind == "bandpass" else edges[:1], order)
    width = {"bandpass": abs(edges[0] - edges[1]), "notch": edges[0] / q}.get(kind, edges[0])
    try:
        d = design([f], 1.0, bits)
    except InnervateError:
        assert width < 1e-3 or width > 0.5
    else:
        assert prove(sections_of(d.stages), bits, d.shift).holds
        assert 0 <= d.settle <= horizon(sos_of(sections_of(d.stages)))


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        ([Filter("bandpass", (20.0, 450.0), 4)], ["450 Hz", "below half the sampling rate of 200 Hz"]),
        ([Filter("highpass", (100.0,), 2)], ["100 Hz", "half the sampling rate"]),
        ([Filter("lowpass", (0.0,), 2)], ["0 Hz"]),
        ([Filter("highpass", (float("nan"),), 2)], ["nan Hz"]),
        ([Filter("highpass", (20.0, 30.0), 2)], ["takes 1 edge"]),
        ([Filter("bandpass", (20.0,), 2)], ["takes 2 edge"]),
        ([Filter("bandpass", (40.0, 20.0), 2)], ["must rise"]),
        ([Filter("highpass", (20.0,), 0)], ["order 0"]),
        ([Filter("highpass", (20.0,), 9)], ["order 9"]),
        ([Filter("notch", (50.0,), q=0.3)], ["too wide"]),
        ([Filter("highpass", (1e-5,), 2)], ["slow", "aise the lowest edge"]),
        ([Filter("notch", (30.0,))] * 33, ["33 second-order sections"]),
        ([Filter("highpass", (20.0,), q=3.0)], ["q does not apply", "order, family"]),
        ([Filter("notch", (20.0,), 2)], ["order does not apply", "q, harmonics"]),
        ([Filter("notch", (20.0,), family="fir")], ["family does not apply"]),
        ([Filter("lowpass", (20.0,), stop_db=40.0)], ["stop_db does not apply"]),
        ([Filter("lowpass", (20.0,), 2, family="fir")], ["order does not apply", "stop_db, taps"]),
        ([Filter("lowpass", (20.0,), factor=2)], ["factor does not apply"]),
        ([Filter("lowpass", (20.0,), family="elliptic", ripple_db=20.0)], ["ripple_db 20"]),
        ([Filter("highpass", (20.0,), family="fir", taps=40)], ["40 taps", "odd"]),
        ([Filter("lowpass", (0.02,), family="fir")], ["more than 4095", "Decimate by"]),
        ([Filter("decimate")], ["needs a factor"]),
        ([Filter("decimate", factor=1)], ["factor 1"]),
        ([Filter("decimate", (60.0,), factor=2)], ["60 Hz", "half the rate of 100 Hz"]),
        ([Filter("decimate", factor=4, taps=9)], ["9 taps attenuate", "dB only"]),
        ([Filter("decimate", factor=4, family="butterworth")], ["order 8", "does not pass 20 Hz", "30 Hz"]),
        ([Filter("envelope", (3.0, 4.0))], ["takes 1 edge"]),
        ([Filter("notch", (30.0,), harmonics=4)], ["harmonic 4 at 120 Hz"]),
        ([Filter("notch", (30.0,), harmonics=0)], ["harmonics 0"]),
        ([Filter("decimate", factor=4), Filter("lowpass", (30.0,))], ["30 Hz", "sampling rate of 50 Hz"]),
    ],
)
def test_refusals_say_why_and_what_to_do(filters: list[Filter], words: list[str]) -> None:
    with pytest.raises(InnervateError) as caught:
        design(filters, 200.0, 8)
    assert all(word in str(caught.value) for word in [*words, "signal path filters"])
    assert caught.value.fix


def test_a_decimation_that_is_suggested_works() -> None:
    """0.05 Hz at 2 kHz would never come to rest; the least factor with which it does is 2."""
    slow = Filter("highpass", (0.05,))
    with pytest.raises(InnervateError, match="keep moving") as caught:
        design([slow], 2000.0, 24)
    named = re.search(r"factor = (\d+)", caught.value.fix)
    assert named is not None
    assert named[1] == "2"
    assert design([Filter("decimate", factor=2), slow], 2000.0, 24).shift > 0


@pytest.mark.parametrize("edge", [0.05, 0.07, 0.08, 0.1, 0.105, 0.12, 0.15])
def test_slow_sections_come_to_rest_when_the_rule_says_so(edge: float) -> None:
    """High-passes at 2 kHz, coefficients rounded plainly: on one side of the rule all inputs come to rest, on
    the other some keep the output moving."""
    b, a = signal.butter(2, edge, "high", fs=2000.0)
    fine = [round(value * 2**46) for value in a[1:].tolist()]
    high = [(value + 32767) >> 16 for value in fine]
    low = [value - (top << 16) for value, top in zip(fine, high, strict=True)]
    gain = round(float(b[0]) * 2**30)
    section = Section((gain, -2 * gain, gain), (high[0], high[1]), (low[0], low[1]), RAMP)
    counts = np.random.default_rng(4).integers(-(2**23), 2**23, (4000, 6))
    n = np.arange(4000)
    for column, half_period in enumerate((1, 3, 50, 997), start=1):
        counts[:, column] = np.where(n // half_period % 2, 2**23 - 1, -(2**23))
    counts[:, 5] = 2**23 - 1
    silence = np.zeros((int(35_000 / edge), 6), np.int64)
    path = path_of((Cascade((section,)),), shift=6, channels=6)
    tail = PathRunner(path).filter(np.concatenate([counts, silence]))[-20_000:]
    moving = np.ptp(tail, axis=0).max() > 0
    assert moving != rests((fine[0], fine[1]))


@pytest.mark.parametrize("count", [2, 3, 8, 16, 21])
def test_common_average_takes_away_what_all_share(count: int) -> None:
    names = [f"c{i}" for i in range(count)]
    mix = fit_montage("common_average", names)
    weights = np.array(mix.weights, np.int64)
    assert mix.channels == tuple(names)
    assert not weights.sum(axis=1).any()
    ideal = np.eye(count) - 1 / count
    exact = count & (count - 1) == 0
    assert np.abs(weights / 2.0**mix.right_shift - ideal).max() <= (0 if exact else count * 2.0**-30)
    counts = np.full((3, count), 2**23 - 1)
    d = design([], 250.0, 24, names, "common_average")
    assert not PathRunner(path_of(d.stages, shift=d.shift, channels=count)).filter(counts).any()


def test_bipolar_is_exact() -> None:
    names = ["F3", "C3", "P3"]
    d = design([], 250.0, 24, names, "bipolar")
    mix = d.stages[0]
    assert isinstance(mix, Mix)
    assert (mix.channels, mix.right_shift) == (("F3-C3", "C3-P3"), 0)
    counts = np.random.default_rng(0).integers(-(2**23), 2**23, (100, 3))
    got = PathRunner(path_of(d.stages, shift=d.shift, channels=3)).filter(counts)
    np.testing.assert_array_equal(got, (counts[:, :2] - counts[:, 1:]) << d.shift)


def test_a_table_montage_is_exact_where_it_can_be() -> None:
    laplace = {"b'": {"a": -0.5, "b": 1, "c": -0.5}}
    assert fit_montage(laplace, ["a", "b", "c"]) == Mix(("b'",), ((-1, 2, -1),), 1)
    third = fit_montage({"x": {"a": 1 / 3, "b": -1 / 3}}, ["a", "b"])
    assert sum(third.weights[0]) == 0
    assert third.weights[0][0] / 2.0**third.right_shift == pytest.approx(1 / 3, abs=2.0**-30)


@pytest.mark.parametrize(
    ("montage", "channels", "words"),
    [
        ("bipolar", ["a"], "at least two channels, not 1"),
        ({}, ["a"], "names no channel"),
        ({"x": {"d": 1.0}}, ["a", "b"], "takes d, which there is not"),
        ({"x": {"a": 0.0}}, ["a"], "all weights of x are zero"),
        ({"x": {"a": float("inf")}}, ["a"], "inf times a"),
        ({"x": {"a": 1e12 + 0.1}}, ["a"], "too large"),
    ],
)
def test_montages_that_cannot_be(montage: Any, channels: list[str], words: str) -> None:
    with pytest.raises(InnervateError, match=words):
        fit_montage(montage, channels)


TASK = """
name = "small"
title = "t"
description = "d"
labels = ["rest", "wrist_flexion"]
protocol = "leave_subjects_out"
model = "cnn1d"
[signal_path]
window_ms = 200
hop_ms = 50
"""


def task_with(folder: Path, lines: str) -> task.Plan:
    file = folder / "small.toml"
    file.write_text(TASK + lines)
    return task.load(file).plan("emg_3dc")


def test_a_task_file_says_montage_and_filters(tmp_path: Path) -> None:
    first, second, third = readers.get("emg_3dc").CHANNELS[:3]
    settings = task_with(
        tmp_path,
        f"""
        montage = {{ x = {{ "{first}" = 1, "{second}" = -1 }}, y = {{ "{third}" = 0.5 }} }}
        filters = [
            {{ kind = "notch", edges_hz = [50], harmonics = "all" }},
            {{ kind = "envelope", edges_hz = [5], family = "elliptic", stop_db = 50 }},
        ]
        """,
    ).signal_path
    assert settings.montage == {"x": {first: 1.0, second: -1.0}, "y": {third: 0.5}}
    assert settings.filters[0].harmonics == "all"
    assert settings.filters[1] == Filter("envelope", (5.0,), family="elliptic", stop_db=50.0)
    assert (
        msgspec.json.decode(msgspec.json.encode(settings.filters), type=tuple[Filter, ...])
        == settings.filters
    )


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('filters = [{ kind = "highpas", edges_hz = [5] }]', "highpas"),
        ('filters = [{ kind = "highpass", edge_hz = [5] }]', "edge_hz"),
        ('filters = [{ kind = "highpass", edges_hz = [5], q = 3 }]', "q does not apply"),
        ('filters = [{ kind = "notch", edges_hz = [50], harmonics = "some" }]', "some"),
        ('montage = "car"', "car"),
        ("montage = { x = { nowhere = 1 } }", "takes nowhere, which there is not"),
    ],
)
def test_a_task_file_is_told_its_mistakes(tmp_path: Path, lines: str, words: str) -> None:
    with pytest.raises(InnervateError, match=words):
        task_with(tmp_path, lines)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"fs_hz": float("nan")}, "sampling rate of nan"),
        ({"counts_bits": 33}, "counts of 33 bits"),
        ({"window_ms": float("inf")}, "window_ms of inf"),
        ({"hop_ms": 0.0}, "hop_ms of 0"),
        ({"hop_ms": 300.0}, "hop must be 1 to the window"),
    ],
)
def test_a_path_that_cannot_be(change: dict[str, Any], words: str) -> None:
    good = {"fs_hz": 1000.0, "counts_bits": 16, "window_ms": 200.0, "hop_ms": 50.0, "uv_per_count": 1.0}
    with pytest.raises(InnervateError, match=words):
        signal_path([Filter("highpass", (20.0,))], channels=["x"], **(good | change))


def test_a_path_alone_is_right_for_full_scale() -> None:
    """Full scale within the pass-band is 127 in int8; a step of int8 is as many microvolts as stated."""
    path = signal_path([Filter("lowpass", (100.0,))], 1000.0, ["x"], 16, 0.5, 100, 50)
    assert (path.window, path.hop) == (100, 50)
    assert path.int8_per_uv == pytest.approx([1 / (0.5 * 2**8)])
    counts = np.full((1000, 1), 2**15 - 1)
    counts[500:] = -(2**15)
    windows, _ = PathRunner(path).windows(counts)
    assert windows[3, -1, 0] == 127
    assert windows[-1, -1, 0] == -128


def test_settling_and_delay_after_decimation() -> None:
    """A decimator alone: the delay is half its length, and after settling a constant comes out whole."""
    d = design([Filter("decimate", factor=5)], 1000.0, 16)
    fir = d.stages[0]
    assert isinstance(fir, Fir)
    assert d.group_delay_ms == pytest.approx((len(fir.weights) - 1) / 2)
    assert d.settle <= len(fir.weights) / 5 + 1
    got = PathRunner(path_of(d.stages, bits=16, shift=d.shift)).filter(np.full((500, 1), 10_000))
    late = got[d.settle :, 0] / 2.0**d.shift
    assert np.abs(late / 10_000 - 1).max() < 0.01 * np.abs(fir.weights).sum() / 2**30
    assert late[-1] == 10_000


def test_no_filters() -> None:
    assert design([], 1000.0, 16) == Design((), 16, 0, 0.0)


def test_settling_of_a_first_order_high_pass() -> None:
    """Its impulse response is 1 and then a decay by p a sample: all known in closed form."""
    edge, fs_hz = 5.0, 1000.0
    d = design([Filter("highpass", (edge,), 1)], fs_hz, 16)
    warped = np.tan(np.pi * edge / fs_hz)
    p, gain = (1 - warped) / (1 + warped), 1 / (1 + warped)
    # |h[0]| = gain, |h[n]| = gain (1 - p) p^(n-1): the sum from n on is gain p^(n-1).
    total = gain * 2
    first = next(n for n in range(1, 10_000) if gain * p ** (n - 1) <= 0.01 * total)
    assert d.settle == first


def test_group_delay_is_the_weighted_mean_over_frequency() -> None:
    f = Filter("bandpass", (20.0, 450.0), 4)
    d = design([f], 1000.0, 16)
    grid = np.linspace(0, np.pi, 400_001)
    response = signal.sosfreqz(reference(f, 1000.0), grid)[1]
    delay = -np.diff(np.unwrap(np.angle(response[1:-1]))) / np.diff(grid[1:-1])
    weight = np.abs(response[1:-2]) ** 2
    assert d.group_delay_ms == pytest.approx(float(np.sum(delay * weight) / np.sum(weight)), rel=1e-3)


def test_horizon_holds_the_whole_response() -> None:
    sos = sos_of(sections_of(design([Filter("bandpass", (0.5, 40.0), 4)], 250.0, 24).stages))
    samples = horizon(sos)
    longer = impulse_response(sos, 3 * samples)
    assert np.abs(longer[samples:]).sum() < 1e-12 * np.abs(longer).sum()


@pytest.mark.parametrize("percentile", [90.0, 99.9, 100.0])
def test_normalisation_brings_the_percentile_to_full_scale(percentile: float) -> None:
    rng = np.random.default_rng(0)
    filtered = np.round(rng.normal(0, 1, (20_000, 4)) * [200, 5e4, 1e7, 2.5e8]).astype(np.int32)
    multiplier, right_shift = normalise(filtered, percentile)
    for c in range(4):
        assert 2**30 <= multiplier[c] < 2**31
        assert 0 <= right_shift[c] <= 31
        top = round(float(np.percentile(np.abs(filtered[:, c].astype(np.int64)), percentile)))
        assert lib.nrv_call_requantize(top, multiplier[c], -right_shift[c]) in (126, 127)
        assert lib.nrv_call_requantize(-top, multiplier[c], -right_shift[c]) in (-127, -126)


def test_normalisation_takes_the_extremes_of_int32() -> None:
    filtered = np.array([[-(2**31), 2**31 - 1, 128]], np.int64).astype(np.int32)
    multiplier, right_shift = normalise(filtered, 100.0)
    assert right_shift == (24, 24, 0)
    assert multiplier[0] == multiplier[2] == 127 * 2**24


def test_a_flat_channel_is_named() -> None:
    filtered = np.zeros((100, 2), np.int32)
    filtered[:, 0] = 1000
    with pytest.raises(InnervateError, match=r"flat.*channel FCR"):
        normalise(filtered, 99.0, ["ECR", "FCR"])
