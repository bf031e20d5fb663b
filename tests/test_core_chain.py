"""The chain: indices, gaps, late samples and saturation, against a model written from core/chain.h."""

import itertools
from typing import NamedTuple

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import (
    Chain,
    Decision,
    DecisionRule,
    Event,
    Filter,
    Flag,
    Gates,
    InnervateError,
    PathRunner,
    SignalPath,
)
from tests.core_paths import path_of
from train.filter_design import design

FILTERS = design([Filter("highpass", (20.0,), 2)], 1000.0, 8)
PATH = path_of(
    FILTERS.stages,
    bits=8,
    shift=FILTERS.shift,
    channels=2,
    settle=3,
    window=5,
    hop=2,
    right_shift=FILTERS.shift - 1,
)
RULE = DecisionRule(0.0, 1, 1)
SURE = np.array([127, -128], np.int8)


Counts = NDArray[np.int64]


class Seen(NamedTuple):
    kind: str
    window_index: int
    sample_index: int
    saturated: bool
    window: bytes


def expected(path: SignalPath, pieces: list[tuple[int, Counts]]) -> tuple[list[Seen], int, int]:
    """Events, gaps and late samples for pieces (first index, counts)."""
    seen: list[Seen] = []
    runs: list[list[tuple[int, Counts]]] = []
    gaps = late = 0
    for first, counts in pieces:
        for i, row in enumerate(counts):
            index = (first + i) % 2**32
            ahead = (index - runs[-1][-1][0] - 1) % 2**32 if runs else None
            if ahead is not None and ahead >= 2**31:
                late += 1
                continue
            if ahead is None or ahead > 0:
                gaps += ahead is not None
                runs.append([])
            runs[-1].append((index, row))
    windows = 0
    for number, run in enumerate(runs):
        if number:
            seen.append(Seen("gap", windows, run[0][0], False, b""))
        rows = np.array([row for _, row in run])
        at_limit = ((rows >= 127) | (rows <= -128)).any(axis=1)
        made, ends = PathRunner(path).windows(rows)
        for window, end in zip(made, ends.tolist(), strict=True):
            limit = any(
                at_limit[i - path.gates.saturated_run + 1 : i + 1].all()
                for i in range(end + 1 - path.window_samples, end + 1)
                if i + 1 >= path.gates.saturated_run
            )
            seen.append(Seen("window", windows, run[end][0], limit, window.tobytes()))
            windows += 1
    return seen, gaps, late


def observed(chain: Chain, pieces: list[tuple[int, Counts]]) -> list[Seen]:
    seen = []
    for first, counts in pieces:
        for event in chain.feed(counts, first):
            if event & Event.GAP:
                d = chain.gap()
                assert (d.label, d.flags, d.confidence) == (None, Flag.GAP, 0)
                seen.append(Seen("gap", d.window_index, d.sample_index, False, b""))
            if event & Event.WINDOW:
                window = chain.window.tobytes()
                d = chain.decide(SURE)
                assert (d.label, d.flags) in [(0, 0), (None, Flag.SATURATED)]
                saturated = bool(d.flags)
                seen.append(Seen("window", d.window_index, d.sample_index, saturated, window))
    return seen


@settings(max_examples=200, deadline=None)
@given(
    start=st.sampled_from([0, 1000, 2**31 - 20, 2**32 - 20]),
    steps=st.lists(st.tuples(st.sampled_from([0, 0, 0, 1, 7, -1, -4]), st.integers(1, 30)), max_size=12),
    seed=st.integers(0, 2**32 - 1),
    saturated_run=st.integers(1, 3),
)
def test_streams_with_gaps_repeats_and_saturation(
    start: int, steps: list[tuple[int, int]], seed: int, saturated_run: int
) -> None:
    path = msgspec.structs.replace(PATH, gates=Gates(saturated_run=saturated_run))
    rng = np.random.default_rng(seed)
    pieces = []
    for jump, length in steps:
        start += jump
        counts = rng.integers(-100, 100, (length, 2))
        counts[rng.random(counts.shape) < rng.choice([0.02, 0.3])] = rng.choice([127, -128])
        pieces.append((start % 2**32, counts))
        start += length
    want, gaps, late = expected(path, pieces)
    chain = Chain(path, RULE, 2)
    assert observed(chain, pieces) == want
    assert (chain.gaps, chain.late) == (gaps, late)
    # A reset chain is a new chain, whatever came before.
    chain.reset()
    assert (chain.gaps, chain.late, chain.expected) == (0, 0, 0)
    assert observed(chain, pieces) == want


def test_chunks_do_not_matter() -> None:
    counts = np.random.default_rng(0).integers(-128, 128, (100, 2))
    whole = observed(Chain(PATH, RULE, 2), [(50, counts)])
    bounds = [0, 1, 2, 17, 18, 60, 100]
    pieces = [(50 + a, counts[a:b]) for a, b in itertools.pairwise(bounds)]
    assert observed(Chain(PATH, RULE, 2), pieces) == whole
    assert len(whole) == (100 - PATH.settle - PATH.window) // PATH.hop + 1


def test_indices_go_on_by_themselves() -> None:
    counts = np.random.default_rng(0).integers(-100, 100, (40, 2))
    chain = Chain(PATH, RULE, 2)
    decisions: list[Decision] = [chain.decide(SURE) for part in np.split(counts, 4) for _ in chain.feed(part)]
    assert [d.sample_index for d in decisions] == list(range(7, 40, 2))
    assert chain.expected == 40


def test_stale_clears_votes_and_keeps_the_filter() -> None:
    chain = Chain(PATH, DecisionRule(0.0, 3, 2), 2)
    counts = np.zeros((PATH.settle + PATH.window + 2 * PATH.hop, 2), np.int32)
    first, *_ = [chain.decide(SURE) for _ in chain.feed(counts)]
    assert first.flags == Flag.NO_MAJORITY
    stale = chain.stale()
    assert (stale.label, stale.flags, stale.sample_index) == (None, Flag.STALE, len(counts) - 1)
    again = [chain.decide(SURE) for _ in chain.feed(counts[: 2 * PATH.hop])]
    assert [d.flags for d in again] == [Flag.NO_MAJORITY, 0]


def test_wrong_counts_are_refused() -> None:
    with pytest.raises(InnervateError, match="of 2 channels"):
        list(Chain(PATH, RULE, 2).feed(np.zeros((4, 3), np.int32)))
