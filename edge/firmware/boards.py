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
    every instruction takes one emulated nanosecond. ``not_modelled``: what the emulator lacks of the chip;
    the firmware's code for it has not run.
    """

    command: str
    package: str
    machine: str
    instructions_per_tick: float
    not_modelled: tuple[str, ...] = ()


class Board(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``board.toml`` says. Paths in flags are relative to the board's folder.

    ``packages`` are the Debian packages that bring the compiler; ``suffix`` is that of the firmware file;
    ``flash_bytes`` and ``ram_bytes`` are 0 where there is no limit to state; ``target`` is the processor for
    whose kernels the model's C is generated. ``common``: folders of ``boards/common/`` with the sources that
    it shares with other boards.
    """

    description: str
    compiler: str
    size_tool: str
    packages: tuple[str, ...]
    suffix: str
    cflags: tuple[str, ...]
    ldflags: tuple[str, ...]
    target: str = "generic"
    common: tuple[str, ...] = ()
    flash_bytes: int = 0
    ram_bytes: int = 0
    emulator: Emulator | None = None
    name: str = ""

    @property
    def folder(self) -> Path:
        """Where the board is described, and the sources are that are its own."""
        return BOARDS / self.name

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where all sources of the board are."""
        return (self.folder, *(BOARDS / "common" / name for name in self.common))

    @property
    def linker_script(self) -> Path:
        """Where things lie in its memory; no board but those with `flash_bytes` has one."""
        return next(script for folder in self.folders if (script := folder / "link.ld").is_file())


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
    named = msgspec.structs.replace(board, name=name)
    for folder in named.folders:
        if not folder.is_dir():
            raise InnervateError(
                f"there is no folder common/{folder.name}", str(path), "Correct its `common`"
            )
    return named
