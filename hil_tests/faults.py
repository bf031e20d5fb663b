"""A line that damages frames, and what a receiver must make of it.

The receiver's side here knows nothing of CRC or COBS: bytes between two zeros are a frame if they are one
that was sent, and else corrupt.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random


class Fault(StrEnum):
    """What happens to a frame."""

    FLIPPED = "bits flipped"
    SPLIT = "a byte became zero"
    CUT = "cut short"
    MERGED = "cut short without its closing zero"
    DUPLICATED = "sent twice"
    REORDERED = "overtaken by the next"


def damage(fault: Fault, frame: bytes, rng: Random) -> bytes:
    """Return the bytes of a frame after a fault of its own (FLIPPED, SPLIT, CUT or MERGED)."""
    body = frame[:-1]
    at = rng.randrange(1, len(body))
    match fault:
        case Fault.FLIPPED:
            flipped = bytearray(body)
            for _ in range(rng.choice([1, 1, 2, 5])):
                place = rng.randrange(len(body))
                flipped[place] = (flipped[place] ^ 1 << rng.randrange(8)) or 0xA5
            # Two flips may cancel; a frame must not come out whole.
            return bytes(flipped) + b"\0" if bytes(flipped) != body else body[:-1] + b"\0"
        case Fault.SPLIT:
            return body[:at] + b"\0" + body[at + 1 :] + b"\0"
        case Fault.CUT:
            return body[:at] + b"\0"
        case _:
            return body[:at]


@dataclass
class Receiver:
    """A receiver of frames in plain Python; ``sent`` maps a frame's bytes without its zero to its number."""

    sent: Mapping[bytes, int]
    expected: int = 0
    good: int = 0
    corrupt: int = 0
    lost: int = 0
    duplicate: int = 0
    accepted: list[int] = field(default_factory=list)
    rest: bytes = b""

    def take(self, data: bytes) -> None:
        """Take bytes as they come."""
        *pieces, self.rest = (self.rest + data).split(b"\0")
        for piece in pieces:
            if piece:
                self._frame(piece)

    def _frame(self, piece: bytes) -> None:
        number = self.sent.get(piece)
        if number is None:
            self.corrupt += 1
            return
        ahead = number - self.expected & 0xFFFF
        if ahead >= 0x8000:
            self.duplicate += 1
            return
        self.lost += ahead
        self.good += 1
        self.expected = number + 1 & 0xFFFF
        self.accepted.append(number)


def spread(total: int, faults: Sequence[Fault], rng: Random) -> list[Fault]:
    """Return ``total`` faults, of each kind as many as of the others, in random order."""
    chosen = [faults[i % len(faults)] for i in range(total)]
    rng.shuffle(chosen)
    return chosen
