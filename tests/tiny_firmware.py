"""Firmware of the small bundle, for the tests that talk to a device."""

import functools
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from edge.bundle import Bundle
from edge.firmware.boards import load_board
from edge.firmware.build import Firmware, build
from quantize.c99 import emit


def need_board(board: str, *, emulator: bool = False) -> None:
    """Skip where the tools of a board are not installed."""
    found = load_board(board)
    for tool in (found.compiler, found.emulator.command if emulator and found.emulator else None):
        if tool is not None and shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


@functools.cache
def _generated(model: bytes, target: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        emit(model, "tiny", Path(folder) / "model", target)
        return {p.name: p.read_bytes() for p in (Path(folder) / "model").iterdir() if p.is_file()}


def write_model(model: bytes, folder: Path, target: str = "generic") -> Path:
    """Write the C generated from a model into a new folder; generated once in a test run."""
    folder.mkdir(parents=True)
    for name, content in _generated(model, target).items():
        (folder / name).write_bytes(content)
    return folder


def build_tiny(bundle: Bundle, board: str, folder: Path, *, claims: Bundle | None = None) -> Firmware:
    """Compile a bundle's model and build its firmware, which says it is of ``claims`` if that is given."""
    model = write_model(bundle.model, folder / "model", load_board(board).target)
    told = bundle if claims is None else replace(bundle, members=claims.members)
    return build(told, board, model, folder / f"firmware{load_board(board).suffix}")
