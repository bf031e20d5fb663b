"""Gain control against float64, in any chunks, over flagged windows and gaps."""

import itertools
from dataclasses import dataclass

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import Chain, DecisionRule, Event, Fir, Flag, Gates, InnervateError, PathRunner, SignalPath
from edge.firmware.bench.chain import TARGETS
from edge.gain import GainControl
from tests.core_paths import path_of
from tests.test_core_everywhere import Case, assert_same, on_host, on_target, stream

HALVED = Fir((1 << 28, 1 << 29, 1 << 28), 2)
FULL = 2**15 - 1


def controlled(
    control: GainControl,
    channels: int = 1,
    *,
    halved: int = 0,
    settle: int = 3,
    window: int = 6,
    hop: int = 4,
) -> SignalPath:
    """16-bit counts; an int8 step is 64 counts, a little less from channel to channel."""
    path = path_of(
        (HALVED,) * halved,
        bits=16,
        shift=8,
        channels=channels,
        right_shift=13,
        settle=settle,
        window=window,
        hop=hop,
    )
    return msgspec.structs.replace(
        path,
        multiplier=tuple((1 << 30) + (c << 26) for c in range(channels)),
        gain_control=control,
        gates=Gates(saturated_run=2),
    )


@dataclass
class Expected:
    """Of every window: the gain after it, the L it is made of, and what the window holds before rounding."""

    gain: list[NDArray[np.float64]]
    level: list[NDArray[np.float64]]
    window: list[NDArray[np.float64]]


def flagged(counts: NDArray[np.int64], last: int, span: int) -> bool:
    """Whether two samples on end with a limit end within the span up to `last`."""
    limit = ((counts >= FULL) | (counts <= -FULL - 1)).any(axis=1)
    pairs = np.r_[False, limit[1:] & limit[:-1]]
    return bool(pairs[max(0, last - span + 1) : last + 1].any())


def oracle(path: SignalPath, counts: NDArray[np.int64]) -> Expected:
    control = path.gain_control
    assert control is not None
    filtered = PathRunner(path).filter(counts)[path.settle :].astype(np.float64)
    scale = np.array(path.multiplier) / 2.0 ** (31 + np.array(path.right_shift))
    channels, time = len(scale), 2**control.time_shift
    gain, level, counted = np.ones(channels), np.zeros(channels), np.zeros(channels, int)
    scaled = np.empty_like(filtered)
    found = Expected([], [], [])
    start = 0
    for end in range(path.window, len(filtered) + 1, path.hop):
        scaled[start:end] = filtered[start:end] * scale * gain
        found.window.append(scaled[end - path.window : end])
        x = (np.abs(filtered[start:end]) * scale).mean(axis=0)
        if control.common:
            x[:] = x.mean()
        last = (path.settle + end - 1) * path.decimation
        fit = not flagged(counts, last, path.window_samples)
        for c in np.flatnonzero(x >= round(control.floor * 256) / 256):
            if fit:
                level[c] += (x[c] - level[c]) / min(counted[c] + 1, time)
                counted[c] += 1
            if counted[c] > time:
                wanted = control.target / level[c] if level[c] else np.inf
                low, high = round(control.min_gain * 256) / 256, round(control.max_gain * 256) / 256
                gain[c] = np.clip(wanted, low, high)
        found.gain.append(gain.copy())
        found.level.append(level.copy())
        start = end
    scaled[start:] = filtered[start:] * scale * gain
    return found


def contractions(samples: int, channels: int, seed: int) -> NDArray[np.int64]:
    """Noise whose strength changes, with silence, steps, and stretches at a limit of the converter."""
    rng = np.random.default_rng(seed)
    strength = np.repeat(rng.choice([0, 3, 300, 4000, 12000], (samples // 20 + 1, channels)), 20, axis=0)
    counts: NDArray[np.int64] = np.rint(rng.normal(0, 1, (samples, channels)) * strength[:samples]).astype(
        np.int64
    )
    counts = counts.clip(-FULL + 1, FULL - 1)
    for at in rng.integers(0, samples, 3):
        counts[at : at + rng.integers(1, 9), rng.integers(channels)] = FULL
    return counts


controls = st.builds(
    GainControl,
    target=st.integers(1, 127),
    time_shift=st.integers(0, 4),
    min_gain=st.sampled_from([1 / 256, 0.25, 1.0]),
    max_gain=st.sampled_from([1.0, 4.0, 255.0]),
    floor=st.sampled_from([0.0, 0.3, 20.0]),
    common=st.booleans(),
)


@settings(max_examples=80, deadline=None)
@given(
    control=controls,
    channels=st.integers(1, 3),
    halved=st.integers(0, 1),
    hop=st.integers(1, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_gain_and_windows_are_those_of_float64(
    control: GainControl, channels: int, halved: int, hop: int, seed: int
) -> None:
    path = controlled(control, channels, halved=halved, hop=hop)
    counts = contractions(400, channels, seed)
    want = oracle(path, counts)
    runner = PathRunner(path)
    assert runner.gains.tolist() == [1.0] * channels
    windows, gains = [], []
    for sample in counts:
        got, _ = runner.windows(sample[None])
        windows += list(got)
        gains += [runner.gains] * len(got)
    assert len(windows) == len(want.window)
    for gain, expected, level in zip(gains, want.gain, want.level, strict=True):
        # An x next to the floor may count on one side only: the draws do not come that near.
        bound = 2.0**-13 / np.maximum(level, 2.0**-13) + 2.0**-16 / expected + 2.0**-29
        assert (np.abs(gain / expected - 1) <= np.where(level < 2.0**-9, 255, bound)).all()
    for window, exact in zip(windows, want.window, strict=True):
        error = np.abs(window - np.clip(exact, -128, 127))
        assert (error <= 0.51 + np.abs(np.clip(exact, -128, 127)) * 2.0**-8).all()


CONTROL = GainControl(target=30, time_shift=2, floor=0.5)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=6), st.integers(0, 2**32 - 1), st.booleans())
def test_any_chunks_and_a_restored_state_give_the_same_windows(
    cuts: list[int], seed: int, common: bool
) -> None:
    path = controlled(msgspec.structs.replace(CONTROL, common=common), 2)
    counts = contractions(300, 2, seed)
    whole, ends = PathRunner(path).windows(counts)
    parts = []
    runner = PathRunner(path)
    for a, b in itertools.pairwise([0, *sorted(cuts), 300]):
        other = PathRunner(path)
        other.windows(contractions(50, 2, seed + 1))
        other.restore(runner.state())
        runner = other
        parts.append(runner.windows(counts[a:b]))
    np.testing.assert_array_equal(np.concatenate([w for w, _ in parts]), whole)
    np.testing.assert_array_equal(np.concatenate([e for _, e in parts]), ends)

    chain = Chain(path, DecisionRule(), 2)
    windows = [chain.window.copy() for event in chain.feed(counts) if event & Event.WINDOW]
    np.testing.assert_array_equal(windows, whole)
    runner.reset()
    np.testing.assert_array_equal(runner.windows(counts)[0], whole)


def square(samples: int, height: int) -> NDArray[np.int64]:
    """Of constant magnitude: its level is its height."""
    return (height * (1 - 2 * (np.arange(samples) % 2)))[:, None]


def test_after_a_step_the_level_has_moved_by_63_percent_in_a_time_constant() -> None:
    """1 - (1 - 1/T)^T of it; a step of int8 is 64 counts here."""
    path = controlled(GainControl(target=16, time_shift=6), hop=4, settle=0, window=4)
    runner = PathRunner(path)
    runner.windows(square(65 * 4, 640))
    assert runner.gains[0] == pytest.approx(16 / 10, rel=1e-4)
    runner.windows(square(64 * 4, 1280))
    level = 20 - 10 * (1 - 1 / 64) ** 64
    assert runner.gains[0] == pytest.approx(16 / level, rel=1e-4)
    control = path.gain_control
    assert control is not None
    assert control.seconds(path.hop, path.filtered_hz) == 64 * 4 / 1000


def test_rests_while_windows_are_flagged_or_below_the_floor() -> None:
    path = msgspec.structs.replace(controlled(CONTROL), gates=Gates(saturated_run=1))
    runner = PathRunner(path)
    runner.windows(square(60, 960))
    before = runner.gains[0]
    assert before == pytest.approx(2.0, rel=1e-3)
    runner.windows(np.full((40, 1), FULL))
    assert runner.gains[0] == before
    runner.windows(square(5, 20000))  # the hops of windows that still hold a limit
    assert runner.gains[0] == before
    runner.windows(square(200, 30))
    assert runner.gains[0] == pytest.approx(before, rel=0.5), "one hop holds both, below the floor none"
    quiet = runner.gains[0]
    runner.windows(square(200, 30))
    assert runner.gains[0] == quiet
    informed = msgspec.structs.replace(path, gates=Gates(saturated_run=1, inform=int(Flag.SATURATED)))
    runner = PathRunner(informed)
    runner.windows(square(60, 960))
    runner.windows(np.full((40, 1), FULL))
    assert runner.gains[0] == 0.25, "a flag that only informs does not stop it"


def test_a_gap_keeps_the_gain_and_a_reset_forgets_it() -> None:
    path = controlled(CONTROL, settle=0)
    chain = Chain(path, DecisionRule(), 2)

    def last_window(first: int) -> float:
        for _ in chain.feed(square(60, 960), first):
            pass
        return float(np.abs(chain.window).mean())

    assert last_window(0) == pytest.approx(30, abs=0.5)
    gap = list(itertools.islice(chain.feed(square(10, 960), 1000), 2))
    assert gap == [Event.GAP, Event.WINDOW]
    assert float(np.abs(chain.window).mean()) == pytest.approx(30, abs=0.5)
    chain.reset()
    for _ in itertools.islice(chain.feed(square(6, 960), 0), 1):
        assert float(np.abs(chain.window).mean()) == pytest.approx(15, abs=0.5)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("common", [False, True])
def test_every_processor_gives_the_host_s_windows(target: str, common: bool) -> None:
    path = controlled(msgspec.structs.replace(CONTROL, common=common), 2, window=12, hop=5)
    steps = stream(contractions(600, 2, 5).astype(np.int32), start=7, seed=3)
    case = Case(path, DecisionRule(), np.array([[10, -10], [-20, 20]], np.int8), steps)
    assert_same(on_target(target, case), on_host(case))


def test_extremes() -> None:
    path = msgspec.structs.replace(
        path_of(bits=32, shift=0, window=2, hop=2, right_shift=0),
        multiplier=(2**31 - 1,),
        gates=Gates(saturated_run=0),
        gain_control=GainControl(target=127, time_shift=15, min_gain=1 / 256, max_gain=255, floor=0),
    )
    runner = PathRunner(path)
    runner.windows(np.full((2**17, 1), -(2**31)))
    assert runner.gains[0] == pytest.approx(1 / 256, rel=1e-4)
    runner = PathRunner(path)
    windows, _ = runner.windows(np.zeros((2**17, 1), int))
    assert not windows.any()
    assert runner.gains[0] == pytest.approx(1, rel=1e-8), "as much as a shift of 0 lets it"


def test_mistakes_are_named() -> None:
    for name, value in (
        ("target", 0),
        ("target", 128),
        ("time_shift", 16),
        ("min_gain", 0.0),
        ("max_gain", 0.5),
        ("floor", -1.0),
        ("floor", float("nan")),
    ):
        with pytest.raises(InnervateError, match=f"gain_control {name}"):
            PathRunner(controlled(msgspec.structs.replace(CONTROL, **{name: value})))
    state = PathRunner(controlled(CONTROL)).state()
    with pytest.raises(InnervateError, match="another signal path"):
        PathRunner(msgspec.structs.replace(controlled(CONTROL), gain_control=None)).restore(state)
