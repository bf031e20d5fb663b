"""A device on a TCP port of this machine that says what a test wants it to say."""

import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import fields, replace
from types import TracebackType
from typing import Self

from edge import frames, wire
from edge.messages import (
    PROTOCOL,
    Ack,
    CalibrationRecord,
    GetCalibration,
    GetStatus,
    Hello,
    Info,
    Samples,
    Start,
    Status,
)

INFO = Info(
    PROTOCOL, "0.1.0", bytes(16), bytes(range(32)), "fake", 4, 4, 40, 20, 40, 4, 0, 3, 1024, 1_000_000
)

Reply = Callable[["FakeDevice", int, wire.Message], None]


def obedient(device: "FakeDevice", sequence: int, message: wire.Message) -> None:
    """Answers as a firmware does that never comes to a decision."""
    match message:
        case Hello():
            device.say(device.info)
        case GetStatus():
            device.say(Status(*[0] * len(fields(Status))))
        case GetCalibration():
            device.say(CalibrationRecord(0, 0, b""))
        case Start():
            device.say(Ack(sequence, 0, device.info.credit))
        case Samples():
            device.say(Ack(sequence, message.index + message.count, device.info.credit))


class FakeDevice:
    """Serves connections, one after the other, in a thread; ``received`` holds what came, in order."""

    def __init__(self, reply: Reply = obedient, info: Info = INFO) -> None:
        self.reply, self.info = reply, info
        self.received: list[wire.Message] = []
        self._sequence = 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self._server.getsockname()[1]}"

    def say(self, message: wire.Message) -> None:
        self.say_bytes(frames.encode(message.ID, self._sequence, message.encode()))
        self._sequence += 1

    def say_bytes(self, data: bytes) -> None:
        self._connection.sendall(data)

    def hang_up(self) -> None:
        self._connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._server.close()

    def _serve(self) -> None:
        while True:
            try:
                self._connection, _ = self._server.accept()
            except OSError:
                return
            with self._connection, contextlib.suppress(OSError):
                decoder = frames.FrameDecoder()
                while data := self._connection.recv(4096):
                    for frame in decoder.feed(data):
                        message = wire.decode(frame.type, frame.payload)
                        self.received.append(message)
                        self.reply(self, frame.sequence, message)


def speaks(version: int) -> Info:
    return replace(INFO, protocol=version)
