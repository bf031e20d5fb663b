"""The host's side of the serial link: handshake, samples in, decisions and traces out, status."""

import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edge import device_calibration, frames, wire
from edge.calibration import HEADROOM, Calibration, not_stored
from edge.decision import NO_LABEL, Decision
from edge.device import Device, open_device
from edge.errors import InnervateError
from edge.messages import (
    PROTOCOL,
    Ack,
    CalibrationResult,
    DecisionMade,
    ErrorCode,
    GetStatus,
    Hello,
    Info,
    ModelOutput,
    Refused,
    Reset,
    RunModel,
    Samples,
    SetContext,
    Stall,
    Start,
    Status,
    Trace,
    TraceFiltered,
    TraceOutput,
    TraceWindow,
)
from edge.signal_path import SignalPath

ANSWER_SECONDS: Final = 20.0
"""Longest wait for any progress: a large model in an emulator on a busy machine takes seconds."""
ASK_AGAIN_SECONDS: Final = 0.5
"""Questions are repeated at this pace, for a device that is still starting or a frame that was lost."""
STALL_SECONDS: Final = 1.5
"""The watchdogs fire after about one second without a kick."""
STALE_HOPS: Final = 3
"""Hops without samples after which a device in use says STALE."""

_M = TypeVar("_M", bound=wire.Message)


@dataclass(frozen=True)
class Traced:
    """Integers of one stage as the device computed them.

    ``filtered``: int32 ``[n, outputs]``, the first from sample ``index``. ``window``: int8
    ``[rows, columns]`` as the model eats it, and ``output``: int8 ``[labels]``, of window ``index``.
    """

    stage: Literal["filtered", "window", "output"]
    index: int
    values: NDArray[Any]


class Link:
    """A conversation with a device over frames; see :mod:`edge.messages` for the words.

    A context manager. :meth:`hello` comes first.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.decoder = frames.FrameDecoder()
        self.info: Info | None = None
        self._sequence = 0
        self._pieces = bytearray()
        self.calibration_result: CalibrationResult | None = None
        """The last one that the device sent."""

    @classmethod
    def open(cls, url: str, firmware: Path | None = None, bundle_hash: str | None = None) -> Self:
        """Open the device of a URL and shake hands.

        Raises:
            InnervateError: as :func:`edge.device.open_device` and :meth:`hello`.
        """
        link = cls(open_device(url, firmware))
        try:
            link.hello(bundle_hash)
        except BaseException:
            link.close()
            raise
        return link

    def close(self) -> None:
        """End the conversation, and the device's process if this program started it."""
        self.device.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def hello(self, bundle_hash: str | None = None) -> Info:
        """Find out what runs on the device.

        Args:
            bundle_hash: 64 hex digits that the firmware must have been built from; None for any.

        Raises:
            InnervateError: no answer or nonsense, another protocol version, firmware of another bundle.
        """
        self.decoder.restart()
        self.device.write(b"\0")  # ends whatever half frame the line holds
        info = self._ask(Hello(), Info)
        theirs = info.bundle_hash.hex()
        if bundle_hash is not None and theirs != bundle_hash:
            raise InnervateError(
                f"the firmware was built from another bundle ({theirs[:12]}, not {bundle_hash[:12]})",
                self.device.url,
                "Build the firmware from this bundle, or give the bundle it was built from",
            )
        sizes = (info.channels, info.outputs, info.window, info.hop, info.rows, info.columns, info.labels)
        if 0 in (*sizes, info.tick_hz):
            raise self._nonsense("it has no channels, window, hop, labels or clock")
        self.info = info
        return info

    def start(self, trace: Trace = Trace.NONE, stale_hops: int = 0) -> None:
        """Reset the chain and begin a stream at sample index 0.

        Args:
            trace: stages that the device is to send along.
            stale_hops: hops without samples after which the device says STALE, STALE_HOPS in use; 0 for
                never, for a recording replayed at the pace of the link.
        """
        self.confirm(self.send(Start(int(trace), stale_hops)))

    def stream(
        self, counts: NDArray[np.integer[Any]], first_index: int = 0, chunk: int = 255, lead_off: int = 0
    ) -> Iterator[Decision | Traced]:
        """Send counts [n, channels] and yield what the device makes of them, until it has dealt with all.

        Args:
            counts: integers of at most 32 bits.
            first_index: sample index of counts[0], modulo 2^32.
            chunk: samples to a frame, at most.
            lead_off: bit c: the electrode of channel c was off during these samples.

        Raises:
            InnervateError: the device vanished, restarted in mid-stream or fell silent.
        """
        info = self.known()
        waiting = deque(pack_samples(counts, first_index, chunk, lead_off))
        under_way: deque[tuple[int, int]] = deque()  # sequence number, size
        progress = time.monotonic()
        while waiting or under_way:
            while waiting:
                if under_way and sum(size for _, size in under_way) + frames.WIRE_MAX > info.credit:
                    break
                sequence, frame = self.frame(waiting.popleft())
                under_way.append((sequence, len(frame)))
                self.device.write(frame)
            for message in self.receive():
                progress = time.monotonic()
                match message:
                    case Ack():
                        while under_way and (message.seq - under_way[0][0]) & 0xFFFF < 0x8000:
                            under_way.popleft()
                    case Refused():
                        raise self.refused(message)
                    case _:
                        yield from self.events(message)
            self.check_silence(progress)

    def listen(self, seconds: float) -> Iterator[Decision | Traced]:
        """Yield what the device says by itself within a time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for message in self.receive():
                yield from self.events(message)

    def run_model(self, window: NDArray[np.int8]) -> tuple[NDArray[np.int8], int]:
        """Run the model alone on an int8 window [rows, columns]; ends a stream.

        A state that the bundle keeps from window to window goes on; :meth:`start` resets it.

        Returns:
            the int8 output [labels] and the ticks (``Info.tick_hz``) that it took.

        Raises:
            InnervateError: the window has another shape than the model's, or no answer.
        """
        info = self.known()
        if window.dtype != np.int8 or window.shape != (info.rows, info.columns):
            raise InnervateError(
                f"a window of {window.dtype} {window.shape} where the model eats int8 "
                f"{(info.rows, info.columns)}",
                self.device.url,
                "Take the window from the signal path of the same bundle",
            )
        data = window.tobytes()
        piece = wire.MAX_PAYLOAD - RunModel.LAYOUT.size
        output = bytearray()
        ticks = 0

        def collect(message: wire.Message) -> None:
            nonlocal ticks
            if isinstance(message, ModelOutput):
                ticks = message.ticks
                _append(output, message.offset, message.data, info.labels)

        for offset in range(0, len(data), piece):
            self.confirm(self.send(RunModel(offset, data[offset : offset + piece])), collect)
        if len(output) != info.labels:
            raise InnervateError("a part of the model's output was lost", self.device.url, "Try again")
        return np.frombuffer(bytes(output), np.int8), ticks

    def calibrate(
        self,
        path: SignalPath,
        rest: NDArray[np.integer[Any]],
        mvc: NDArray[np.integer[Any]],
        headroom: float = HEADROOM,
        gathered: device_calibration.Gathered = lambda done, wanted: None,
    ) -> Calibration:
        """Have the device calibrate itself: :func:`edge.device_calibration.calibrate`."""
        return device_calibration.calibrate(self, path, rest, mvc, headroom, gathered)

    def set_context(self, context: NDArray[np.int8]) -> None:
        """Tell the model of the wearer until the device restarts, also in the middle of a stream.

        Args:
            context: int8 [Info.context], as :func:`edge.context.quantize` makes it.

        Raises:
            InnervateError: not int8, the device refuses a vector of this size, or it holds another then.
        """
        if context.dtype != np.int8:
            raise InnervateError(
                f"a context of {context.dtype}, not int8",
                self.device.url,
                "Make it with edge.context.quantize",
            )
        data = context.tobytes()
        self.confirm(self.send(SetContext(data)))
        if self.status().context_crc != zlib.crc32(data):
            raise self._nonsense("its context is not the one it was told")

    def status(self) -> Status:
        """Return the device's counters."""
        return self._ask(GetStatus(), Status)

    def reset(self) -> Info:
        """Restart the device and wait until it is back."""
        self.send(Reset())
        return self.hello()

    def stall(self) -> Info:
        """Stop the device's main loop and wait until its watchdog has brought it back."""
        self.send(Stall())
        time.sleep(STALL_SECONDS)  # in silence: an emulated processor that sleeps costs no time
        return self.hello()

    def send(self, message: wire.Message) -> int:
        """Send one message at once, without regard to credit; returns its sequence number."""
        sequence, frame = self.frame(message)
        self.device.write(frame)
        return sequence

    @property
    def next_sequence(self) -> int:
        """Number that the next frame will have."""
        return self._sequence

    def frame(self, message: wire.Message) -> tuple[int, bytes]:
        """Return the next sequence number and a frame that carries it, for the caller to send."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        return sequence, frames.encode(message.ID, sequence, message.encode())

    def receive(self) -> list[wire.Message]:
        """Return the messages that have come, after at most a short wait; unknown ones are dropped."""
        found = []
        for frame in self.decoder.feed(self.device.read()):
            if frame.type == Info.ID and frame.payload[:1] != bytes([PROTOCOL]):
                theirs = frame.payload[0] if frame.payload else "none"
                raise InnervateError(
                    f"the device speaks protocol version {theirs}, this program {PROTOCOL}",
                    self.device.url,
                    "Build and flash the firmware again with this version of innervate",
                )
            try:
                found.append(wire.decode(frame.type, frame.payload))
            except wire.MessageError:
                continue
        return found

    def events(self, message: wire.Message) -> Iterator[Decision | Traced]:
        """Yield the decision or the stage that a message brings or completes, if it does.

        Raises:
            InnervateError: a label that the bundle does not have.
        """
        info = self.known()
        match message:
            case DecisionMade():
                if message.label >= info.labels and message.label != NO_LABEL:
                    raise self._nonsense(f"label {message.label} of {info.labels}")
                yield Decision(
                    message.window_index,
                    message.sample_index,
                    None if message.label == NO_LABEL else message.label,
                    message.confidence / 256,
                    message.flags,
                    message.ticks / info.tick_hz * 1e6,
                )
            case CalibrationResult():
                self.calibration_result = message
            case TraceFiltered() if len(message.data) == 4 * message.count * info.outputs:
                values = np.frombuffer(message.data, "<i4").reshape(-1, info.outputs)
                yield Traced("filtered", message.index, values)
            case TraceWindow():
                _append(self._pieces, message.offset, message.data, info.rows * info.columns)
                if len(self._pieces) == info.rows * info.columns:
                    whole = np.frombuffer(bytes(self._pieces), np.int8).reshape(info.rows, info.columns)
                    yield Traced("window", message.window_index, whole)
            case TraceOutput():
                _append(self._pieces, message.offset, message.data, info.labels)
                if len(self._pieces) == info.labels:
                    yield Traced("output", message.window_index, np.frombuffer(bytes(self._pieces), np.int8))

    def _ask(self, question: wire.Message, answer: type[_M]) -> _M:
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            self.send(question)
            again = time.monotonic() + ASK_AGAIN_SECONDS
            while time.monotonic() < again:
                for message in self.receive():
                    if isinstance(message, answer):
                        return message
        raise self._silent()

    def confirm(self, sequence: int, other: Callable[[wire.Message], None] = lambda _: None) -> None:
        """Wait for the Ack of a frame; whatever else comes goes to ``other``."""
        progress = time.monotonic()
        while True:
            for message in self.receive():
                if isinstance(message, Ack) and message.seq == sequence:
                    return
                if isinstance(message, Refused) and message.seq == sequence:
                    raise self.refused(message)
                other(message)
            self.check_silence(progress)

    def known(self) -> Info:
        """Return what the handshake told; raises InnervateError if there was none."""
        if self.info is None:
            raise InnervateError("the handshake is missing", self.device.url, "Call hello() first")
        return self.info

    def check_silence(self, progress: float) -> None:
        """Raise InnervateError if the last progress (time.monotonic) is too long ago."""
        if time.monotonic() - progress > ANSWER_SECONDS:
            raise self._silent()

    def _nonsense(self, what: str) -> InnervateError:
        return InnervateError(
            f"the device says what cannot be: {what}", self.device.url, "Build and flash its firmware again"
        )

    def _silent(self) -> InnervateError:
        return InnervateError(
            f"the device gave no answer for {ANSWER_SECONDS:.0f} s",
            self.device.url,
            "Check that it runs this firmware and that nobody else holds the line",
        )

    def refused(self, message: Refused) -> InnervateError:
        """Return the error that a refusal means."""
        if message.code == ErrorCode.NOT_STREAMING:
            return InnervateError(
                "the device is not streaming: it restarted", self.device.url, "Start the stream again"
            )
        if message.code == ErrorCode.WRONG_CALIBRATION:
            return device_calibration.refusal(self.device.url)
        if message.code == ErrorCode.NOT_STORED:
            return not_stored(self.device.url)
        if message.code == ErrorCode.WRONG_CONTEXT:
            return InnervateError(
                f"the device takes a context of {self.known().context} values, not of another number",
                self.device.url,
                "Give the context of the bundle it was built from",
            )
        name = ErrorCode(message.code).name if message.code in set(ErrorCode) else f"code {message.code}"
        return InnervateError(
            f"the device refused a message: {name.lower().replace('_', ' ')}",
            self.device.url,
            "Build host and firmware from one version",
        )


def _append(pieces: bytearray, offset: int, data: bytes, whole: int) -> None:
    """Add a piece of ``whole`` bytes; offset 0 starts anew, what does not follow the last is dropped."""
    if offset == 0:
        pieces.clear()
    if offset == len(pieces) and offset + len(data) <= whole:
        pieces += data


def pack_samples(
    counts: NDArray[np.integer[Any]], first_index: int = 0, chunk: int = 255, lead_off: int = 0
) -> Iterator[Samples]:
    """Cut counts [n, channels] into messages, each value in as few bytes as all of them need."""
    low, high = (int(counts.min()), int(counts.max())) if counts.size else (0, 0)
    width = next(w for w in (1, 2, 3, 4) if -(1 << 8 * w - 1) <= low and high < 1 << 8 * w - 1)
    room = wire.MAX_PAYLOAD - Samples.LAYOUT.size
    step = min(chunk, room // (width * counts.shape[1]))
    raw = np.ascontiguousarray(counts, "<i4").view(np.uint8).reshape(*counts.shape, 4)[:, :, :width]
    for at in range(0, len(counts), step):
        piece = raw[at : at + step]
        yield Samples((first_index + at) & 0xFFFFFFFF, width, len(piece), lead_off, piece.tobytes())
