"""What a message of the serial link is: a class whose annotated fields are its layout on the wire.

Fields follow each other in order, little-endian, without padding. A last field of kind :data:`Tail` takes
what is left of the payload.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Self,
    TypeVar,
    dataclass_transform,
    get_type_hints,
)

MAX_PAYLOAD: Final = 240
"""Bytes of one frame's payload (edge/core/frame.h)."""

TAIL: Final = "tail"

U8 = Annotated[int, "B"]
U16 = Annotated[int, "H"]
U32 = Annotated[int, "I"]
U64 = Annotated[int, "Q"]
Text16 = Annotated[str, "16s"]
Bytes16 = Annotated[bytes, "16s"]
Bytes32 = Annotated[bytes, "32s"]
Tail = Annotated[bytes, TAIL]


class MessageError(Exception):
    """A payload that is no message: the receiver counts and drops it."""


class Message:
    """Base of all messages; subclasses are declared with :func:`message`."""

    ID: ClassVar[int]
    TO: ClassVar[Literal["device", "host"]]
    LAYOUT: ClassVar[struct.Struct]
    HAS_TAIL: ClassVar[bool]

    def encode(self) -> bytes:
        """Return the payload of the frame.

        Raises:
            MessageError: a value does not fit its field or the payload is longer than ``MAX_PAYLOAD``.
        """
        values = [getattr(self, field.name) for field in fields(self)]  # type: ignore[arg-type]
        tail = values.pop() if self.HAS_TAIL else b""
        packed = [value.encode("ascii") if isinstance(value, str) else value for value in values]
        try:
            payload = self.LAYOUT.pack(*packed) + tail
        except struct.error as error:
            raise MessageError(f"{type(self).__name__}: {error}") from error
        if len(payload) > MAX_PAYLOAD:
            raise MessageError(f"{type(self).__name__}: {len(payload)} bytes, a frame carries {MAX_PAYLOAD}")
        return payload

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        """Return the message of a payload.

        Raises:
            MessageError: wrong length, or a text field that is not printable ASCII.
        """
        size = cls.LAYOUT.size
        if len(payload) > MAX_PAYLOAD or len(payload) < size or (len(payload) > size and not cls.HAS_TAIL):
            raise MessageError(f"{cls.__name__}: {len(payload)} bytes where {size} belong")
        values: list[Any] = list(cls.LAYOUT.unpack(payload[:size]))
        hints = get_type_hints(cls)
        for i, field in enumerate(fields(cls)[: len(values)]):  # type: ignore[arg-type]
            if hints[field.name] is str:
                values[i] = _text(cls.__name__, values[i])
        make: Callable[..., Self] = cls
        return make(*values, payload[size:]) if cls.HAS_TAIL else make(*values)


def _text(name: str, raw: bytes) -> str:
    stripped = raw.rstrip(b"\0")
    if not all(32 <= byte < 127 for byte in stripped):
        raise MessageError(f"{name}: a text that is not printable ASCII")
    return stripped.decode("ascii")


_M = TypeVar("_M", bound=Message)
TYPES: Final[dict[int, type[Message]]] = {}


@dataclass_transform(frozen_default=True)
def message(id: int, to: Literal["device", "host"]) -> Callable[[type[_M]], type[_M]]:  # noqa: A002
    """Declare a message: its type id and which side it goes to."""

    def declare(cls: type[_M]) -> type[_M]:
        cls = dataclass(frozen=True)(cls)
        kinds = list(layout(cls).values())
        if id in TYPES or TAIL in kinds[:-1]:
            raise TypeError(f"{cls.__name__}: id {id} twice, or a tail that is not last")
        cls.ID, cls.TO = id, to
        cls.HAS_TAIL = kinds[-1:] == [TAIL]
        cls.LAYOUT = struct.Struct("<" + "".join(kind for kind in kinds if kind != TAIL))
        TYPES[id] = cls
        return cls

    return declare


def layout(cls: type[Message]) -> dict[str, str]:
    """Return the kind of each field, in order: a ``struct`` format or :data:`TAIL`."""
    hints = get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name].__metadata__[0] for field in fields(cls)}  # type: ignore[arg-type]


def decode(type_id: int, payload: bytes) -> Message:
    """Return the message of a frame.

    Raises:
        MessageError: unknown type or wrong length.
    """
    if type_id not in TYPES:
        raise MessageError(f"message type {type_id:#04x} is not known")
    return TYPES[type_id].decode(payload)
