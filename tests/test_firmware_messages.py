"""One declaration, two codecs: Python against bytes written by hand, C against Python."""

import subprocess
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import messages, wire
from edge.messages import Ack, DecisionMade, Info, RunModel, Samples, Start, Status
from tests.tiny_firmware import need_board

BY_HAND = [
    (Start(5, 3), 0x02, "05 03"),
    (Samples(0x01020304, 2, 1, 0x0A0B0C0D, b"\xff\x7f"), 0x03, "04 03 02 01 02 01 0d 0c 0b 0a ff 7f"),
    (RunModel(256, b""), 0x04, "00 01 00 00"),
    (Ack(0xBEEF, 1, 0x0800), 0x82, "ef be 01 00 00 00 00 08"),
    (DecisionMade(1, 2, 255, 128, 0x0110, 7), 0x83, "01 00 00 00 02 00 00 00 ff 80 10 01 07 00 00 00"),
]


@pytest.mark.parametrize(("message", "type_id", "text"), BY_HAND)
def test_bytes_on_the_wire(message: wire.Message, type_id: int, text: str) -> None:
    assert type_id == message.ID
    assert message.encode() == bytes.fromhex(text)
    assert wire.decode(type_id, bytes.fromhex(text)) == message


def values(cls: type[wire.Message]) -> st.SearchStrategy[wire.Message]:
    bits = {"B": 8, "H": 16, "I": 32, "Q": 64}
    parts: list[st.SearchStrategy[Any]] = []
    for name, kind in wire.layout(cls).items():
        if kind in bits:
            parts.append(st.integers(0, 2 ** bits[kind] - 1))
        elif kind == wire.TAIL:
            parts.append(st.binary(max_size=wire.MAX_PAYLOAD - cls.LAYOUT.size))
        elif cls is Info and name in ("firmware", "board"):
            parts.append(st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=16))
        else:
            parts.append(st.binary(min_size=int(kind[:-1]), max_size=int(kind[:-1])))
    return st.builds(cls, *parts)


@pytest.mark.parametrize("cls", wire.TYPES.values(), ids=lambda cls: cls.__name__)
def test_round_trip(cls: type[wire.Message]) -> None:
    @given(values(cls))
    def check(message: wire.Message) -> None:
        assert wire.decode(cls.ID, message.encode()) == message

    check()


@given(st.integers(0, 255), st.binary(max_size=300))
def test_any_payload_is_a_message_or_refused(type_id: int, payload: bytes) -> None:
    try:
        message = wire.decode(type_id, payload)
    except wire.MessageError:
        return
    assert type_id == message.ID
    if not isinstance(message, Info):  # whose texts lose their padding
        assert message.encode() == payload


def test_wrong_lengths_and_values_are_refused() -> None:
    with pytest.raises(wire.MessageError, match="not known"):
        wire.decode(0x60, b"")
    for payload in (bytes(7), bytes(9)):
        with pytest.raises(wire.MessageError, match="8 belong"):
            wire.decode(Ack.ID, payload)
    with pytest.raises(wire.MessageError, match="5 bytes"):
        wire.decode(Samples.ID, bytes(5))
    with pytest.raises(wire.MessageError, match="a frame carries 240"):
        Samples(0, 1, 1, 0, bytes(231)).encode()
    with pytest.raises(wire.MessageError):
        Start(256, 0).encode()
    with pytest.raises(wire.MessageError, match="ASCII"):
        wire.decode(Info.ID, b"\x01" + b"\xff" * (Info.LAYOUT.size - 1))


def test_ids_tell_the_direction() -> None:
    assert all((cls.TO == "host") == (type_id >= 0x80) for type_id, cls in wire.TYPES.items())


def test_c_writes_what_python_reads(tmp_path: Path) -> None:
    """Every field of Status and Info gets a value of its own in C and has it in Python."""
    need_board("host")
    numbers = {field.name: 3 + 7 * i for i, field in enumerate(fields(Status))}
    numbers["uptime"] = 0x0123456789ABCDEF
    numbers["model_max"] = 0xFEDCBA98
    assign = "\n".join(f"    status.{name} = {value}u;" for name, value in numbers.items())
    program = f"""
#include <stdio.h>
#include "messages.h"
static void print(const uint8_t *p, size_t n) {{ while (n--) printf("%02x", *p++); puts(""); }}
int main(void) {{
    uint8_t p[NRV_MAX_PAYLOAD];
    nrv_status_t status;
{assign.replace("81985529216486895u", "UINT64_C(81985529216486895)")}
    print(p, nrv_put_status(p, &status));
    nrv_decision_made_t d = {{1, 2, 255, 128, 0x0110, 7}};
    print(p, nrv_put_decision_made(p, &d));
    const uint8_t samples[] = {{4, 3, 2, 1, 2, 1, 13, 12, 11, 10, 255, 127}};
    nrv_samples_t s;
    printf("%d\\n", nrv_get_samples(samples, 9, &s));
    printf("%d ", nrv_get_samples(samples, 12, &s));
    printf("%x %d %d %x %d %d\\n", s.index, s.width, s.count, s.lead_off, (int)s.data_size, s.data[1]);
    nrv_start_t start;
    printf("%d %d\\n", nrv_get_start(samples, 2, &start), nrv_get_start(samples, 3, &start));
    return 0;
}}
"""
    (tmp_path / "messages.h").write_text(messages.c_header())
    (tmp_path / "main.c").write_text(program)
    flags = ["-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
    subprocess.run(["cc", *flags, "main.c", "-o", "main"], cwd=tmp_path, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    status, decision, *rest = done.stdout.splitlines()
    assert vars(wire.decode(Status.ID, bytes.fromhex(status))) == numbers
    assert wire.decode(DecisionMade.ID, bytes.fromhex(decision)) == DecisionMade(1, 2, 255, 128, 0x0110, 7)
    assert rest == ["0", "1 1020304 2 1 a0b0c0d 2 127", "1 0"]
