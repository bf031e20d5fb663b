"""Resampling against known sines, and against zero-stuffing, convolution and decimation in float64."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import firwin

from edge import Filter, InnervateError
from edge.gain import GainControl
from tests.core_paths import path_of
from train import readers
from train.corpus import Corpus
from train.experiment import Experiment
from train.recording import Annotation, Recording
from train.resample import RATE_TOLERANCE, factors, resample
from train.splits import make_splits
from train.task import load
from train.windows import counts_for


def recording_of(
    signals: NDArray[np.int32] | NDArray[np.float32],
    fs_hz: float = 1000.0,
    annotations: tuple[Annotation, ...] = (),
    bits: int = 16,
    part: str = "",
) -> Recording:
    names = tuple(f"c{i}" for i in range(signals.shape[1]))
    bits = bits if signals.dtype == np.int32 else 0
    return Recording(signals, fs_hz, names, bits, "s", "1", annotations, part=part)


def sines(samples: int, fs_hz: float, hz: tuple[float, ...], height: float) -> NDArray[np.float64]:
    time = np.arange(samples)[:, None] / fs_hz
    wave: NDArray[np.float64] = height * np.sin(2 * np.pi * np.array(hz) * time + 0.3)
    return wave


RATES = [(1000.0, 200.0), (200.0, 1000.0), (2000.0, 1024.0), (1259.259259, 1000.0), (160.0, 250.0)]


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_a_sine_stays_what_it_is_and_one_too_fast_goes(from_hz: float, to_hz: float) -> None:
    nyquist = min(from_hz, to_hz) / 2
    passes = (0.02 * nyquist, 0.5 * nyquist, 0.9 * nyquist)
    fast = (1.01 * nyquist, 0.999 * from_hz / 2) if to_hz < from_hz else ()
    samples = round(2 * from_hz)
    counts = np.rint(sines(samples, from_hz, passes + fast, 2.0**30)).astype(np.int32)
    got = resample(recording_of(counts, from_hz, bits=32), to_hz)
    up, down = factors(from_hz, to_hz)
    assert len(got.signals) == -(-samples * up // down)
    assert got.fs_hz == to_hz
    want = sines(len(got.signals), to_hz, passes + (0.0,) * len(fast), 2.0**30)
    want[:, len(passes) :] = 0
    edge = round(60 / min(from_hz, to_hz) * to_hz)
    error = np.abs(got.signals - want)[edge:-edge] / 2.0**30
    # The rates themselves are held to a millionth, a phase of up to 4e-3 over two seconds at 300 Hz.
    drift = 2 * np.pi * nyquist * 2 * abs(from_hz * up / down / to_hz - 1)
    assert error.max() <= 1.2e-4 + drift


@settings(max_examples=25, deadline=None)
@given(
    ratio=st.sampled_from([(1, 2), (3, 1), (4, 5), (5, 4), (128, 125), (7, 10)]),
    samples=st.integers(1, 300),
    offset=st.sampled_from([0, -9000, 32000]),
    seed=st.integers(0, 2**32 - 1),
)
def test_integers_are_those_of_plain_convolution(
    ratio: tuple[int, int], samples: int, offset: int, seed: int
) -> None:
    up, down = ratio
    rng = np.random.default_rng(seed)
    counts = np.clip(rng.normal(offset, 8000, (samples, 2)), -(2**15), 2**15 - 1).astype(np.int32)
    got = resample(recording_of(counts), 1000.0 * up / down).signals

    # Kaiser's formulas for 80 dB over a tenth of the lower band: 41.8 of its samples to either side and more.
    most = max(up, down)
    half = int(np.ceil(72 / (2.285 * np.pi * 0.1 / most) / 2))
    taps = up * firwin(2 * half + 1, 0.95 / most, window=("kaiser", 0.1102 * 71.3))
    slope = (counts[-1] - counts[0]) / max(1, samples - 1)
    more = -(-half // up)
    steps = np.arange(1, more + 1)[:, None]
    before, after = counts[0] - slope * steps[::-1], counts[-1] + slope * steps
    stuffed = np.zeros(((samples + 2 * more) * up, 2))
    stuffed[::up] = np.concatenate([before, counts, after])
    places = np.arange(0, samples * up, down) + more * up + half
    want = np.stack([np.convolve(c, taps)[places] for c in stuffed.T], axis=1)
    np.testing.assert_allclose(got, np.clip(want, -(2**15), 2**15 - 1), atol=0.5 + 1e-6)


@given(
    ratio=st.sampled_from([(1, 2), (1, 5), (3, 1), (128, 125)]),
    lengths=st.lists(st.tuples(st.integers(0, 9), st.integers(1, 40)), min_size=1, max_size=8),
)
def test_annotations_keep_their_time_and_stay_apart(
    ratio: tuple[int, int], lengths: list[tuple[int, int]]
) -> None:
    up, down = ratio
    at, marks = 0, list[Annotation]()
    for gap, duration in lengths:
        marks.append(Annotation(at + gap, duration, f"m{len(marks)}"))
        at += gap + duration
    before = recording_of(np.zeros((at, 1), np.int32), 1000.0, tuple(marks))
    after = resample(before, 1000.0 * up / down)
    after.validate()
    kept = {a.label: a for a in after.annotations}
    for mark in marks:
        first, end = mark.onset * up, (mark.onset + mark.duration) * up
        inside = [n for n in range(len(after.signals)) if first <= n * down < end]
        assert (mark.label in kept) == bool(inside)
        if inside:
            found = kept[mark.label]
            assert list(range(found.onset, found.onset + found.duration)) == inside


def test_limits_microvolts_and_the_same_rate() -> None:
    steps = np.repeat([[2**15 - 1], [-(2**15)]], 50, axis=0).astype(np.int32)
    got = resample(recording_of(np.tile(steps, (4, 1))), 4000.0)
    got.validate()  # the ringing of a step is clipped to the converter
    assert got.signals.max() == 2**15 - 1
    assert got.context["resampled_from_hz"] == "1000"
    volts = recording_of(sines(400, 1000.0, (50.0,), 3.0).astype(np.float32))
    slower = resample(volts, 500.0)
    assert slower.signals.dtype == np.float32
    np.testing.assert_allclose(slower.signals[80:-80], volts.signals[::2][80:-80], atol=2e-3)
    assert resample(volts, 1000.0) is volts


def test_ratios() -> None:
    assert factors(1000, 200) == (1, 5)
    assert factors(1259.259259, 1000) == (27, 34)
    for from_hz, to_hz in ((1000.0, 999.99), (1000.0, 0.5), (1.0, 2000.0), (100 * np.e, 1000.0)):
        with pytest.raises(InnervateError, match=r"no ratio of whole numbers.*simpler"):
            factors(from_hz, to_hz)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InnervateError, match="above zero"):
            factors(1000.0, wrong)
    with pytest.raises(InnervateError, match=r"s/1"):
        resample(recording_of(np.zeros((9, 1), np.int32)), 999.99)
    for from_hz, to_hz in RATES:
        up, down = factors(from_hz, to_hz)
        assert abs(from_hz * up / down / to_hz - 1) <= RATE_TOLERANCE


def from_a_reader(_: Path | None) -> Iterator[Recording]:
    """Four people at 1000 Hz, at rest and at work by turns."""
    for number in range(4):
        rng = np.random.default_rng(number)
        loud = np.repeat([20.0, 2000.0] * 4, 1000)[:, None]
        counts = np.rint(rng.normal(0, 1, (8000, 8)) * loud).astype(np.int32)
        marks = tuple(Annotation(1000 * n, 1000, ("rest", "fist")[n % 2]) for n in range(8))
        yield replace(recording_of(counts, 1000.0, marks), subject=f"s{number}")


def test_a_task_names_the_rate_of_its_device(monkeypatch: pytest.MonkeyPatch) -> None:
    control = GainControl(target=20, time_shift=5)
    plain = load("emg_gestures")
    filters = (Filter("bandpass", (20.0, 200.0)),)
    settings_of = msgspec.structs.replace(plain.signal_path, filters=filters, gain_control=control)
    task = msgspec.structs.replace(plain, resample_hz=500.0, signal_path=settings_of)
    plan = task.plan("simulated")
    assert (plan.fs_hz, plan.resample_hz) == (500.0, 500.0)
    monkeypatch.setattr(readers.get("simulated"), "read", from_a_reader)
    corpus = Corpus("simulated", None, plan.resample_hz)
    assert {r.fs_hz for r in corpus.recordings([key.id for key in corpus.keys])} == {500.0}
    split = make_splits(plan.protocol, corpus.keys, (), (), 0)[0]
    experiment = Experiment(plan, corpus, split, 0)
    path = experiment.design_path()
    assert (path.fs_hz, path.gain_control) == (500.0, control)
    windows = experiment.test_windows(path)
    ends = windows.end_index[windows.recording == windows.recording[0]]
    assert set(np.diff(ends)) >= {path.hop}, "training has the hop of the device"
    with pytest.raises(InnervateError, match="no ratio"):
        msgspec.structs.replace(task, resample_hz=999.99).plan("simulated")


def test_another_rate_says_how_to_get_it() -> None:
    signals = np.zeros((100, 1), np.int32)
    with pytest.raises(InnervateError, match="resample_hz"):
        counts_for(path_of(bits=16), recording_of(signals, 500.0))
    path = path_of(bits=16)
    assert len(counts_for(path, resample(recording_of(signals, 500.0), path.fs_hz))) == 200
