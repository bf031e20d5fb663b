"""A signal path that ends in features, against Python's integers and float64, and on every processor."""

import itertools
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from edge._core import ffi, lib
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import periodogram, sosfilt

from edge import (
    Chain,
    DecisionRule,
    Event,
    Feature,
    FeatureSet,
    Filter,
    InnervateError,
    PathRunner,
    SignalPath,
)
from edge.features import FeatureScale, Kind
from edge.firmware.bench.chain import TARGETS
from edge.gain import GainControl
from tests.core_paths import path_of
from tests.test_core_everywhere import Case, assert_same, on_host, on_target, signals, stream
from train.feature_settings import FeatureSettings, standardise, with_features
from train.filter_design import design, normalise
from train.filter_prototype import ideal_segments

SIZES = {"mav", "rms", "variance", "waveform_length", "line_length", "log_detector", "activity", "band_power"}
TIME = FeatureSet(
    (
        Feature("mav"),
        Feature("zero_crossings", threshold=40),
        Feature("autoregression", order=3),
        Feature("activity"),
    )
)
ALL = FeatureSet(
    (
        Feature("log_band_power", bins=(2, 7)),
        Feature("rms"),
        Feature("band_power", bins=(1, 32)),
        Feature("mean_frequency", bins=(1, 32)),
        Feature("complexity"),
    ),
    64,
)
DESIGN = design([Filter("bandpass", (20.0, 400.0), 2)], 1000.0, 16)


def featured(
    features: FeatureSet, *, channels: int = 2, window: int = 32, hop: int = 9, right_shift: int = 13
) -> SignalPath:
    """16-bit counts, 8 bits raised; an int16 step is 2^(right_shift - 15) counts."""
    path = path_of(
        bits=16, shift=8, channels=channels, settle=3, window=window, hop=hop, right_shift=right_shift
    )
    values = channels * len(features.names)
    scale = tuple(FeatureScale((1 << 30) - 7 * i, 36 + i % 5, -(1 << 40) + i) for i in range(values))
    return msgspec.structs.replace(path, features=features, feature_scale=scale)


def samples_of(path: SignalPath, filtered: NDArray[np.int32]) -> NDArray[np.int16]:
    """Half, halves upwards, then by a power of two, halves away from zero; float64 holds all of it."""
    halved = np.floor(filtered.astype(np.float64) / 2 + 0.5)
    exact = halved / 2.0 ** (np.array(path.right_shift) - 8)
    rounded: NDArray[np.int16] = np.clip(
        np.copysign(np.floor(np.abs(exact) + 0.5), exact), -32768, 32767
    ).astype(np.int16)
    return rounded


def vector_of(path: SignalPath, window: NDArray[np.int16]) -> tuple[list[float], list[int]]:
    """Levels with the fraction of their logarithms, and the int8 that follows from the rounded ones."""
    assert path.features is not None
    kinds = [feature.kind for feature in path.features.features for _ in feature.names()]
    values = path.features.extract(window).tolist()
    levels = [
        (65536 * math.log2(value) if value else 0.0) if kind in SIZES else float(value)
        for channel in values
        for kind, value in zip(kinds, channel, strict=True)
    ]
    scaled = [
        min(127, max(-128, (round(t) * s.multiplier + s.bias) >> s.shift))
        for t, s in zip(levels, path.feature_scale, strict=True)
    ]
    return levels, scaled


def noise(samples: int, channels: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    size = rng.choice([0, 2, 300, 30_000], (samples // 25 + 1, channels)).repeat(25, axis=0)[:samples]
    drawn: NDArray[np.int64] = np.rint(rng.normal(0, 1, (samples, channels)) * size).astype(np.int64)
    return drawn.clip(-(2**15), 2**15 - 1)


@settings(max_examples=60, deadline=None)
@given(
    features=st.sampled_from([TIME, ALL]),
    channels=st.integers(1, 3),
    window=st.integers(1, 50),
    hop=st.integers(1, 50),
    right_shift=st.integers(4, 15),
    cuts=st.lists(st.integers(0, 200), max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
def test_vectors_are_those_of_the_definition_in_any_chunks(
    features: FeatureSet, channels: int, window: int, hop: int, right_shift: int, cuts: list[int], seed: int
) -> None:
    path = featured(features, channels=channels, window=window, hop=min(hop, window), right_shift=right_shift)
    counts = noise(200, channels, seed)
    rows = samples_of(path, PathRunner(path).filter(counts))
    ends = list(range(path.settle + path.window - 1, 200, path.hop))
    runner, level_runner = PathRunner(path), PathRunner(path)
    pieces = [counts[a:b] for a, b in itertools.pairwise([0, *sorted(cuts), 200])]
    vectors, got_ends = (np.concatenate(part) for part in zip(*map(runner.windows, pieces), strict=True))
    levels, level_ends = (
        np.concatenate(part) for part in zip(*map(level_runner.feature_levels, pieces), strict=True)
    )
    assert got_ends.tolist() == level_ends.tolist() == ends
    assert vectors.shape == (len(ends), *path.model_shape)
    for end, vector, level in zip(ends, vectors, levels, strict=True):
        exact, expected = vector_of(path, rows[end - path.window + 1 : end + 1])
        assert np.abs(level - exact).max() <= 0.5 + 1e-3
        # A logarithm next to a half may be rounded either way: the vector is then that of its level.
        if level.tolist() == [round(t) for t in exact]:
            assert vector[0].tolist() == expected


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(-(2**31), 2**31 - 1), st.sampled_from([-(2**31), 2**31 - 1])),
            st.one_of(st.integers(0, 2**31 - 1), st.just(2**31 - 1)),
            st.integers(1, 62),
            st.one_of(st.integers(-(2**62), 2**62), st.sampled_from([-(2**62), 2**62])),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_no_level_and_no_scale_overflows(draws: list[tuple[int, int, int, int]]) -> None:
    """Features that are nothing but the given numbers stand in for those of a window."""

    @ffi.callback("void(nrv_feature_set_t *, int16_t *, size_t, size_t, nrv_bin_t *, int32_t *)")  # type: ignore[untyped-decorator]
    def given_numbers(
        _set: Any, _window: Any, _samples: int, _channels: int, _scratch: Any, out: Any
    ) -> None:
        for i, (level, *_) in enumerate(draws):
            out[i] = level

    features = ffi.new("nrv_feature_t[]", [{"kind": lib.NRV_FEATURE_ZERO_CROSSINGS}] * len(draws))
    scales = ffi.new(
        "nrv_feature_scale_t[]", [{"multiplier": m, "shift": s, "bias": b} for _, m, s, b in draws]
    )
    config = ffi.new(
        "nrv_feature_vector_t *",
        {"set": {"features": features, "count": len(draws)}, "scale": scales, "run": given_numbers},
    )
    levels, vector = ffi.new("int32_t[]", len(draws)), ffi.new("int8_t[]", len(draws))
    lib.nrv_feature_vector(config, ffi.new("int16_t[1]"), 1, 1, ffi.NULL, levels, vector)
    assert list(levels) == [level for level, *_ in draws]
    assert list(vector) == [min(127, max(-128, (t * m + b) >> s)) for t, m, s, b in draws]


@settings(max_examples=200, deadline=None)
@given(
    mean=st.integers(-(2**31), 2**31 - 1),
    spread=st.sampled_from([1, 3, 100, 2**16, 2**24, 2**31]),
    count=st.integers(1, 300),
    seed=st.integers(0, 2**32 - 1),
)
def test_standardise_meets_float64(mean: int, spread: int, count: int, seed: int) -> None:
    levels = np.random.default_rng(seed).normal(mean, spread, (count, 1))
    levels = np.rint(levels).clip(-(2**31), 2**31 - 1).astype(np.int32)
    (scale,) = standardise(levels)
    scale.validate()
    exact = [int(t) for t in levels[:, 0]]
    got = [
        (t * scale.multiplier + scale.bias) / 2**scale.shift - 0.5 for t in exact
    ]  # before the last rounding
    if len(set(exact)) == 1:
        assert got == [-0.5] * count
        return
    deviation = float(np.std(levels.astype(np.float64)))
    wanted = 32 * (np.array(exact) - np.mean(exact)) / deviation
    bound = 2.0**-28 * (32 * np.max(np.abs(exact)) / deviation + 1) + 1e-6
    assert np.abs(np.array(got) - wanted).max() <= bound


def test_what_never_changes_is_zero() -> None:
    (scale,) = standardise(np.full((5, 1), 12345, np.int32))
    assert (777 * scale.multiplier + scale.bias) >> scale.shift == 0


def test_gain_control_moves_the_features_scale() -> None:
    """Twice the signal with half the gain gives the same vectors: the gain is set by what is loud."""
    control = GainControl(target=20, time_shift=0, min_gain=1 / 256, max_gain=255.0, floor=0.0)
    path = featured(FeatureSet((Feature("mav"), Feature("rms"))), window=32, hop=32)
    path = msgspec.structs.replace(path, gain_control=control)
    counts = np.random.default_rng(0).integers(-2000, 2001, (3 + 32 * 9, 2))
    quiet, loud = PathRunner(path), PathRunner(path)
    first, _ = quiet.feature_levels(counts)
    second, _ = loud.feature_levels(2 * counts)
    assert len(first) == 9
    np.testing.assert_allclose(second[0], first[0] + 65536, atol=20)  # one octave, before the gain moves
    np.testing.assert_allclose(second[2:], first[2:], atol=20)
    np.testing.assert_allclose(loud.gains, quiet.gains / 2, rtol=1e-3)
    whole, _ = PathRunner(path).windows(counts)
    chain = Chain(path, DecisionRule(), 2)
    seen = [chain.window.copy() for event in chain.feed(counts) if event & Event.WINDOW]
    np.testing.assert_array_equal(seen, whole)


def test_a_gap_and_a_restored_state_forget_and_keep_the_window() -> None:
    path = featured(ALL)
    counts = noise(120, 2, 5)
    whole, _ = PathRunner(path).windows(counts)
    runner, other = PathRunner(path), PathRunner(path)
    runner.windows(counts[:61])
    other.windows(noise(50, 2, 6))
    other.restore(runner.state())
    np.testing.assert_array_equal(other.windows(counts[61:])[0], runner.windows(counts[61:])[0])
    chain = Chain(path, DecisionRule(), 2)
    for _ in chain.feed(noise(50, 2, 7)):
        pass
    seen = [chain.window.copy() for event in chain.feed(counts, 1000) if event & Event.WINDOW]
    np.testing.assert_array_equal(seen, whole)


def true_level(kind: Kind, x: NDArray[np.float64], bins: tuple[int, int]) -> float:
    """A feature of one channel in float64, its logarithm where it is a size."""
    if kind == "mav":
        return math.log2(256 * np.abs(x).mean())
    if kind == "waveform_length":
        return math.log2(np.abs(np.diff(x)).sum())
    if kind == "rms":
        return math.log2(256 * math.sqrt((x * x).mean()))
    power = periodogram(x, 1.0, "hann", 64)[1][bins[0] : bins[1] + 1].sum() / 64
    return math.log2(power)


def test_from_counts_to_vector_within_one_step_of_float64() -> None:
    """Filter, scale, features and standardisation, all in float64, beside the device's integers."""
    filters = [Filter("bandpass", (20.0, 400.0), 2)]
    path = path_of(DESIGN.stages, bits=16, shift=DESIGN.shift, settle=80, window=60, hop=20)
    rng = np.random.default_rng(1)
    loudness = np.repeat(10 ** rng.uniform(1.5, 3.7, 60), 100)
    counts = np.rint(rng.normal(0, 1, 6000) * loudness).clip(-(2**15), 2**15 - 1).astype(np.int32)[:, None]
    multiplier, right_shift = normalise(PathRunner(path).filter(counts)[80:], 100.0)
    path = msgspec.structs.replace(path, multiplier=multiplier, right_shift=right_shift)
    chosen: list[str | FeatureSettings] = [
        "mav",
        "waveform_length",
        "rms",
        FeatureSettings(kind="log_band_power", band_hz=(50, 150)),
    ]
    path = with_features(path, chosen)
    levels, ends = PathRunner(path).feature_levels(counts)
    path = msgspec.structs.replace(path, feature_scale=standardise(levels))
    vectors, _ = PathRunner(path).windows(counts)

    ((block,),) = ideal_segments(filters, 1000.0)
    scale = 2.0**path.shift * multiplier[0] / 2.0 ** (31 + right_shift[0] - 8)
    x = sosfilt(block.sos, counts[:, 0].astype(np.float64)) * scale
    assert path.features is not None
    features = path.features.features
    exact = np.array(
        [[true_level(f.kind, x[end - 59 : end + 1], f.bins) for f in features] for end in ends.tolist()]
    )
    wanted = 32 * (exact - exact.mean(axis=0)) / exact.std(axis=0)
    error = np.abs(vectors[:, 0] - wanted.clip(-128, 127))
    assert error.max() <= 1.0
    assert vectors.std(axis=(0, 1)) == pytest.approx(32, abs=0.5)


@pytest.mark.parametrize("target", TARGETS)
def test_every_processor_gives_the_host_s_vectors(target: str) -> None:
    path = featured(ALL, window=40, hop=16)
    outputs = np.array([[90, -100], [-100, 90]], np.int8)
    case = Case(path, DecisionRule(), outputs, stream(signals(path, 700, 3), start=5, seed=1))
    assert_same(on_target(target, case), on_host(case))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"feature_scale": ()}, "must have one entry per feature and channel"),
        ({"features": None}, "must be empty"),
        ({"window": 65, "hop": 9}, "at most 64 samples"),
        ({"features": FeatureSet(())}, "there is no feature"),
        ({"feature_scale": (FeatureScale(-1, 1, 0),) * 10}, "a feature's scale"),
        ({"feature_scale": (FeatureScale(1, 0, 0),) * 10}, "a feature's scale"),
        ({"feature_scale": (FeatureScale(1, 63, 0),) * 10}, "a feature's scale"),
        ({"feature_scale": (FeatureScale(1, 1, 2**62 + 1),) * 10}, "a feature's scale"),
    ],
)
def test_a_bad_path_is_refused(change: dict[str, Any], sentence: str) -> None:
    path = featured(ALL)
    path.validate()
    with pytest.raises(InnervateError, match=sentence):
        msgspec.structs.replace(path, **change).validate()


def test_a_path_without_features_has_no_levels() -> None:
    with pytest.raises(InnervateError, match="no features"):
        PathRunner(path_of()).feature_levels(np.zeros((9, 1), np.int32))


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (["loudness"], "There is no feature 'loudness'"),
        ([FeatureSettings(kind="zero_crossings", threshold=2.0)], "a threshold of 2"),
        ([FeatureSettings(kind="band_power", band_hz=(400.0, 600.0))], "a band from 400 to 600 Hz"),
        ([FeatureSettings(kind="autoregression", order=9)], "order is 9"),
    ],
)
def test_bad_settings_are_refused(settings: list[str | FeatureSettings], sentence: str) -> None:
    with pytest.raises(InnervateError, match=sentence):
        with_features(path_of(window=40), settings)


def test_settings_become_features_and_names() -> None:
    edge = FeatureSettings(kind="spectral_edge", band_hz=(1.0, 10.0), share=0.9)
    path = with_features(path_of(channels=2, window=4000), ("hudgins", "eeg_bands", edge))
    assert path.features is not None
    assert path.features.spectrum_length == 4096
    assert path.model_shape == (1, 2 * 10)
    # Bins lie 1000 / 4096 Hz apart; the threshold is a hundredth of 32767.
    assert path.model_columns[:5] == (
        "c0 mav",
        "c0 waveform_length",
        "c0 zero_crossings[328]",
        "c0 slope_sign_changes[328]",
        "c0 log_band_power[3-16]",
    )
    assert path.model_columns[-1] == "c1 spectral_edge[0.9,5-40]"
    assert msgspec.json.decode(msgspec.json.encode(path), type=SignalPath) == path
