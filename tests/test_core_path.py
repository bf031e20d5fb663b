"""Normalisation and windows, against numpy over the filtered signal."""

import itertools
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import Cascade, Filter, Gates, InnervateError, PathRunner, Section, SignalPath
from edge.path_runner import PathState
from tests.core_paths import path_of
from train.filter_design import design

DESIGN = design([Filter("bandpass", (20.0, 400.0), 2)], 1000.0, 16)


@dataclass
class Expected:
    windows: NDArray[np.int8]
    ends: list[int]


def rounded_int8(path: SignalPath, filtered: NDArray[np.int32]) -> NDArray[np.int8]:
    """float64 holds every step exactly: products of int32 by a power of two."""
    halved = np.floor(filtered.astype(np.float64) / 2 + 0.5)
    scaled = halved / 2.0 ** np.array(path.right_shift)
    away = np.copysign(np.floor(np.abs(scaled) + 0.5), scaled)
    saturated: NDArray[np.int8] = np.clip(away, -128, 127).astype(np.int8)
    return saturated


def expected(path: SignalPath, counts: NDArray[np.int64]) -> Expected:
    rows = rounded_int8(path, PathRunner(path).filter(counts))
    ends = list(range(path.settle + path.window - 1, len(counts), path.hop))
    stacked = [rows[end - path.window + 1 : end + 1] for end in ends]
    shape = (0, path.window, len(path.channels))
    return Expected(np.array(stacked) if stacked else np.empty(shape, np.int8), ends)


@settings(max_examples=150, deadline=None)
@given(
    settle=st.integers(0, 30),
    window=st.integers(1, 20),
    hop=st.integers(1, 20),
    samples=st.integers(0, 120),
    cuts=st.lists(st.integers(0, 120), max_size=5),
    filtered=st.booleans(),
    channels=st.integers(1, 5),
)
def test_windows_in_any_chunks(
    settle: int, window: int, hop: int, samples: int, cuts: list[int], filtered: bool, channels: int
) -> None:
    path = path_of(
        DESIGN.stages if filtered else (),
        bits=16,
        shift=DESIGN.shift,
        channels=channels,
        settle=settle,
        window=window,
        hop=min(hop, window),
        right_shift=DESIGN.shift + 6,
    )
    counts = np.random.default_rng(samples).integers(-(2**15), 2**15, (samples, channels))
    want = expected(path, counts)
    runner = PathRunner(path)
    bounds = [0, *sorted(c % (samples + 1) for c in cuts), samples]
    parts = [runner.windows(counts[a:b]) for a, b in itertools.pairwise(bounds)]
    np.testing.assert_array_equal(np.concatenate([w for w, _ in parts]), want.windows)
    assert np.concatenate([e for _, e in parts]).tolist() == want.ends


def test_normalisation_rounds_and_saturates_at_the_edges() -> None:
    path = path_of(bits=16, shift=0, window=1, hop=1, right_shift=4)
    edges = np.array(
        [[v] for n in (0, 1, 126, 127, 128, 1023) for v in (32 * n + 14, 32 * n + 15, 32 * n + 16)]
    )
    edges = np.concatenate([edges, -edges])
    windows, _ = PathRunner(path).windows(edges)
    np.testing.assert_array_equal(windows[:, 0], rounded_int8(path, edges.astype(np.int32)))
    assert windows.max() == 127
    assert windows.min() == -128
    # Halved first, ties upwards; then by 16, ties away from zero: 15 becomes 8 becomes 1, -15 becomes -7.
    assert windows[:3, 0, 0].tolist() == [0, 1, 1]
    assert windows[18:21, 0, 0].tolist() == [0, 0, -1]


def test_counts_beyond_the_converter_are_clamped() -> None:
    path = path_of(bits=8, shift=4)
    got = PathRunner(path).filter(np.array([[127], [128], [2**40], [-128], [-129], [-(2**40)]]))
    assert got[:, 0].tolist() == [127 * 16] * 3 + [-128 * 16] * 3


def test_state_and_restore() -> None:
    path = path_of(DESIGN.stages, bits=16, shift=DESIGN.shift, channels=2, settle=7, window=9, hop=4)
    counts = np.random.default_rng(0).integers(-(2**15), 2**15, (200, 2))
    runner = PathRunner(path)
    runner.windows(counts[:101])
    saved = runner.state()
    first = runner.windows(counts[101:])
    other = PathRunner(path)
    other.restore(saved)
    second = other.windows(counts[101:])
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_reset_forgets_everything() -> None:
    path = path_of(DESIGN.stages, bits=16, shift=DESIGN.shift, settle=3)
    counts = np.random.default_rng(0).integers(-(2**15), 2**15, (50, 1))
    runner = PathRunner(path)
    first = runner.windows(counts)
    runner.reset()
    second = runner.windows(counts)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize(
    "state",
    [
        PathState(np.zeros(4, np.int32), np.zeros((4, 1), np.int8), 0, 0, 0, 0),
        PathState(np.zeros(3, np.int32), np.zeros((5, 1), np.int8), 0, 0, 0, 0),
        PathState(np.zeros(3, np.int32), np.zeros((4, 1), np.int8), 0, 0, 5, 0),
        PathState(np.zeros(3, np.int32), np.zeros((4, 1), np.int8), 0, 1, 0, 0),
    ],
)
def test_restore_refuses_the_state_of_another_path(state: PathState) -> None:
    with pytest.raises(InnervateError, match="another signal path"):
        PathRunner(path_of()).restore(state)


@pytest.mark.parametrize(
    ("counts", "match"),
    [
        (np.zeros((5, 3), np.int32), "3.*of 2 channels"),
        (np.zeros(5, np.int32), "of 2 channels"),
        (np.zeros((5, 2), np.float32), "must be integers"),
    ],
)
def test_wrong_counts_are_refused(counts: Any, match: str) -> None:
    runner = PathRunner(path_of(channels=2))
    with pytest.raises(InnervateError, match=match):
        runner.filter(counts)
    with pytest.raises(InnervateError, match=match):
        runner.windows(counts)


def test_json_round_trip() -> None:
    path = path_of(DESIGN.stages, bits=16, shift=DESIGN.shift)
    assert msgspec.json.decode(msgspec.json.encode(path), type=SignalPath) == path


GOOD = path_of(DESIGN.stages, bits=16, shift=DESIGN.shift, channels=2)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"channels": ()}, "channels"),
        ({"channels": ("a", "a")}, "channels"),
        ({"fs_hz": 0.0}, "fs_hz"),
        ({"fs_hz": float("nan")}, "fs_hz"),
        ({"uv_per_count": float("inf")}, "uv_per_count"),
        ({"counts_bits": 1}, "counts_bits"),
        ({"counts_bits": 33}, "counts_bits"),
        ({"shift": 17}, "shift"),
        ({"shift": -1}, "shift"),
        ({"settle": -1}, "settle"),
        ({"window": 0}, "window"),
        ({"hop": 0}, "hop"),
        ({"hop": 5}, "hop"),
        ({"gates": Gates(saturated_run=-1)}, "saturated_run"),
        ({"group_delay_ms": -1.0}, "group_delay_ms"),
        ({"multiplier": (1,)}, "multiplier"),
        ({"multiplier": (1, -1)}, "multiplier"),
        ({"multiplier": (1, 1 << 31)}, "multiplier"),
        ({"right_shift": (1, 32)}, "right_shift"),
        ({"stages": (Cascade((Section((1 << 31, 0, 0), (0, 0)),)),)}, r"sections\[0\]"),
        ({"stages": (Cascade((Section((0, 0, 0), (-(1 << 31), 0)),)),)}, r"sections\[0\]"),
        ({"stages": (Cascade((Section((0, 0, 0), (0, 0), weights=(129, 0)),)),)}, r"sections\[0\]"),
        ({"stages": (Cascade((Section((0, 0, 0), (0, 0), b_shift=4),)),)}, r"sections\[0\]"),
        ({"stages": (Cascade((Section((0, 0, 0), (0, 0), a_low=(1 << 17, 0)),)),)}, r"sections\[0\]"),
        ({"stages": (Cascade((Section((0, 0, 0), (0, 0)),) * 65),)}, "sections"),
    ],
)
def test_validate_names_the_field(change: dict[str, Any], field: str) -> None:
    GOOD.validate()
    with pytest.raises(InnervateError, match=field):
        msgspec.structs.replace(GOOD, **change).validate()
