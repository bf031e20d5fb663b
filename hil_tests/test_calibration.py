"""A device calibrates itself to the host's integers, keeps them over a reset, refuses what is not its own."""

from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from edge import device_calibration
from edge.bundle import Bundle
from edge.calibration import Calibration, Calibrator
from edge.decision import Decision
from edge.errors import InnervateError
from edge.golden import Golden
from edge.link import Link
from edge.messages import CalibrationPhase
from edge.pipeline import Pipeline
from hil_tests.conftest import ready
from hil_tests.parity import decision_rows

FILTERED = 200
"""Samples of each phase, after the filters have settled."""


def noise(bundle: Bundle, share: float, seed: int) -> NDArray[np.int32]:
    """White noise within a share of the converter's range, louder from channel to channel."""
    path = bundle.signal_path
    shape = ((path.settle + FILTERED) * path.decimation, len(path.channels))
    loud = max(1.0, share * 2 ** (path.counts_bits - 1)) * np.linspace(0.5, 1, shape[1])
    counts: NDArray[np.float64] = np.random.default_rng(seed).uniform(-loud, loud, shape)
    return np.rint(counts).astype(np.int32)


@pytest.fixture
def rest(bundle: Bundle) -> NDArray[np.int32]:
    return noise(bundle, 0.01, 1)


@pytest.fixture
def mvc(bundle: Bundle) -> NDArray[np.int32]:
    return noise(bundle, 0.5, 2)


@pytest.fixture
def expected(bundle: Bundle, rest: NDArray[np.int32], mvc: NDArray[np.int32]) -> Calibration:
    calibrator = Calibrator(bundle.signal_path, bundle.hash)
    calibrator.rest(rest)
    return calibrator.mvc(mvc)


@pytest.fixture
def clean(link: Link) -> Iterator[Link]:
    yield link
    device_calibration.write(link, None)


def test_device_calibrates_as_the_host_and_remembers(
    clean: Link,
    bundle: Bundle,
    pipeline: Pipeline,
    golden: Golden,
    rest: NDArray[np.int32],
    mvc: NDArray[np.int32],
    expected: Calibration,
) -> None:
    path = bundle.signal_path
    counts = golden.counts[: path.samples_for(3)]
    trained = decision_rows(pipeline.push(counts))
    assert clean.calibrate(path, rest, mvc) == expected
    clean.reset()
    ready(clean, bundle)
    assert device_calibration.read(clean, path) == expected
    clean.start()
    got = [event for event in clean.stream(counts) if isinstance(event, Decision)]
    pipeline.use(expected)
    assert decision_rows(got).tolist() == decision_rows(pipeline.push(counts)).tolist()
    device_calibration.write(clean, None)
    clean.reset()
    ready(clean, bundle)
    assert device_calibration.read(clean, path) is None
    clean.start()
    got = [event for event in clean.stream(counts) if isinstance(event, Decision)]
    assert decision_rows(got).tolist() == trained.tolist()


def test_refuses_what_is_damaged_or_another_bundle_s(
    clean: Link, bundle: Bundle, expected: Calibration
) -> None:
    path = bundle.signal_path
    device_calibration.write(clean, expected)
    foreign = msgspec.structs.replace(expected, bundle="0" * 16)
    impossible = msgspec.structs.replace(expected, rest=expected.mvc)
    for wrong in (foreign, impossible):
        with pytest.raises(InnervateError, match="refused the calibration"):
            device_calibration.write(clean, wrong)
        assert device_calibration.read(clean, path) == expected
    clean.reset()
    assert device_calibration.read(clean, path) == expected


def test_says_why_a_phase_is_refused(
    clean: Link, bundle: Bundle, rest: NDArray[np.int32], mvc: NDArray[np.int32]
) -> None:
    path = bundle.signal_path
    with pytest.raises(InnervateError, match=r"1\.5 times as loud"):
        clean.calibrate(path, mvc, mvc)
    limit = np.full_like(mvc, -(2 ** (path.counts_bits - 1)))
    with pytest.raises(InnervateError, match="at the converter's limits"):
        clean.calibrate(path, rest, limit)
    assert device_calibration.read(clean, path) is None
    clean.reset()
    with pytest.raises(InnervateError, match="without its rest phase"):
        device_calibration.gather(clean, path, CalibrationPhase.MVC, 9, 4.0, lambda *_: None, mvc)
