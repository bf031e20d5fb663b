"""Calibration of a device over its link: phases to gather, its record to read and write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from edge import wire
from edge.calibration import Calibration, check_reason, headroom_steps, settled_samples
from edge.errors import InnervateError
from edge.messages import (
    Calibrate,
    CalibrationPhase,
    CalibrationRecord,
    ClearCalibration,
    GetCalibration,
    Refused,
    SetCalibration,
)
from edge.signal_path import SignalPath

if TYPE_CHECKING:
    from edge.link import Link

Gathered = Callable[[int, int], None]
"""Called with filtered samples gathered, and wanted."""

PATIENCE_SECONDS: Final = 3.0
"""Longest wait for a sign of progress, beside a fifth of the phase: signs come in tenths of it."""


def calibrate(
    link: Link,
    path: SignalPath,
    rest: NDArray[np.integer[Any]],
    mvc: NDArray[np.integer[Any]],
    headroom: float,
    gathered: Gathered,
) -> Calibration:
    """Have a device calibrate itself from counts; it stores and uses what it finds. Ends a stream.

    Args:
        link: to the device.
        path: of the bundle that the device runs.
        rest: counts [n, channels] of the muscle at rest, some seconds.
        mvc: counts [n, channels] of the movements, as hard as can be.
        headroom: times the MVC level that becomes full scale of int8.
        gathered: told how far each phase is.

    Raises:
        InnervateError: the device refuses the calibration, and why, and keeps the one it had; no answer.
    """
    for phase, counts in ((CalibrationPhase.REST, rest), (CalibrationPhase.MVC, mvc)):
        samples = settled_samples(path, len(counts), "mvc" if phase else "rest")
        gather(link, path, phase, samples, headroom, gathered, counts)
    return found(link, path)


def gather(
    link: Link,
    path: SignalPath,
    phase: CalibrationPhase,
    samples: int,
    headroom: float,
    gathered: Gathered,
    counts: NDArray[np.integer[Any]] | None = None,
) -> None:
    """Have a device gather the filtered samples of one phase.

    Args:
        link: to the device.
        path: of the bundle that the device runs.
        phase: rest first.
        samples: filtered samples after the filters have settled.
        headroom: of the MVC phase.
        gathered: told how far the phase is.
        counts: [n, channels] to send; None for a device that has a converter of its own.

    Raises:
        InnervateError: as `calibrate`, or the device got too few samples.
    """
    link.calibration_result = None
    link.confirm(link.send(Calibrate(phase, headroom_steps(headroom), samples)))
    for _ in link.stream(counts) if counts is not None else ():
        raise InnervateError(
            "the device decides while it calibrates", link.device.url, "Build and flash its firmware again"
        )
    patience = PATIENCE_SECONDS + samples / path.filtered_hz / 5
    progress, done = time.monotonic(), -1
    while True:
        result = link.calibration_result
        if result is not None and result.gathered > done:
            progress, done = time.monotonic(), result.gathered
            gathered(done, samples)
            if done >= samples:
                return check_reason(result.reason, result.channel, path)
        if time.monotonic() - progress > patience:
            none = "Give counts of rest and contraction: this firmware has no converter of its own"
            raise InnervateError(
                f"the device gathered {max(done, 0)} of {samples} samples",
                link.device.url,
                none if counts is None else "Try again: samples were lost on the way",
            )
        for message in link.receive():
            list(link.events(message))


def found(link: Link, path: SignalPath) -> Calibration:
    """Return what a device has just found; raises InnervateError if it holds nothing."""
    calibration = read(link, path)
    if calibration is None:
        raise InnervateError(
            "the device has calibrated and holds no calibration",
            link.device.url,
            "Build and flash its firmware again",
        )
    return calibration


def read(link: Link, path: SignalPath) -> Calibration | None:
    """Return the calibration that a device uses; None for the scale that was trained.

    Raises:
        InnervateError: no answer, or a record that is not of this path.
    """
    pieces = bytearray()
    sequence = link.send(GetCalibration())
    progress = time.monotonic()
    while True:
        for message in link.receive():
            if isinstance(message, Refused) and message.seq == sequence:
                raise link.refused(message)
            if isinstance(message, CalibrationRecord):
                if message.size == 0:
                    return None
                if message.offset == len(pieces):
                    pieces += message.data
                if len(pieces) == message.size:
                    return Calibration.from_record(bytes(pieces), path, link.known().bundle_hash.hex())
        link.check_silence(progress)


def write(link: Link, calibration: Calibration | None) -> None:
    """Have a device store and use a calibration, or for None forget its own. Ends a stream.

    Raises:
        InnervateError: it is another bundle's, the device cannot store it, or no answer.
    """
    if calibration is None:
        link.confirm(link.send(ClearCalibration()))
        return
    record = calibration.record()
    step = wire.MAX_PAYLOAD - SetCalibration.LAYOUT.size
    for at in range(0, len(record), step):
        link.confirm(link.send(SetCalibration(at, record[at : at + step])))


def refusal(url: str) -> InnervateError:
    """Return the error that a device means by WRONG_CALIBRATION."""
    return InnervateError(
        "the device refused the calibration: damaged, another bundle's, or without its rest phase",
        url,
        "Calibrate again, rest first",
    )
