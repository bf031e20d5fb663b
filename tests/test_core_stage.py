"""FIR, decimation, montage and rectifier: exact against Python integers, close to scipy, in any chunks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from edge import Cascade, Fir, InnervateError, Mix, PathRunner, Rectify, Section, SignalPath, Stage
from tests.core_paths import path_of
from tests.test_core_biquad import model as cascade_model

Ints = NDArray[np.int64]
Rows = list[list[int]]
"""One list of values per sample."""

INT32_MAX = 2**31 - 1


def rounded(total: int, shift: int) -> int:
    """Nearest, halves upwards, limited to int32; in Python's unbounded integers."""
    return max(-INT32_MAX - 1, min(INT32_MAX, (total + (1 << shift >> 1)) >> shift))


def model(stage: Stage, rows: Rows) -> Rows:
    """What core/stage.h says, in Python's unbounded integers."""
    if isinstance(stage, Cascade):
        columns = [cascade_model(stage.sections, [row[c] for row in rows]) for c in range(len(rows[0]))]
        return [list(row) for row in zip(*columns, strict=True)]
    if isinstance(stage, Mix):
        return [
            [
                rounded(sum(w * x for w, x in zip(ws, row, strict=True)), stage.right_shift)
                for ws in stage.weights
            ]
            for row in rows
        ]
    if isinstance(stage, Rectify):
        return [[min(abs(x), INT32_MAX) for x in row] for row in rows]
    return [
        [
            rounded(sum(w * rows[n - k][c] for k, w in enumerate(stage.weights) if n >= k), 30)
            for c in range(len(rows[0]))
        ]
        for n in range(0, len(rows), stage.factor)
    ]


weight = st.integers(-(2**27), 2**27) | st.sampled_from([INT32_MAX, -INT32_MAX, 0, 1, -1])


@st.composite
def stages(draw: st.DrawFn, channels: int) -> tuple[Stage, ...]:
    chosen: list[Stage] = []
    for kind in draw(st.lists(st.sampled_from(["cascade", "fir", "mix", "rectify"]), max_size=4)):
        if kind == "fir":
            taps = draw(st.lists(weight, min_size=1, max_size=9).filter(lambda w: sum(map(abs, w)) < 2**32))
            chosen.append(Fir(tuple(taps), draw(st.integers(1, 4))))
        elif kind == "mix":
            outputs = draw(st.integers(1, 5))
            row = st.lists(weight, min_size=channels, max_size=channels).filter(
                lambda w: sum(map(abs, w)) < 2**32
            )
            weights = tuple(tuple(draw(row)) for _ in range(outputs))
            channels = outputs
            names = tuple(f"m{i}" for i in range(outputs))
            chosen.append(Mix(names, weights, draw(st.integers(0, 31))))
        elif kind == "cascade":
            chosen.append(Cascade((Section((2**29, -(2**30), 2**29), (-(2**30), 2**28), (0, 5), (64, -16)),)))
        else:
            chosen.append(Rectify())
    return tuple(chosen)


@settings(max_examples=150, deadline=None)
@given(data=st.data(), channels=st.integers(1, 4), seed=st.integers(0, 2**32 - 1))
def test_any_stages_in_any_chunks_give_the_integers_of_the_model(
    data: st.DataObject, channels: int, seed: int
) -> None:
    path = path_of(
        data.draw(stages(channels)), channels=channels, bits=24, shift=8, settle=3, window=5, hop=2
    )
    path.validate()
    rng = np.random.default_rng(seed)
    counts = rng.integers(-(2**23), 2**23, (70, channels))
    counts[rng.random((70, channels)) < 0.1] = -(2**23)
    rows: Rows = (counts << 8).tolist()
    for stage in path.stages:
        rows = model(stage, rows)

    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, 70), max_size=6))), 70]
    runner = PathRunner(path)
    got = [runner.filter(counts[a:b]) for a, b in itertools.pairwise(cuts)]
    assert np.concatenate(got).tolist() == rows

    bulk, ends = PathRunner(path).windows(counts)
    split = PathRunner(path)
    parts = [split.windows(counts[a:b]) for a, b in itertools.pairwise(cuts)]
    np.testing.assert_array_equal(np.concatenate([w for w, _ in parts]), bulk)
    assert np.concatenate([e for _, e in parts]).tolist() == ends.tolist()
    every = path.decimation
    last = range((3 + 5 - 1) * every, 70, 2 * every)
    assert ends.tolist() == list(last)
    if len(ends):
        assert ends[0] + 1 == path.samples_for(1)


def test_state_goes_on_in_the_middle_of_a_decimation() -> None:
    stages = (Fir((2**28, 2**29, 2**28), 3), Rectify(), Fir((2**30,), 2))
    path = path_of(stages, channels=2, window=4, hop=2)
    counts = np.random.default_rng(0).integers(-(2**23), 2**23, (100, 2))
    runner = PathRunner(path)
    runner.windows(counts[:43])
    state = runner.state()
    other = PathRunner(path)
    other.restore(state)
    windows, ends = runner.windows(counts[43:])
    again, again_ends = other.windows(counts[43:])
    np.testing.assert_array_equal(windows, again)
    np.testing.assert_array_equal(ends, again_ends)


def test_a_decimating_fir_is_scipys_filter_and_every_nth_sample() -> None:
    taps = np.round(signal.firwin(41, 0.2) * 2**30).astype(np.int64)
    counts = np.random.default_rng(1).integers(-(2**23), 2**23, (500, 3))
    wanted = signal.lfilter(taps / 2.0**30, 1.0, counts.astype(np.float64), axis=0)[::4] * 2**7
    got = PathRunner(path_of((Fir(tuple(taps.tolist()), 4),), channels=3, shift=7)).filter(counts)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 0.5 + 1e-6


def test_a_montage_takes_and_gives_other_numbers_of_channels() -> None:
    rows = ((1, -1, 0), (0, 1, -1), (1, 0, -1), (1, 1, 1))
    path = path_of((Mix(("a-b", "b-c", "a-c", "sum"), rows),), channels=3, bits=16, shift=0)
    counts = np.random.default_rng(2).integers(-(2**15), 2**15, (50, 3))
    assert path.outputs == ("a-b", "b-c", "a-c", "sum")
    np.testing.assert_array_equal(PathRunner(path).filter(counts), counts @ np.array(rows).T)


def test_limits_hold_where_sums_do_not_fit() -> None:
    double = Mix(("x",), ((INT32_MAX, INT32_MAX),), 31)
    path = path_of((double, Rectify()), channels=2, bits=24, shift=8)
    low = -(2**23)
    got = PathRunner(path).filter(np.array([[low, low], [2**23 - 1, 2**23 - 1]]))
    assert got[:, 0].tolist() == [INT32_MAX, INT32_MAX]
    # Rectified, the lowest int32 is the highest: there is no other.
    alone = PathRunner(path_of((Rectify(),), bits=24, shift=8)).filter(np.array([[low]]))
    assert alone[0, 0] == INT32_MAX


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (Cascade(()), "sections"),
        (Fir(()), "weights"),
        (Fir((1,), 0), "factor"),
        (Fir((1,), 256), "factor"),
        (Fir((2**31,)), "32 bits"),
        (Fir((INT32_MAX,) * 3), "below 2"),
        (Mix((), ()), "channels"),
        (Mix(("a", "a"), ((1, 1), (1, 1))), "differ"),
        (Mix(("a", "b"), ((1, 1),)), "one row"),
        (Mix(("a",), ((1,),)), "2 weights"),
        (Mix(("a",), ((INT32_MAX, INT32_MAX),), 32), "right_shift"),
    ],
)
def test_stages_that_the_core_cannot_run_are_refused(stage: Stage, words: str) -> None:
    path = path_of((), channels=2)
    with pytest.raises(InnervateError, match=words):
        SignalPath(**{f: getattr(path, f) for f in path.__struct_fields__} | {"stages": (stage,)}).validate()
