"""Byte streams to devices: serial ports by pyserial, and plain TCP.

TCP is spoken here and not by pyserial's ``socket://``, which reads byte by byte, waits a while at every
close, and leaves the socket open when the other side has gone first.
"""

import socket
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

import serial

from edge.errors import InnervateError

BAUD: Final = 115200
POLL_SECONDS: Final = 0.05
"""How long a read waits for the first byte; deadlines of the link are multiples of it."""
WRITE_SECONDS: Final = 10.0
"""A full frame takes 22 ms at 115200 baud; only a device that takes nothing needs longer."""
CONNECT_SECONDS: Final = 5.0
_READ_MAX: Final = 4096


class Port(Protocol):
    """An open byte stream."""

    def read(self) -> bytes:
        """Return what has come, after at most POLL_SECONDS without a byte. Raises OSError if it broke."""
        ...

    def write(self, data: bytes) -> None:
        """Send all bytes. Raises OSError if it broke, TimeoutError after WRITE_SECONDS."""
        ...

    def close(self) -> None:
        """Close it; may be called again."""
        ...


class TcpPort:
    """A TCP connection. Raises OSError if it cannot be made."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), CONNECT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def read(self) -> bytes:
        """As Port."""
        self._socket.settimeout(POLL_SECONDS)
        try:
            received = self._socket.recv(_READ_MAX)
        except TimeoutError:
            return b""
        if not received:
            raise ConnectionError("it closed the connection")
        return received

    def write(self, data: bytes) -> None:
        """As Port."""
        self._socket.settimeout(WRITE_SECONDS)
        self._socket.sendall(data)

    def close(self) -> None:
        """As Port."""
        self._socket.close()


class SerialPort:
    """A serial port of this machine or, by RFC 2217, of another. Raises OSError if it cannot be opened."""

    def __init__(self, url: str) -> None:
        options: dict[str, Any] = {"timeout": POLL_SECONDS}
        if "://" not in url:
            options["write_timeout"] = WRITE_SECONDS  # which RFC 2217 ports refuse
        if url.startswith("/dev/"):
            options["exclusive"] = True
        self._serial = serial.serial_for_url(url, BAUD, **options)

    def read(self) -> bytes:
        """As Port."""
        received: bytes = self._serial.read(1)
        if received and (waiting := self._serial.in_waiting):
            received += self._serial.read(min(waiting, _READ_MAX))
        return received

    def write(self, data: bytes) -> None:
        """As Port."""
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as error:
            raise TimeoutError(str(error)) from error

    def close(self) -> None:
        """As Port."""
        self._serial.close()


def open_port(url: str) -> Port:
    """Open ``/dev/...``, ``COM...``, ``socket://HOST:PORT`` or ``rfc2217://HOST:PORT``.

    Raises:
        InnervateError: port missing, busy, forbidden or not to be opened.
    """
    try:
        if url.startswith("socket://"):
            parts = urlsplit(url)
            if not parts.hostname or not parts.port:
                raise ValueError("it must read socket://HOST:PORT")
            return TcpPort(parts.hostname, parts.port)
        return SerialPort(url)
    except (OSError, ValueError) as error:
        text = str(error)
        if "No such file" in text or "FileNotFound" in text:
            raise InnervateError(
                "there is no such port", url, "List the ports and check the cable"
            ) from error
        if "lock" in text or "busy" in text or "PermissionError" in text:
            raise InnervateError("the port is busy", url, "Close the program that holds it") from error
        if "Permission denied" in text:
            raise InnervateError("the port may not be opened", url, "Join the group that owns it") from error
        raise InnervateError(f"the port does not open: {text}", url, "Check name and address") from error
