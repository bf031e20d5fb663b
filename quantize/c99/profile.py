"""What a generated model takes on an emulated board, as a whole and layer by layer.

The harness of `edge.firmware.bench` runs models with one input and one output. It is given another header
than the model's own: one that lends further inputs and outputs memory, or one that returns, in place of the
scores, what SysTick read before and after each layer.
"""

import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.firmware.bench.emulator import BOARDS as EMULATED
from edge.firmware.bench.emulator import BenchResult, run_windows
from quantize.c99.report import Emulated, Report

BOARDS: Final = {
    "generic": "mps2-an386",
    "cortex-m4": "mps2-an386",
    "cortex-m7": "mps2-an500",
    "cortex-m33": "mps2-an505",
    "cortex-m55": "mps3-an547",
}
"""Emulated board that counts a target's instructions."""

_SINGLE: Final = "single"
_MARKED: Final = "marked"
_SYSTICK_MASK: Final = 0xFFFFFF  # its counter has 24 bits
_CALL: Final = re.compile(
    r"^(    /\* (\d+) [^\n]*\n(?:    const [^\n]*\n)?    nrv_\w+\([^\n]*\);)$", re.MULTILINE
)
_MARKS_H: Final = """\
#include <stdint.h>
extern uint32_t marks[], marks_count;
static inline void mark(void)
{
    marks[marks_count++] = *(volatile uint32_t *)0xE000E018u; /* SysTick: counts down */
}
"""


def board_of(target: str) -> str:
    """Return the emulated board that counts a target's instructions.

    Raises:
        InnervateError: there is none.
    """
    if target not in BOARDS:
        raise InnervateError(
            f"no emulator counts instructions of {target}", "target", f"Choose one of {', '.join(BOARDS)}"
        )
    return BOARDS[target]


def random_window(report: Report) -> NDArray[np.int8]:
    """Return an input like any other, int8 [1, size of the first input]."""
    size = int(np.prod(report.input_shapes[0]))
    return np.random.default_rng(0).integers(-128, 128, (1, size), np.int8)


def run_once(folder: Path, report: Report, board: str) -> BenchResult:
    """Run a generated model on a random window; a context and a state fed in are zeros.

    Args:
        folder: that `quantize.c99.emit` wrote, with `report`.
        report: of the same model.
        board: a key of `edge.firmware.bench.emulator.BOARDS`.

    Raises:
        InnervateError: cross compiler or emulator are missing or failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / "c"))
        (copy / f"{_SINGLE}.h").write_text(_header(_SINGLE, report, [], [], "output"))
        return run_windows(copy, _SINGLE, random_window(report), board)


def profile(folder: Path, report: Report, board: str) -> Report:
    """Return the report with instructions, whole and by layer; arguments and errors as of `run_once`."""
    whole = run_once(folder, report, board)
    ticks = _layer_ticks(folder, report, board)
    per_tick = EMULATED[board].instructions_per_tick
    layers = [
        replace(layer, instructions=round(ticks.get(layer.position, 0) * per_tick)) for layer in report.layers
    ]
    emulated = Emulated(board, round(per_tick), whole.instructions, whole.stack_bytes)
    return replace(report, layers=layers, emulated=emulated)


def _layer_ticks(folder: Path, report: Report, board: str) -> dict[int, int]:
    """Return SysTick's ticks by layer, from 1; layers that carry nothing out are left out."""
    name = report.name
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / "c"))
        text = (copy / f"{name}.c").read_text()
        positions = [int(found[2]) for found in _CALL.finditer(text)]
        (copy / f"{name}.c").write_text('#include "marks.h"\n' + _CALL.sub(r"\1 mark();", text))
        (copy / "marks.h").write_text(_MARKS_H)
        count = len(positions) + 1
        definitions = ['#include "marks.h"', f"uint32_t marks[{count}], marks_count;"]
        around = ["    marks_count = 0;", "    mark();"]
        (copy / f"{_MARKED}.h").write_text(
            _header(_MARKED, report, definitions, around, "scores", f"(int)sizeof(uint32_t) * {count}")
        )
        read = run_windows(copy, _MARKED, random_window(report), board).outputs.view("<u4")[0]
    taken = -np.diff(read.astype(np.int64)) & _SYSTICK_MASK
    ticks: dict[int, int] = {}
    for position, one in zip(positions, taken, strict=True):
        ticks[position] = ticks.get(position, 0) + int(one)
    return ticks


def _header(
    prefix: str, report: Report, definitions: list[str], before: list[str], output: str, size: str = ""
) -> str:
    """Return a header whose `PREFIX_run` runs the model, with memory for all but the first input.

    `output` names the model's first output: the harness's own, or, where `size` is given, memory beside it:
    the harness's, of that many bytes, then takes the marks.
    """
    name, macros = report.name, report.name.upper()
    places = {"input": len(report.input_shapes), "output": len(report.output_shapes)}
    further = [(kind, n) for kind, count in places.items() for n in range(2, count + 1)]
    own = {"input": "input", "output": output}
    arguments = [
        own[kind] if n == 1 else f"{kind}_{n}" for kind, count in places.items() for n in range(1, count + 1)
    ]
    lines = [
        "#include <string.h>",
        f'#include "{name}.h"',
        *definitions,
        f"typedef {name}_t {prefix}_t;",
        f"#define {prefix.upper()}_INPUT_SIZE {macros}_INPUT_SIZE",
        f"#define {prefix.upper()}_OUTPUT_SIZE ({size or f'{macros}_OUTPUT_SIZE'})",
        f"#define {prefix}_reset {name}_reset",
        *(f"static int8_t {kind}_{n}[{macros}_{kind.upper()}_{n}_SIZE];" for kind, n in further),
        *([f"static int8_t {output}[{macros}_OUTPUT_SIZE];"] if size else []),
        f"static inline void {prefix}_run({prefix}_t *m, const int8_t *input, int8_t *output)",
        "{",
        *before,
        f"    {name}_run(m, {', '.join(arguments)});",
        *(["    memcpy(output, marks, sizeof marks);"] if size else []),
        "}",
    ]
    return "\n".join(lines) + "\n"
