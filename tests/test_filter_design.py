"""Filter design: near scipy's response, refusals with reasons, scale, settling, delay and normalisation."""

from typing import Any

import numpy as np
import pytest
from edge._core import lib
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from edge import Filter, InnervateError, PathRunner
from tests.core_paths import path_of, sections_of
from train.filter_design import Design, design, normalise
from train.filter_proof import horizon, impulse_response, prove, sos_of

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


@settings(max_examples=80, deadline=None)
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
    f = Filter(kind, tuple(sorted(edges)) if kind == "bandpass" else edges[:1], order, q)
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
        ([Filter("highpass", (1e-5,), 2)], ["slow", "sampling rate down"]),
        ([Filter("notch", (50.0,))] * 17, ["17 second-order sections"]),
    ],
)
def test_refusals_say_why_and_what_to_do(filters: list[Filter], words: list[str]) -> None:
    with pytest.raises(InnervateError) as caught:
        design(filters, 200.0, 8)
    assert all(word in str(caught.value) for word in [*words, "signal path filters"])
    assert caught.value.fix


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
