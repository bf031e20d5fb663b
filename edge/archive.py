"""Zip archives of one exact form, so that every byte of one is checked when it is read.

Members are stored uncompressed, in the order given, with fixed dates and attributes: the same members always
make the same bytes, any zip tool can open them, and reading them can't expand. `unpack` accepts only what
`pack` would have made.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import Final

from edge.errors import InnervateError

MAX_MEMBERS: Final = 64
MAX_NAME: Final = 64
_LOCAL: Final = struct.Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = struct.Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = struct.Struct("<4sHHHHIIH")
_LOCAL_MAGIC: Final = b"PK\x03\x04"
_CENTRAL_MAGIC: Final = b"PK\x01\x02"
_VERSION: Final = 20
_DATE: Final = 0x21  # 1980-01-01, the first day a zip can name
_MODE: Final = 0o644 << 16
_NAME_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.")


def pack(members: Mapping[str, bytes]) -> bytes:
    """Make a zip of `members` in their order (PKWARE APPNOTE 4.3, method 0)."""
    body, directory = bytearray(), bytearray()
    for name, content in members.items():
        encoded, crc, size = name.encode("ascii"), zlib.crc32(content), len(content)
        shared = (_VERSION, 0, 0, 0, _DATE, crc, size, size, len(encoded), 0)
        directory += _CENTRAL.pack(_CENTRAL_MAGIC, _VERSION, *shared, 0, 0, 0, _MODE, len(body)) + encoded
        body += _LOCAL.pack(_LOCAL_MAGIC, *shared) + encoded + content
    count = len(members)
    return bytes(
        body + directory + _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    )


def unpack(data: bytes, where: str) -> dict[str, bytes]:
    """Read what `pack` made.

    Args:
        data: the whole archive.
        where: file to name in errors.

    Raises:
        InnervateError: it is not such an archive, or not whole, or a byte differs; names the member.
    """
    members: dict[str, bytes] = {}
    spans: list[tuple[int, str]] = []
    position = 0
    while data[position : position + 4] == _LOCAL_MAGIC:
        name, end, content = _member(data, position, where, members)
        spans.append((position, name))
        members[name] = content
        position = end
    if not members:
        raise InnervateError("not a zip archive", where, "Give a file that Innervate wrote")
    expected = pack(members)
    if data == expected:
        return members
    at = next((i for i, (a, b) in enumerate(zip(data, expected, strict=False)) if a != b), len(data))
    if at == len(data):
        raise InnervateError("the file ends too early", where, "Copy it again")
    name = next((name for start, name in reversed(spans) if start <= at), "")
    place = f"{where}: {name}" if at < position else f"{where}: directory"
    raise InnervateError(f"byte {at} is not as it was written", place, "Copy the file again, or make it anew")


def _member(data: bytes, start: int, where: str, before: Mapping[str, bytes]) -> tuple[str, int, bytes]:
    """Name, end and content of the member at `start`."""
    last = f"{where}: after {list(before)[-1]}" if before else where
    if len(before) == MAX_MEMBERS:
        raise InnervateError(f"more than {MAX_MEMBERS} members", where, "Give a file that Innervate wrote")
    if len(data) < start + _LOCAL.size:
        raise InnervateError("the file ends too early", last, "Copy it again")
    _, _, flags, method, _, _, _, packed, size, name_size, extra = _LOCAL.unpack_from(data, start)
    raw = data[start + _LOCAL.size : start + _LOCAL.size + min(name_size, MAX_NAME + 1)]
    name = raw.decode("ascii", "backslashreplace")
    if not 0 < name_size <= MAX_NAME or name.startswith(".") or not _NAME_CHARACTERS.issuperset(name):
        raise InnervateError(
            f"a member has the unsafe name '{name}'", last, "Give a file that Innervate wrote"
        )
    place = f"{where}: {name}"
    if name in before:
        raise InnervateError("there are two members of this name", place, "Give a file that Innervate wrote")
    if method != 0 or flags != 0 or extra != 0 or packed != size:
        raise InnervateError(
            "the member is compressed or encrypted", place, "Give the file as Innervate wrote it"
        )
    content_start = start + _LOCAL.size + name_size
    if len(data) < content_start + size:
        raise InnervateError("the file ends too early", place, "Copy it again")
    return name, content_start + size, data[content_start : content_start + size]
