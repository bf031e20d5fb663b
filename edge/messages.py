"""Every message of the serial link, declared once.

The Python codec (:mod:`edge.wire`) and the C header of the firmware (:func:`c_header`) both follow from these
classes. Both sides refuse unknown types and wrong lengths.
"""

import struct
from enum import IntEnum, IntFlag
from typing import Final

from edge.wire import (
    MAX_PAYLOAD,
    TAIL,
    TYPES,
    U8,
    U16,
    U32,
    U64,
    Bytes16,
    Bytes32,
    Message,
    Tail,
    Text16,
    layout,
    message,
)

PROTOCOL: Final = 4
"""Version of this file's contents: raised whenever a message changes."""


class ResetCause(IntEnum):
    """Why the device last started."""

    POWER_ON = 0
    PIN = 1
    SOFTWARE = 2
    WATCHDOG = 3
    FAULT = 4


class ErrorCode(IntEnum):
    """Why the device refused a message."""

    UNKNOWN_TYPE = 1
    WRONG_LENGTH = 2
    NOT_STREAMING = 3
    WRONG_FRAGMENT = 4
    WRONG_WIDTH = 5
    WRONG_CALIBRATION = 6
    NOT_STORED = 7
    WRONG_CONTEXT = 8


class CalibrationPhase(IntEnum):
    """What the muscle is to do while the device gathers."""

    REST = 0
    MVC = 1


class Trace(IntFlag):
    """What the device sends beside decisions while it streams."""

    NONE = 0
    FILTERED = 1
    WINDOW = 2
    OUTPUT = 4
    ALL = 7


# Host to device


@message(0x01, to="device")
class Hello(Message):
    """First message of a connection; the sequence number it comes with is the new start. Reply: Info."""


@message(0x02, to="device")
class Start(Message):
    """Reset the chain and stream from sample index 0. Reply: Ack.

    ``trace`` as in :class:`Trace`. After ``stale_hops`` hops without samples the device says STALE once;
    0 for a recording that is replayed in no particular time.
    """

    trace: U8
    stale_hops: U8


@message(0x03, to="device")
class Samples(Message):
    """``count`` samples of all channels, each a signed integer of ``width`` 1..4 bytes. Reply: Ack.

    ``lead_off``: bit c is set if the electrode of channel c was off during these samples, bit 31 if any from
    channel 31 on was. Decisions and traces that these samples bring come before the Ack.
    """

    index: U32
    width: U8
    count: U8
    lead_off: U32
    data: Tail


@message(0x04, to="device")
class RunModel(Message):
    """A piece of one int8 window; offsets without gaps from 0, the last byte starts the model.

    A state that is kept from window to window goes on from the window before; Start resets it. Ends a
    stream. Reply: Ack, for the last piece after ModelOutput.
    """

    offset: U32
    data: Tail


@message(0x05, to="device")
class GetStatus(Message):
    """Reply: Status."""


@message(0x06, to="device")
class Reset(Message):
    """Restart the device; it answers nothing."""


@message(0x07, to="device")
class Stall(Message):
    """Stop kicking the watchdog, which must then restart the device; it answers nothing."""


@message(0x08, to="device")
class Calibrate(Message):
    """Reset the chain and gather ``samples`` filtered samples of a phase, from sample index 0. Reply: Ack.

    ``phase`` as in :class:`CalibrationPhase`, rest first; ``headroom`` (MVC) in 256ths as in
    edge/core/calibration.h. Samples then bring CalibrationResults and no decisions, until Start.
    """

    phase: U8
    headroom: U16
    samples: U32


@message(0x09, to="device")
class GetCalibration(Message):
    """Reply: CalibrationRecord, in pieces."""


@message(0x0A, to="device")
class SetCalibration(Message):
    """A piece of a record (edge/core/calibration.h); offsets without gaps from 0. Ends a stream. Reply: Ack.

    The last byte makes the device check, store and use it.
    """

    offset: U16
    data: Tail


@message(0x0B, to="device")
class ClearCalibration(Message):
    """Forget the calibration, the stored one too. Ends a stream. Reply: Ack."""


@message(0x0C, to="device")
class SetContext(Message):
    """The int8 vector of edge/context.py that goes with every window from now until a restart. Reply: Ack.

    Zeros before. Of another size than Info.context it is refused, and the vector in use stays.
    """

    data: Tail


# Device to host


@message(0x81, to="host")
class Info(Message):
    """What runs on the device. ``credit``: bytes (as framed) that may be under way without an Ack.

    ``rows`` and ``columns``: of what a window hands to the model; ``context``: values of the context vector.
    ``protocol`` stays the first field in all versions, so that strangers can tell each other apart.
    """

    protocol: U8
    firmware: Text16
    build_id: Bytes16
    bundle_hash: Bytes32
    board: Text16
    channels: U8
    outputs: U8
    window: U32
    hop: U32
    rows: U32
    columns: U16
    context: U8
    labels: U8
    credit: U16
    tick_hz: U32


@message(0x82, to="host")
class Ack(Message):
    """The frame ``seq`` and all before it are dealt with; ``credit`` bytes may be under way beyond it."""

    seq: U16
    next_index: U32
    credit: U16


@message(0x83, to="host")
class DecisionMade(Message):
    """A decision as core makes it (edge/core/decision.h); ``ticks``: model and rule together."""

    window_index: U32
    sample_index: U32
    label: U8
    confidence: U8
    flags: U16
    ticks: U32


@message(0x84, to="host")
class TraceFiltered(Message):
    """Filtered samples int32 ``[count, outputs]``; the first came with the sample ``index``."""

    index: U32
    count: U8
    data: Tail


@message(0x85, to="host")
class TraceWindow(Message):
    """A piece of the int8 window ``[window, outputs]`` as the model eats it."""

    window_index: U32
    offset: U32
    data: Tail


@message(0x86, to="host")
class TraceOutput(Message):
    """A piece of the model's int8 output."""

    window_index: U32
    offset: U32
    data: Tail


@message(0x87, to="host")
class ModelOutput(Message):
    """A piece of the int8 output of an injected window; ``ticks`` the model took."""

    ticks: U32
    offset: U32
    data: Tail


@message(0x88, to="host")
class Status(Message):
    """Counters and times. Stack in bytes; times in ticks (Info.tick_hz), of the last and the slowest.

    Frames are counted since Hello, samples to decisions since Start. filter: one sample; model: one window;
    decision: the rule. ``windows_spoiled``: those whose quality forbade a decision. ``boots`` counts starts
    since power-on. ``context_crc``: CRC-32 of the context vector in use.
    """

    frames_ok: U32
    frames_corrupt: U32
    frames_lost: U32
    frames_duplicate: U32
    frames_refused: U32
    bytes_overrun: U32
    samples: U32
    samples_late: U32
    gaps: U32
    windows: U32
    windows_spoiled: U32
    decisions: U32
    stack_used: U32
    stack_size: U32
    context_crc: U32
    reset_cause: U8
    boots: U32
    uptime: U64
    filter_last: U32
    filter_max: U32
    model_last: U32
    model_max: U32
    decision_last: U32
    decision_max: U32


@message(0x89, to="host")
class Refused(Message):
    """The message in frame ``seq`` was refused; ``code`` as in :class:`ErrorCode`."""

    code: U8
    seq: U16


@message(0x8A, to="host")
class CalibrationResult(Message):
    """How far a phase is, and when ``gathered`` is all that was asked for, what came of it.

    ``reason``: NRV_CALIBRATION_ of edge/core/calibration.h; 0 after the MVC phase: the calibration is stored
    and in use. ``channel``: the one at fault.
    """

    phase: U8
    reason: U8
    channel: U8
    gathered: U32


@message(0x8B, to="host")
class CalibrationRecord(Message):
    """A piece of the record in use, of ``size`` bytes in all; 0 for the scale that was trained."""

    size: U16
    offset: U16
    data: Tail


# C

_C_TYPES: Final = {"B": ("uint8_t", 1), "H": ("uint16_t", 2), "I": ("uint32_t", 4), "Q": ("uint64_t", 8)}

_C_HEAD: Final = """\
/* Generated from edge/messages.py: do not edit. */
#ifndef NRV_MESSAGES_H
#define NRV_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Byte by byte, so that neither the processor's byte order nor its alignment rules matter. */
static inline void nrv_put(uint8_t *to, uint64_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        to[i] = (uint8_t)(value >> (8u * i));
    }
}

static inline uint64_t nrv_get(const uint8_t *from, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        value |= (uint64_t)from[i] << (8u * i);
    }
    return value;
}
"""


def c_header() -> str:
    """Return messages.h: ids, structs, ``nrv_get_X`` to receive and ``nrv_put_X`` to send on the device."""
    parts = [_C_HEAD, f"#define NRV_PROTOCOL {PROTOCOL}u\n#define NRV_MAX_PAYLOAD {MAX_PAYLOAD}u\n"]
    for prefix, enum in (
        ("RESET", ResetCause),
        ("ERROR", ErrorCode),
        ("PHASE", CalibrationPhase),
        ("TRACE", Trace),
    ):
        parts.append("".join(f"#define NRV_{prefix}_{m.name} {m.value}u\n" for m in enum))
    for cls in TYPES.values():
        name = _snake(cls.__name__)
        macro = f"#define NRV_MSG_{name.upper()}"
        parts.append(f"{macro} {cls.ID:#04x}u\n{macro}_SIZE {cls.LAYOUT.size}u\n")
        if layout(cls):
            parts.append(_c_struct(cls, name))
            parts.append(_c_get(cls, name) if cls.TO == "device" else _c_put(cls, name))
    parts.append("#endif\n")
    return "\n".join(parts)


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


def _c_fields(cls: type[Message]) -> list[tuple[str, str, int]]:
    """(name, C type or "" for a byte array, bytes) of every field before the tail."""
    result = []
    for name, kind in layout(cls).items():
        if kind != TAIL:
            result.append((name, *(_C_TYPES[kind] if kind in _C_TYPES else ("", struct.calcsize(kind)))))
    return result


def _c_struct(cls: type[Message], name: str) -> str:
    lines = []
    for field, ctype, size in _c_fields(cls):
        lines.append(f"    {ctype} {field};" if ctype else f"    uint8_t {field}[{size}];")
    if cls.HAS_TAIL:
        lines += ["    const uint8_t *data;", "    size_t data_size;"]
    return "typedef struct {\n" + "\n".join(lines) + f"\n}} nrv_{name}_t;\n"


def _c_get(cls: type[Message], name: str) -> str:
    wrong = "<" if cls.HAS_TAIL else "!="
    lines = [
        f"static inline bool nrv_get_{name}(const uint8_t *p, size_t size, nrv_{name}_t *m) {{",
    ]
    if cls.LAYOUT.size:  # no length is below zero
        lines += [f"    if (size {wrong} NRV_MSG_{name.upper()}_SIZE) {{", "        return false;", "    }"]
    at = 0
    for field, ctype, size in _c_fields(cls):
        number = f"    m->{field} = ({ctype})nrv_get(p + {at}, {size});"
        lines.append(number if ctype else f"    memcpy(m->{field}, p + {at}, {size});")
        at += size
    if cls.HAS_TAIL:
        lines += [f"    m->data = p + {at};", f"    m->data_size = size - {at}u;"]
    return "\n".join([*lines, "    return true;", "}\n"])


def _c_put(cls: type[Message], name: str) -> str:
    lines = [f"static inline size_t nrv_put_{name}(uint8_t *p, const nrv_{name}_t *m) {{"]
    at = 0
    for field, ctype, size in _c_fields(cls):
        number = f"    nrv_put(p + {at}, m->{field}, {size});"
        lines.append(number if ctype else f"    memcpy(p + {at}, m->{field}, {size});")
        at += size
    if cls.HAS_TAIL:
        # memmove: a sender may have built the tail in place.
        lines += [f"    memmove(p + {at}, m->data, m->data_size);", f"    return {at}u + m->data_size;"]
    else:
        lines.append(f"    return {at}u;")
    return "\n".join([*lines, "}\n"])
