"""What a device does when something goes wrong: reset, silence, a hanging main loop, nonsense."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import wire
from edge.bundle import Bundle
from edge.decision import Decision, Flag
from edge.errors import InnervateError
from edge.golden import Golden
from edge.link import STALE_HOPS, Link
from edge.messages import ErrorCode, Refused, ResetCause, RunModel, Samples, Start
from edge.pipeline import Pipeline
from hil_tests.conftest import ready
from hil_tests.parity import decision_rows

STALE_WAIT_SECONDS = 20.0
"""For the first sign of a device that is stale after a fraction of a second; an emulator's clock may lag."""


def decisions_of(link: Link, golden: Golden, first: int = 0, samples: int | None = None) -> list[Decision]:
    last = None if samples is None else first + samples
    return [e for e in link.stream(golden.counts[first:last], first) if isinstance(e, Decision)]


def test_reset_in_mid_stream(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    half = bundle.signal_path.samples_for(1)
    boots = link.status().boots
    link.start()
    decisions_of(link, golden, 0, half)
    link.reset()
    status = link.status()
    assert status.reset_cause == ResetCause.SOFTWARE
    assert status.boots == boots + 1
    assert status.samples == 0
    with pytest.raises(InnervateError, match="restarted"):
        decisions_of(link, golden, half, 1)
    ready(link, bundle)
    link.start()
    counts = golden.counts[: half + bundle.signal_path.hop_samples]
    got = decisions_of(link, golden, 0, len(counts))
    assert decision_rows(got).tolist() == decision_rows(pipeline.push(counts)).tolist()


def test_silence_is_no_decision(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    path = bundle.signal_path
    part = path.samples_for(1)
    link.start(stale_hops=STALE_HOPS)
    got = decisions_of(link, golden, 0, part)
    deadline = time.monotonic() + STALE_WAIT_SECONDS
    while not (got and is_stale(got[-1])) and time.monotonic() < deadline:
        got += [d for d in link.listen(0.2) if isinstance(d, Decision)]
    assert got, "the device kept silent too"
    assert is_stale(got[-1])
    assert got[-1].label is None
    again = list(link.listen(3 * STALE_HOPS * path.hop / path.filtered_hz))
    assert not again, "a device says STALE once, not again and again"
    got += decisions_of(link, golden, part, path.hop_samples)
    expected = replayed(pipeline, golden.counts[: part + path.hop_samples], got)
    assert decision_rows(got).tolist() == decision_rows(expected).tolist()


def is_stale(decision: Decision) -> bool:
    return bool(decision.flags & Flag.STALE)


def replayed(pipeline: Pipeline, counts: NDArray[np.int32], got: list[Decision]) -> list[Decision]:
    """Return the host's decisions, with silence wherever the device had it."""
    expected: list[Decision] = []
    taken = 0
    for decision in got:
        if is_stale(decision):
            upto = (decision.sample_index + 1) & 0xFFFFFFFF
            expected += [*pipeline.push(counts[taken:upto]), pipeline.stale()]
            taken = upto
    return expected + pipeline.push(counts[taken:])


def test_watchdog(link: Link) -> None:
    boots = link.status().boots
    link.stall()
    status = link.status()
    assert status.reset_cause == ResetCause.WATCHDOG
    assert status.boots == boots + 1


def test_refuses_nonsense(link: Link, bundle: Bundle) -> None:
    """Wrong lengths, widths and offsets, unknown types: refused, counted, and nothing else happens."""
    channels = len(bundle.signal_path.channels)
    link.start()

    class Unknown(wire.Message):
        ID = 0x7F

        def encode(self) -> bytes:
            return b"?"

    nonsense: list[tuple[wire.Message, ErrorCode]] = [
        (Unknown(), ErrorCode.UNKNOWN_TYPE),
        (Samples(0, 5, 1, 0, bytes(5 * channels)), ErrorCode.WRONG_WIDTH),
        (Samples(0, 0, 1, 0, b""), ErrorCode.WRONG_WIDTH),
        (Samples(0, 1, 1, 0, bytes(channels + 1)), ErrorCode.WRONG_LENGTH),
        (Samples(0, 1, 2, 0, bytes(channels)), ErrorCode.WRONG_LENGTH),
        (RunModel(1, b"x"), ErrorCode.WRONG_FRAGMENT),
        (Samples(0, 1, 1, 0, bytes(channels)), ErrorCode.NOT_STREAMING),
    ]
    for message, code in nonsense:
        sequence = link.send(message)
        assert answer(link) == Refused(code, sequence)
    status = link.status()
    assert status.frames_refused == len(nonsense)
    assert status.samples == 0


def answer(link: Link) -> wire.Message:
    deadline = time.monotonic() + STALE_WAIT_SECONDS
    while time.monotonic() < deadline:
        for message in link.receive():
            return message
    raise AssertionError("no answer")


def test_start_needs_its_length(link: Link) -> None:
    class Short(Start):
        def encode(self) -> bytes:
            return b"\0"

    sequence = link.send(Short(0, 0))
    assert answer(link) == Refused(ErrorCode.WRONG_LENGTH, sequence)
