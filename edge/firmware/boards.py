"""The boards that firmware can be built for: folders of ``boards/`` with a ``board.toml``."""

import tomllib
from pathlib import Path
from typing import Final

import msgspec

from edge.errors import InnervateError

BOARDS: Final = Path(__file__).parent / "boards"


class Emulator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a board is emulated: QEMU command, its Debian package, and machine name.

    ``instructions_per_tick``: what one tick of the board's clock counts under ``-icount shift=0``, where
    every instruction takes one emulated nanosecond.
    """

    command: str
    package: str
    machine: str
    instructions_per_tick: float


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``board.toml`` says. Paths in flags are relative to the board's folder.

    ``packages`` are the Debian packages that bring the compiler; ``suffix`` is that of the firmware file;
    ``flash_bytes`` and ``ram_bytes`` are 0 where there is no limit to state; ``target`` is the processor for
    whose kernels the model's C is generated.
    """

    description: str
    compiler: str
    size_tool: str
    packages: tuple[str, ...]
    suffix: str
    cflags: tuple[str, ...]
    ldflags: tuple[str, ...]
    target: str = "generic"
    flash_bytes: int = 0
    ram_bytes: int = 0
    emulator: Emulator | None = None
    name: str = ""

    @property
    def folder(self) -> Path:
        """Where the board's sources are."""
        return BOARDS / self.name


def board_names() -> list[str]:
    """Return the names of all boards, sorted."""
    return sorted(path.parent.name for path in BOARDS.glob("*/board.toml"))


def load_board(name: str) -> Board:
    """Return the board of that name.

    Raises:
        InnervateError: no such board, or its ``board.toml`` does not hold what it must.
    """
    if name not in board_names():
        raise InnervateError(f"unknown board {name}", "", f"Choose one of: {', '.join(board_names())}")
    path = BOARDS / name / "board.toml"
    try:
        board = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Board)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InnervateError(f"the board description is wrong: {error}", str(path), "Correct it") from error
    return msgspec.structs.replace(board, name=name)
