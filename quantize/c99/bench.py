"""What models cost on an emulated board: `python -m quantize.c99.bench FILE...` prints a table."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InnervateError
from edge.firmware.bench.emulator import BOARDS
from quantize.c99.emitter import emit
from quantize.c99.kernels import TARGETS
from quantize.c99.profile import run_once

NAME = "model"
HEAD = (
    "model",
    "MACs",
    "instructions",
    "per MAC",
    "code",
    "constants",
    "flash less weights",
    "arena",
    "stack",
)


@dataclass(frozen=True)
class Figures:
    """What one model costs; instructions are counted, the stack is measured, the rest is known beforehand."""

    model: str
    macs: int
    instructions: int
    code_bytes: int
    constant_bytes: int
    beyond_weights_bytes: int
    arena_bytes: int
    stack_bytes: int

    def row(self) -> tuple[str, ...]:
        """Return the cells of a table, in the order of `HEAD`."""
        per_mac = f"{self.instructions / self.macs:.2f}" if self.macs else ""
        flash = (self.code_bytes, self.constant_bytes, self.beyond_weights_bytes)
        counts = (*flash, self.arena_bytes, self.stack_bytes)
        return (
            self.model,
            f"{self.macs:,}",
            f"{self.instructions:,}",
            per_mac,
            *(f"{count:,}" for count in counts),
        )


def measure(file: Path, board: str, target: str = "generic") -> Figures:
    """As `measure_model`, of a `.tflite` file."""
    return measure_model(file.read_bytes(), file.stem, board, target, str(file))


def measure_model(
    tflite: bytes, name: str, board: str, target: str, where: str, optimize: str = "speed"
) -> Figures:
    """Compile an int8 model, run it once on random input; a context and a state fed in are zeros.

    Args:
        tflite: the file's bytes.
        name: for the table.
        board: a key of `edge.firmware.bench.emulator.BOARDS`.
        target: a key of `quantize.c99.kernels.TARGETS`.
        where: the file, for messages.
        optimize: a key of `quantize.c99.kernels.WAYS`.

    Raises:
        InnervateError: the file cannot be used, or cross compiler or emulator are missing.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / NAME
        report = emit(tflite, NAME, folder, target, where=where, optimize=optimize)
        result = run_once(folder, report, board)
    assert report.build is not None  # the cross compiler was there
    return Figures(
        name,
        report.macs,
        result.instructions,
        report.build.code_bytes,
        report.constant_bytes,
        report.beyond_weights_bytes or 0,
        report.arena_bytes,
        result.stack_bytes,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m quantize.c99.bench", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--board", choices=sorted(BOARDS), default="mps2-an386")
    parser.add_argument("--target", choices=TARGETS, default="cortex-m4")
    options = parser.parse_args(arguments)
    print("| " + " | ".join(HEAD) + " |\n|---" + "|---:" * (len(HEAD) - 1) + "|")
    for file in options.files:
        try:
            print("| " + " | ".join(measure(file, options.board, options.target).row()) + " |", flush=True)
        except (InnervateError, OSError) as error:
            print(error, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
