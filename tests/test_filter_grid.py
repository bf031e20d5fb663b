"""Every design of the grid: exact, at least as exact as the peer, never overflowing, never cycling."""

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest

from edge import Cascade, Mix, PathRunner, Rectify, Stage
from tests import filter_grid
from tests.core_paths import path_of
from tests.filter_grid import EEG, GRID, Case, is_one_cascade, ours_db, peer_db
from train.filter_blocks import Response, response_of, segments_of
from train.filter_design import Design, design, predicted_accuracy
from train.filter_proof import prove_stages

LEAST_DB = (120.0, 75.0)
CHANNELS = tuple("abcdefgh")

every_case = pytest.mark.parametrize("case", GRID, ids=str)


@cache
def designed(case: Case) -> Design:
    return design(case.filters, case.fs_hz, 24)


@cache
def measured(case: Case) -> tuple[float, ...]:
    return ours_db(case, designed(case))


def test_the_grid_is_as_large_as_promised() -> None:
    assert len(set(map(str, GRID))) == len(GRID) >= 40
    assert min(len(EEG), len(GRID) - len(EEG)) >= 15
    assert sum(map(is_one_cascade, GRID)) >= 40


@every_case
def test_signal_to_error(case: Case) -> None:
    assert all(got >= least for got, least in zip(measured(case), LEAST_DB, strict=True))


@every_case
def test_accuracy_is_what_the_designer_predicts(case: Case) -> None:
    """To within 2 dB; after a rectifier the prediction supposes the worst spectrum: never too much."""
    predicted = predicted_accuracy(case.filters, case.fs_hz, designed(case).stages)
    envelope = any(f.kind == "envelope" for f in case.filters)
    for got, expected in zip(measured(case), predicted, strict=True):
        assert -2 < got - expected < (10 if envelope else 2)


@pytest.mark.parametrize("case", [case for case in GRID if is_one_cascade(case)], ids=str)
def test_at_least_as_exact_as_the_peer(case: Case) -> None:
    pytest.importorskip("cmsisdsp", reason="no wheel of cmsisdsp for this Python")
    assert all(got >= peer for got, peer in zip(measured(case), peer_db(case), strict=True))


@every_case
def test_silence_settles_to_a_constant_within_one_lsb(case: Case) -> None:
    d = designed(case)
    factor = math.prod(stage.decimation for stage in d.stages)
    counts = np.random.default_rng(4).integers(-(2**23), 2**23, (2000, 4))
    counts[:, 1] = np.where(np.arange(2000) // 50 % 2, 2**23 - 1, -(2**23))  # full-scale square waves
    counts[:, 2] = np.where(np.arange(2000) // 3 % 2, 2**23 - 1, -(2**23))
    counts[:, 3] = 2**23 - 1
    silence = np.zeros(((20 * d.settle + 1000) * factor, 4), np.int64)
    tail = filter_grid.run(d, np.concatenate([counts, silence]))[-1000:]
    assert np.ptp(tail, axis=0).max() == 0
    assert np.abs(tail).max() <= 1


def prefixes(stages: tuple[Stage, ...]) -> Iterator[tuple[Stage, ...]]:
    """The stages up to each value that the proof bounds."""
    for i, stage in enumerate(stages):
        if isinstance(stage, Cascade):
            for k in range(len(stage.sections)):
                yield (*stages[:i], Cascade(stage.sections[: k + 1]))
        else:
            yield stages[: i + 1]


def shortened(response: Response) -> Response:
    """Without the tail that cannot move the result by 1e-4 of the largest."""
    after = np.cumsum(np.abs(response.values[::-1]))[::-1]
    return response._replace(values=response.values[: np.count_nonzero(after > 1e-4 * after[0])])


def check_bounds(d: Design) -> int:
    """Drive every section and stage with the counts made for it; return how many there are."""
    bounds = prove_stages(d.stages, 24, d.shift).signal_bounds
    parts = list(prefixes(d.stages))
    for stages, bound in zip(parts, bounds, strict=True):
        starts = [i for i, stage in enumerate(stages) if isinstance(stage, Rectify)]
        rectified = starts[-1] if starts else -1
        mixes = [stage for stage in stages if isinstance(stage, Mix)]
        response = shortened(response_of(segments_of(stages)[-1]))
        # The last sample given is for a sample taken whose number is a multiple of the decimation.
        room = -(-len(response.values) // response.step) * response.step + 1
        values = np.zeros(room)
        values[-len(response.values) :] = response.values[::-1]
        if rectified > 0:
            # What follows a rectifier is driven by the largest values that come out of it.
            most = int(bounds[len(list(prefixes(stages[: rectified + 1]))) - 1])
            drives = [np.where(values > 0, most, 0)[:, None], np.where(values < 0, most, 0)[:, None]]
            path = path_of(stages[rectified:], bits=32, shift=0)
        elif rectified == 0:
            drives = [np.where(values > 0, -(2**23), 0)[:, None], np.where(values < 0, -(2**23), 0)[:, None]]
            path = path_of(stages, shift=d.shift)
        else:
            weights = np.array(mixes[0].weights) if mixes else np.ones((1, 1))
            row = weights[np.abs(weights).sum(axis=1).argmax()]
            high = values[:, None] * row > 0
            drives = [np.where(high, 2**23 - 1, -(2**23)), np.where(high, -(2**23), 2**23 - 1)]
            path = path_of(stages, shift=d.shift, channels=len(row))
        peaks = [np.abs(PathRunner(path).filter(one)[-1].astype(np.int64)).max() for one in drives]
        assert max(peaks) <= bound < 2**31
        assert max(peaks) >= 0.9 * bound
    return len(parts)


@every_case
def test_worst_counts_stay_within_the_proved_bounds_and_reach_them(case: Case) -> None:
    d = designed(case)
    assert check_bounds(d) >= len(d.stages)


@pytest.mark.parametrize("montage", ["common_average", "bipolar", {"x": {"a": 0.3, "c": -0.7, "h": 0.25}}])
def test_bounds_hold_behind_a_montage(montage: object) -> None:
    case = Case(250.0, EEG[10].filters)
    d = design(case.filters, case.fs_hz, 24, CHANNELS, montage)  # type: ignore[arg-type]
    assert isinstance(d.stages[0], Mix)
    assert check_bounds(d) > 1
