"""1,000 damaged frames: counted, never a wrong decision, in step again within one frame."""

import time
from random import Random

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.decision import Decision, Flag
from edge.golden import Golden
from edge.link import ANSWER_SECONDS, Link, pack_samples
from edge.messages import Ack, Samples
from edge.pipeline import Pipeline
from hil_tests.faults import Fault, Receiver, damage, spread
from hil_tests.parity import decision_rows

FAULTS = 1000
SEED = 20261122
FRAME_BYTES = 32
"""Of counts in a frame: short ones, so that a thousand pass a slow line in seconds."""
LOSSES = 3
"""Faults whose samples are not sent again: gaps. Few: each costs a settling time and a window."""


def test_damaged_frames(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    rng = Random(SEED)
    messages = small_messages(golden.counts, FAULTS + 200, bundle)
    faults = spread(FAULTS, list(Fault), rng)
    half = FAULTS // 2  # all repaired: windows follow each other through it
    unrepaired = set(range(half, FAULTS, half // LOSSES))

    line = Line(link)
    link.start()
    line.receiver.expected = link.next_sequence
    for number, (fault, message) in enumerate(zip(faults, messages, strict=False)):
        repaired = number not in unrepaired
        if repaired and fault is Fault.REORDERED:
            line.send(message, None, rng)  # only its repetition will come late
        line.send(message, fault, rng)
        if repaired and fault not in (Fault.DUPLICATED, Fault.REORDERED):
            line.send(message, None, rng)  # as a host does that got no Ack
            if fault is Fault.MERGED:
                line.send(message, None, rng)  # the first repetition went down with it
        line.settle_if_full()
    for message in messages[len(faults) :]:
        line.send(message, None, rng)
        line.settle_if_full()
    line.settle()
    status = link.status()

    receiver = line.receiver
    expected = []
    for sequence in receiver.accepted:
        if sequence in line.samples:
            expected += pipeline.push(*unpacked(line.samples[sequence], len(bundle.signal_path.channels)))
    assert decision_rows(line.decisions).tolist() == decision_rows(expected).tolist(), "a wrong decision"
    assert any(not d.flags & Flag.GAP for d in expected), "no window was completed: the test shows nothing"
    assert status.frames_ok == receiver.good + 3  # Hello, Start, GetStatus
    assert status.frames_corrupt == receiver.corrupt
    assert status.frames_lost == receiver.lost
    assert status.frames_duplicate == receiver.duplicate
    assert status.gaps == pipeline.gaps
    assert status.samples_late == pipeline.late
    assert pipeline.gaps > 0, "no gap was provoked"


def small_messages(counts: NDArray[np.int32], number: int, bundle: Bundle) -> list[Samples]:
    """Return the golden counts over and over, in ``number`` short messages with consecutive indices."""
    path = bundle.signal_path
    short = FRAME_BYTES // ((path.counts_bits + 7) // 8 * len(path.channels))
    windows = path.samples_for(9)  # the least worth looking at, in half of the messages
    chunk = max(1, short, -(-windows // (number // 2)))
    needed = number * chunk
    repeated = np.tile(counts, (-(-needed // len(counts)), 1))[:needed]
    return list(pack_samples(repeated, 0, chunk))


def unpacked(message: Samples, channels: int) -> tuple[NDArray[np.int32], int]:
    """Return counts and first index of a message."""
    raw = np.frombuffer(message.data, np.uint8).reshape(message.count, channels, message.width)
    padded = np.zeros((message.count, channels, 4), np.uint8)
    padded[:, :, 4 - message.width :] = raw
    return padded.view("<i4")[:, :, 0] >> 8 * (4 - message.width), message.index


class Line:
    """Sends frames with faults, in bursts, and keeps what comes back."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.samples: dict[int, Samples] = {}
        self.sent: dict[bytes, int] = {}
        self.receiver = Receiver(self.sent)
        self.decisions: list[Decision] = []
        self._full = link.hello().credit // 2  # the rest is for what closes a burst
        self._burst = bytearray()
        self._held: bytes | None = None

    def send(self, message: Samples, fault: Fault | None, rng: Random) -> None:
        """Send a message; one REORDERED is held until after the next."""
        sequence, frame = self.link.frame(message)
        self.sent[frame[:-1]] = sequence
        self.samples[sequence] = message
        held, self._held = self._held, None
        if fault is Fault.REORDERED and held is None:
            self._held = frame
            return
        if fault is None or fault is Fault.REORDERED:
            self._burst += frame
        elif fault is Fault.DUPLICATED:
            self._burst += frame + frame
        else:
            self._burst += damage(fault, frame, rng)
        self._burst += held or b""

    def settle_if_full(self) -> None:
        """Settle once a burst is full."""
        if len(self._burst) >= self._full:
            self.settle()

    def settle(self) -> None:
        """Send the burst, closed by a frame that must get through, and wait for its Ack."""
        sequence, frame = self.link.frame(Samples(0, 1, 0, 0, b""))
        self.sent[frame[:-1]] = sequence
        # The zero ends a frame that lost its own; what is held comes late.
        data = bytes(self._burst) + b"\0" + frame + (self._held or b"")
        self._burst.clear()
        self._held = None
        self.receiver.take(data)
        self.link.device.write(data)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            for message in self.link.receive():
                if isinstance(message, Ack) and message.seq == sequence:
                    return
                self.decisions += [e for e in self.link.events(message) if isinstance(e, Decision)]
        raise AssertionError(f"no answer to frame {sequence} within {ANSWER_SECONDS:.0f} s: out of step")
