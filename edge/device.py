"""Devices by URL: an emulated board, the firmware as a process of this machine, a serial port near or far."""

import atexit
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from edge.errors import InnervateError
from edge.firmware.boards import load_board
from edge.ports import POLL_SECONDS, WRITE_SECONDS, Port, open_port

START_SECONDS: Final = 20.0
"""An emulator on a busy machine takes a second or two."""

_KINDS: Final = "qemu:BOARD, host:, /dev/tty..., COM5, socket://HOST:PORT or rfc2217://HOST:PORT"


class Device:
    """An open byte stream to a device, and the process behind it where this program started one.

    A context manager; the process is ended with it, at the latest when the interpreter exits.
    """

    def __init__(self, url: str, port: Port, process: subprocess.Popen[bytes] | None = None) -> None:
        self.url = url
        self._port = port
        self.process = process
        atexit.register(self.close)

    def read(self) -> bytes:
        """Return what has come, after at most POLL_SECONDS without a byte.

        Raises:
            InnervateError: the device has vanished.
        """
        try:
            return self._port.read()
        except OSError as error:
            raise self._vanished(error) from error

    def write(self, data: bytes) -> None:
        """Send all bytes.

        Raises:
            InnervateError: the device has vanished, or takes no bytes.
        """
        try:
            self._port.write(data)
        except TimeoutError as error:
            raise InnervateError(
                f"the device took no bytes for {WRITE_SECONDS:.0f} s", self.url, "Reset it or check the cable"
            ) from error
        except OSError as error:
            raise self._vanished(error) from error

    def close(self) -> None:
        """End the connection and the process behind it. May be called again."""
        atexit.unregister(self.close)
        self._port.close()
        if self.process is not None:
            _end(self.process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def _vanished(self, error: Exception) -> InnervateError:
        return InnervateError(
            f"the device vanished: {error}", self.url, "Check cable and power, then connect again"
        )


def open_device(url: str, firmware: Path | None = None) -> Device:
    """Open the device of a URL.

    Args:
        url: ``qemu:BOARD``, ``host:``, a serial port's name, ``socket://`` or ``rfc2217://``.
        firmware: what the emulator or this machine is to run; needed for ``qemu:`` and ``host:`` only.

    Raises:
        InnervateError: unknown URL or board, no firmware or emulator, port missing, busy or not to be opened.
    """
    if url.startswith("qemu:"):
        return _open_qemu(url, _given(url, firmware))
    if url == "host:":
        return _open_host(url, _given(url, firmware))
    if re.match(r"(/dev/|COM\d+$|socket://|rfc2217://)", url):
        return Device(url, open_port(url))
    raise InnervateError(f"{url} is not a device URL", "", f"Give one of: {_KINDS}")


def _given(url: str, firmware: Path | None) -> Path:
    if firmware is None or not firmware.is_file():
        what = "no firmware is given" if firmware is None else f"there is no firmware {firmware}"
        raise InnervateError(what, url, "Build it with `innervate build` and give its path")
    return firmware.resolve()


def _start(url: str, command: list[str], errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Start a process that does not outlive this program, however that ends (where the system can do so)."""
    if shutil.which("setpriv"):
        command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
    try:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, bufsize=0
        )
    except OSError as error:
        raise InnervateError(f"{command[0]} does not start: {error}", url, "Check the file") from error


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _open_host(url: str, firmware: Path) -> Device:
    with tempfile.TemporaryFile() as errors:
        process = _start(url, [str(firmware)], errors)
        assert process.stdout is not None
        # The process prints one line or ends; it cannot keep silent.
        line = process.stdout.readline().decode("ascii", "replace").split()
        if len(line) != 2 or line[0] != "listening":
            _end(process)
            raise InnervateError(
                f"{firmware.name} does not run on this machine{_said(errors)}",
                url,
                "Build the firmware for board host",
            )
        return _connect(url, f"socket://127.0.0.1:{line[1]}", process, errors)


def _open_qemu(url: str, firmware: Path) -> Device:
    board = load_board(url.removeprefix("qemu:"))
    if board.emulator is None:
        raise InnervateError(f"board {board.name} has no emulator", url, "Use the board itself")
    if shutil.which(board.emulator.command) is None:
        raise InnervateError(
            f"the emulator {board.emulator.command} is missing",
            url,
            f"Install it, on Debian and Ubuntu with: apt-get install {board.emulator.package}",
        )
    for _ in range(5):  # another program may take the free port before the emulator does
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        # Time counts instructions; the emulated processor starts when the port is connected. TCP, because
        # behind a pty the emulated UART can hold back the last byte of a frame.
        link = f"tcp:127.0.0.1:{port},server=on,nodelay=on"
        command = [
            board.emulator.command,
            "-M",
            board.emulator.machine,
            "-icount",
            "shift=0",
            "-serial",
            link,
        ]
        command += ["-display", "none", "-monitor", "none", "-kernel", str(firmware)]
        with tempfile.TemporaryFile() as errors:
            process = _start(url, command, errors)
            try:
                return _connect(url, f"socket://127.0.0.1:{port}", process, errors)
            except InnervateError as error:
                if "Address already in use" not in error.what:
                    raise
    raise InnervateError("no free TCP port was found", url, "Try again")


def _connect(url: str, address: str, process: subprocess.Popen[bytes], errors: IO[bytes]) -> Device:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return Device(url, open_port(address), process)
        except InnervateError:
            if process.poll() is None and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)
                continue
            _end(process)
            raise InnervateError(
                f"the device did not start{_said(errors)}", url, "See what it printed"
            ) from None


def _said(errors: IO[bytes]) -> str:
    errors.seek(0)
    lines = errors.read(2000).decode("utf-8", "replace").split("\n")
    return f": {lines[0].strip()}" if lines[0].strip() else ""
