"""The host's side of the link against devices that misbehave, each mistake a sentence."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
import tty
import types
import zlib
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import serial
import serial.rfc2217
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge import frames, link, wire
from edge.decision import Decision
from edge.device import Device, open_device
from edge.errors import InnervateError
from edge.firmware.config import MAX_CHANNELS
from edge.link import Link, Traced, pack_samples
from edge.messages import (
    PROTOCOL,
    Ack,
    DecisionMade,
    ErrorCode,
    GetStatus,
    Hello,
    Info,
    Refused,
    Samples,
    SetContext,
    Start,
    Status,
    Trace,
    TraceFiltered,
    TraceOutput,
    TraceWindow,
)
from tests.fake_device import INFO, FakeDevice, obedient, speaks
from tests.tiny_bundle import tiny_bundle, tiny_counts
from tests.tiny_firmware import build_tiny, need_board

COUNTS = np.arange(80, dtype=np.int32).reshape(20, 4)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "ANSWER_SECONDS", 0.4)
    monkeypatch.setattr(link, "ASK_AGAIN_SECONDS", 0.1)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_board("host")
    return build_tiny(tiny_bundle(), "host", tmp_path_factory.mktemp("firmware")).path


def test_handshake_and_status() -> None:
    with FakeDevice() as fake, Link.open(fake.url, bundle_hash=INFO.bundle_hash.hex()) as conversation:
        assert conversation.info == INFO
        assert conversation.status().frames_ok == 0


def test_another_bundle() -> None:
    with (
        FakeDevice() as fake,
        pytest.raises(InnervateError, match=r"another bundle \(000102030405, not ffffff"),
    ):
        Link.open(fake.url, bundle_hash="ff" * 32)


@pytest.mark.parametrize("version", [0, PROTOCOL - 1, 255])
def test_another_protocol_version(version: int) -> None:
    with (
        FakeDevice(info=speaks(version)) as fake,
        pytest.raises(InnervateError, match=f"speaks protocol version {version}, this program {PROTOCOL}"),
    ):
        Link.open(fake.url)


def test_info_of_a_stranger_of_another_length() -> None:
    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        fake.say_bytes(frames.encode(INFO.ID, 0, b"\x09and more that only version 9 understands"))

    with FakeDevice(reply) as fake, pytest.raises(InnervateError, match="speaks protocol version 9"):
        Link.open(fake.url)


@pytest.mark.usefixtures("impatient")
def test_silent_device() -> None:
    with (
        FakeDevice(lambda *_: None) as fake,
        pytest.raises(InnervateError, match=r"gave no answer .*socket://127"),
    ):
        Link.open(fake.url)
    assert all(isinstance(message, Hello) for message in fake.received)
    assert len(fake.received) > 1, "a lost question is asked again"


@pytest.mark.usefixtures("impatient")
def test_silence_in_mid_stream() -> None:
    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if not (isinstance(message, Samples) and message.index >= 4):
            obedient(fake, sequence, message)

    with FakeDevice(reply) as fake, Link.open(fake.url) as conversation:
        conversation.start()
        with pytest.raises(InnervateError, match="gave no answer"):
            list(conversation.stream(COUNTS, chunk=2))


def test_device_vanishes_in_mid_stream() -> None:
    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if isinstance(message, Samples) and message.index >= 4:
            fake.hang_up()
        else:
            obedient(fake, sequence, message)

    with FakeDevice(reply) as fake, Link.open(fake.url) as conversation:
        conversation.start()
        with pytest.raises(InnervateError, match=r"the device vanished.*socket://127.*Check cable"):
            list(conversation.stream(COUNTS, chunk=2))


def test_device_restarts_in_mid_stream() -> None:
    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if isinstance(message, Samples) and message.index >= 4:
            fake.say(Refused(ErrorCode.NOT_STREAMING, sequence))
        else:
            obedient(fake, sequence, message)

    with FakeDevice(reply) as fake, Link.open(fake.url) as conversation:
        conversation.start()
        with pytest.raises(InnervateError, match="it restarted"):
            list(conversation.stream(COUNTS, chunk=2))


def test_never_more_under_way_than_the_credit() -> None:
    """Ten frames go unanswered for a while: no more than the credit may come in that time."""
    held: list[int] = []
    under_way = 0
    most = 0

    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        nonlocal under_way, most
        if not isinstance(message, Samples):
            obedient(fake, sequence, message)
            return
        under_way += len(frames.encode(message.ID, sequence, message.encode()))
        most = max(most, under_way)
        held.append(sequence)
        if len(held) == 4 or message.index + message.count == len(long):
            fake.say(Ack(held[-1], message.index + message.count, INFO.credit))
            held.clear()
            under_way = 0

    long = np.tile(tiny_counts(500), (3, 1))
    with FakeDevice(reply) as fake, Link.open(fake.url) as conversation:
        conversation.start()
        list(conversation.stream(long))
    assert 0 < most <= INFO.credit
    sent = [message for message in fake.received if isinstance(message, Samples)]
    np.testing.assert_array_equal(np.concatenate([plain_counts(m, 4) for m in sent]), long)


def test_one_ack_stands_for_all_before_it() -> None:
    """Acks of frames 1 and 2 are lost; that of 3 will do."""

    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if not (isinstance(message, Samples) and message.index < 4):
            obedient(fake, sequence, message)

    with FakeDevice(reply) as fake, Link.open(fake.url) as conversation:
        conversation.start()
        assert list(conversation.stream(COUNTS[:6], chunk=2)) == []


def test_decisions_and_traces_are_told_apart() -> None:
    window = np.arange(160, dtype=np.int8).reshape(40, 4)

    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if isinstance(message, Samples):
            fake.say(TraceFiltered(message.index, 1, b"\x01\0\0\0\xff\xff\xff\xff\0\0\0\x80\xff\xff\xff\x7f"))
            fake.say_bytes(b"\x05noise\0")
            fake.say(TraceWindow(3, 0, window.tobytes()[:100]))
            fake.say(TraceWindow(3, 100, window.tobytes()[100:]))
            fake.say(TraceWindow(4, 0, window.tobytes()[:100]))  # the rest of it is lost
            fake.say(DecisionMade(3, 99, 255, 64, 1, 500))
            fake.say(DecisionMade(4, 119, 2, 128, 0, 1500))
        obedient(fake, sequence, message)

    with FakeDevice(reply) as fake, Link.open(fake.url) as conversation:
        conversation.start()
        filtered, whole, *decisions = conversation.stream(COUNTS[:2])
    assert isinstance(filtered, Traced)
    assert filtered.values.tolist() == [[1, -1, -(2**31), 2**31 - 1]]
    assert isinstance(whole, Traced)
    assert (whole.stage, whole.index) == ("window", 3)
    np.testing.assert_array_equal(whole.values, window)
    assert decisions == [
        Decision(3, 99, None, 0.25, 1, 500.0),
        Decision(4, 119, 2, 0.5, 0, 1500.0),
    ]
    assert conversation.decoder.corrupt == 1


@given(st.data())
def test_whatever_a_device_says_is_understood_or_refused(data: st.DataObject) -> None:
    """Right frames of wrong content: events, nothing, or a sentence."""
    conversation = Link(Device("test:", DeadPort()))
    conversation.info = INFO
    for _ in range(data.draw(st.integers(1, 5))):
        cls: type[wire.Message] = data.draw(
            st.sampled_from([DecisionMade, TraceFiltered, TraceWindow, TraceOutput])
        )
        fixed = data.draw(st.binary(min_size=cls.LAYOUT.size, max_size=cls.LAYOUT.size))
        offset = data.draw(st.sampled_from([None, 0, 3, 160]))
        if offset is not None and cls in (TraceWindow, TraceOutput):
            fixed = fixed[:4] + offset.to_bytes(4, "little")
        tail = data.draw(st.sampled_from([0, 1, 3, 16, 100, 232])) if cls.HAS_TAIL else 0
        with contextlib.suppress(InnervateError):
            for event in conversation.events(wire.decode(cls.ID, (fixed + bytes(tail))[: wire.MAX_PAYLOAD])):
                if isinstance(event, Decision):
                    assert event.label is None or event.label < INFO.labels
                else:
                    assert event.values.size in (160, 3) or event.stage == "filtered"


class DeadPort:
    """Says nothing and takes all."""

    def read(self) -> bytes:
        return b""

    def write(self, data: bytes) -> None:
        del data

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "info",
    [replace(INFO, channels=0), replace(INFO, window=0), replace(INFO, labels=0), replace(INFO, tick_hz=0)],
)
def test_a_device_that_describes_itself_as_nothing(info: Info) -> None:
    with (
        FakeDevice(info=info) as fake,
        pytest.raises(InnervateError, match="says what cannot be"),
    ):
        Link.open(fake.url)


@pytest.mark.parametrize("right", [True, False])
def test_context_is_checked_by_its_crc(right: bool) -> None:
    told = np.array([5, -7], np.int8)

    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        match message:
            case SetContext():
                fake.say(Ack(sequence, 0, INFO.credit))
            case GetStatus():
                zeros = Status(*[0] * len(fields(Status)))
                fake.say(replace(zeros, context_crc=zlib.crc32(message_told(fake) if right else b"")))
            case _:
                obedient(fake, sequence, message)

    def message_told(fake: FakeDevice) -> bytes:
        return next(m.data for m in fake.received if isinstance(m, SetContext))

    with FakeDevice(reply, replace(INFO, context=2)) as fake, Link.open(fake.url) as conversation:
        if right:
            conversation.set_context(told)
            assert message_told(fake) == told.tobytes()
            wide: Any = told.astype(np.int16)
            with pytest.raises(InnervateError, match="a context of int16, not int8"):
                conversation.set_context(wide)
        else:
            with pytest.raises(InnervateError, match="context is not the one it was told"):
                conversation.set_context(told)


def test_start_says_what_is_wanted() -> None:
    with FakeDevice() as fake, Link.open(fake.url) as conversation:
        conversation.start(stale_hops=3)
    assert Start(0, 3) in fake.received


def test_window_of_another_shape() -> None:
    with (
        FakeDevice() as fake,
        Link.open(fake.url) as conversation,
        pytest.raises(InnervateError, match=r"the model eats int8 \(40, 4\)"),
    ):
        conversation.run_model(np.zeros((40, 3), np.int8))


def plain_counts(message: Samples, channels: int) -> NDArray[np.int32]:
    """An oracle for the packing: one value at a time, with Python's own integers."""
    w = message.width
    values = [
        int.from_bytes(message.data[i : i + w], "little", signed=True) for i in range(0, len(message.data), w)
    ]
    assert len(values) == message.count * channels
    return np.array(values, np.int64).reshape(-1, channels).astype(np.int32)


@given(
    st.data(),
    st.integers(1, MAX_CHANNELS),
    st.integers(1, 300),
    st.integers(0, 31),
    st.integers(0, 2**32 - 1),
)
def test_packing_loses_nothing(data: st.DataObject, channels: int, chunk: int, bits: int, first: int) -> None:
    values = st.integers(-(1 << bits), (1 << bits) - 1)
    rows = data.draw(st.lists(st.lists(values, min_size=channels, max_size=channels), min_size=1, max_size=8))
    counts = np.array(rows, np.int64).astype(np.int32)
    messages = list(pack_samples(counts, first, chunk))
    assert all(len(message.encode()) <= wire.MAX_PAYLOAD for message in messages)
    np.testing.assert_array_equal(np.concatenate([plain_counts(m, channels) for m in messages]), counts)
    index = first
    for message in messages:
        assert message.index == index % 2**32
        assert message.count <= chunk
        index += message.count


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("toaster", "toaster is not a device URL. Give one of: qemu:BOARD"),
        ("COMPANY", "is not a device URL"),
        ("/dev/ttyDOESNOTEXIST", "there is no such port"),
        ("host:", "no firmware is given"),
        ("qemu:netduinoplus2", "no firmware is given"),
        ("socket://127.0.0.1:1", "the port does not open"),
        ("socket://nonsense", "the port does not open"),
    ],
)
def test_urls_that_lead_nowhere(url: str, sentence: str) -> None:
    with pytest.raises(InnervateError) as raised:
        open_device(url)
    assert sentence in str(raised.value)


def test_emulated_boards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = tmp_path / "fw.elf"
    image.write_bytes(b"not an ELF")
    with pytest.raises(InnervateError, match="unknown board toaster"):
        open_device("qemu:toaster", image)
    with pytest.raises(InnervateError, match="board host has no emulator"):
        open_device("qemu:host", image)
    with pytest.raises(InnervateError, match=r"there is no firmware .*missing"):
        open_device("qemu:netduinoplus2", tmp_path / "missing")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InnervateError, match="apt-get install qemu-system-arm"):
        open_device("qemu:netduinoplus2", image)


def test_firmware_that_is_none(tmp_path: Path) -> None:
    image = tmp_path / "fw"
    image.write_bytes(b"not an ELF")
    image.chmod(0o755)
    with pytest.raises(InnervateError, match=r"does not run on this machine|does not start"):
        open_device("host:", image)


def test_port_that_somebody_else_holds() -> None:
    controller, terminal = os.openpty()
    try:
        with open_device(os.ttyname(terminal)), pytest.raises(InnervateError, match="the port is busy"):
            open_device(os.ttyname(terminal))
    finally:
        os.close(controller)
        os.close(terminal)


def test_serial_port_vanishes() -> None:
    controller, terminal = os.openpty()
    with open_device(os.ttyname(terminal)) as opened:
        assert opened.read() == b""
        os.close(terminal)
        os.close(controller)
        with pytest.raises(InnervateError, match="the device vanished"):
            opened.read()


def pump(controller: int, far: Device, stop: threading.Event) -> None:
    """Carries bytes between a pseudo-terminal and a device."""
    os.set_blocking(controller, False)
    while not stop.is_set():
        with contextlib.suppress(BlockingIOError):
            far.write(os.read(controller, 4096))
        data = far.read()
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[os.write(controller, data) :]


def test_a_serial_port_carries_the_link(firmware: Path) -> None:
    """A pseudo-terminal stands for the cable: pyserial's settings, reads and writes are the real ones."""
    bundle = tiny_bundle()
    golden = bundle.golden
    controller, terminal = os.openpty()
    tty.setraw(terminal)
    stop = threading.Event()
    with open_device("host:", firmware) as far:
        cable = threading.Thread(target=pump, args=(controller, far, stop))
        cable.start()
        try:
            with Link.open(os.ttyname(terminal), bundle_hash=bundle.hash) as conversation:
                conversation.start(Trace.FILTERED)
                events = list(conversation.stream(golden.counts[:200]))
                output, _ = conversation.run_model(golden.windows[0])
        finally:
            stop.set()
            cable.join()
            os.close(controller)
            os.close(terminal)
    filtered = [event.values for event in events if isinstance(event, Traced)]
    np.testing.assert_array_equal(np.concatenate(filtered), golden.filtered[:200])
    decided = [event.sample_index for event in events if isinstance(event, Decision)]
    assert decided == golden.decision_sample_index[: len(decided)].tolist()
    assert decided
    np.testing.assert_array_equal(output, golden.outputs[0])


def serve_rfc2217(server: socket.socket, far_url: str) -> None:
    """One connection of a network serial port, the port itself being a TCP connection to a device."""
    connection, _ = server.accept()
    with connection, serial.serial_for_url(far_url, timeout=0.02) as far:
        writer = types.SimpleNamespace(write=connection.sendall)
        manager = serial.rfc2217.PortManager(far, writer)
        connection.settimeout(0.02)
        while True:
            with contextlib.suppress(TimeoutError):
                received = connection.recv(1024)
                if not received:
                    return
                far.write(b"".join(manager.filter(received)))
            if data := far.read(1024):
                connection.sendall(b"".join(manager.escape(data)))


@pytest.mark.filterwarnings("ignore:set(Daemon|Name):DeprecationWarning")  # pyserial 3.5
def test_a_serial_port_of_another_machine() -> None:
    with FakeDevice() as fake, socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve_rfc2217, args=(server, fake.url))
        thread.start()
        with Link.open(f"rfc2217://127.0.0.1:{server.getsockname()[1]}") as conversation:
            assert conversation.info == INFO
            conversation.start()
            assert list(conversation.stream(tiny_counts(100))) == []
        thread.join(10)
    sent = [message for message in fake.received if isinstance(message, Samples)]
    np.testing.assert_array_equal(np.concatenate([plain_counts(m, 4) for m in sent]), tiny_counts(100))


@pytest.fixture
def conversation(firmware: Path) -> Iterator[Link]:
    with Link.open("host:", firmware) as opened:
        yield opened


def child_of(conversation: Link) -> subprocess.Popen[bytes]:
    process = conversation.device.process
    assert process is not None
    return process


def test_process_dies_in_mid_stream(conversation: Link) -> None:
    conversation.start()
    stream = conversation.stream(np.tile(tiny_counts(), (20, 1)))
    next(stream)
    child_of(conversation).kill()
    with pytest.raises(InnervateError, match=r"the device vanished.*host:"):
        list(stream)


def test_process_ends_with_the_link(firmware: Path) -> None:
    with Link.open("host:", firmware) as conversation:
        child = child_of(conversation)
        assert child.poll() is None
    assert child.poll() is not None
    with pytest.raises(InnervateError, match="another bundle"):
        Link.open("host:", firmware, "ff" * 32)


def test_no_process_outlives_the_program(firmware: Path) -> None:
    """Not even one that is killed."""
    script = (
        "import sys, time; from pathlib import Path; from edge.link import Link\n"
        "link = Link.open('host:', Path(sys.argv[1]))\n"
        "print(link.device.process.pid, flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(firmware)], stdout=subprocess.PIPE) as program:
        assert program.stdout is not None
        child = int(program.stdout.readline())
        os.kill(child, 0)
        program.kill()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            os.kill(child, 0)
        except ProcessLookupError:
            return
        if Path(f"/proc/{child}/stat").read_text().split()[2] == "Z":
            return  # dead, and nobody has collected it
        time.sleep(0.05)
    pytest.fail("the device's process is still there")
