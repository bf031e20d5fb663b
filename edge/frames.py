"""Frames of the serial link, over the codec in `core/frame.h` that the firmware links too."""

from __future__ import annotations

from typing import NamedTuple

from edge._core import ffi, lib
from edge.errors import InnervateError

PAYLOAD_MAX: int = lib.NRV_FRAME_PAYLOAD_MAX
"""Bytes of payload in a frame, at most."""

WIRE_MAX: int = lib.NRV_FRAME_WIRE_MAX
"""Bytes of a frame on the wire, at most, its closing zero included."""


class Frame(NamedTuple):
    """A frame whose CRC was right."""

    type: int
    sequence: int
    payload: bytes
    behind: bool
    """Repeated or late: its sequence number lies behind the newest."""


def encode(frame_type: int, sequence: int, payload: bytes = b"") -> bytes:
    """Return a frame's bytes on the wire, closing zero included.

    Args:
        frame_type: 0..255.
        sequence: counts modulo 2^16.
        payload: at most PAYLOAD_MAX bytes.

    Raises:
        InnervateError: the payload is too long.
    """
    out = bytearray(WIRE_MAX)
    size = lib.nrv_frame_encode(
        frame_type, sequence & 0xFFFF, payload, len(payload), ffi.from_buffer("uint8_t[]", out)
    )
    if size == 0:
        raise InnervateError(
            f"a payload of {len(payload)} bytes", "link", f"Send at most {PAYLOAD_MAX} bytes in a frame"
        )
    return bytes(out[:size])


class FrameDecoder:
    """Finds frames in a stream of bytes and counts what it could not use."""

    def __init__(self) -> None:
        self._decoder = ffi.new("nrv_frame_decoder_t *")
        self.reset()

    @property
    def good(self) -> int:
        """Frames with a sequence number ahead of those before."""
        return int(self._decoder.good)

    @property
    def corrupt(self) -> int:
        """Frames with a wrong CRC, COBS code or length."""
        return int(self._decoder.corrupt)

    @property
    def lost(self) -> int:
        """Sequence numbers skipped."""
        return int(self._decoder.lost)

    @property
    def behind(self) -> int:
        """Duplicates and late frames."""
        return int(self._decoder.behind)

    def reset(self) -> None:
        """Forget everything, counters too."""
        lib.nrv_frame_decoder_init(self._decoder)

    def restart(self) -> None:
        """Accept any sequence number next: the other side has started again."""
        lib.nrv_frame_decoder_restart(self._decoder)

    def feed(self, received: bytes) -> list[Frame]:
        """Take bytes as they came; return the frames that they complete."""
        frames: list[Frame] = []
        decoder, used = self._decoder, ffi.new("size_t *")
        data = ffi.from_buffer("uint8_t[]", received)
        start = 0
        while start < len(received):
            result = lib.nrv_frame_decoder_feed(decoder, data + start, len(received) - start, used)
            start += used[0]
            if result != lib.NRV_FRAME_NONE:
                payload = bytes(ffi.buffer(decoder.payload, decoder.length))
                behind = result == lib.NRV_FRAME_BEHIND
                frames.append(Frame(decoder.type, decoder.sequence, payload, behind))
        return frames
