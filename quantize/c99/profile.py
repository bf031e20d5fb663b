"""What a generated model takes on an emulated board, as a whole and layer by layer.

The harness of `edge.firmware.bench` runs models with one input and one output. It is given another header
than the model's own: one that lends further inputs and outputs memory, or one that returns, in place of the
scores, how many ticks each layer took. Run is NAME_run or, of a model compiled for hops, also NAME_push.
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
_CALL: Final = re.compile(
    r"^(    /\* (\d+) [^\n]*\n(?:    const [^\n]*\n)?    nrv_\w+\([^\n]*\);)$", re.MULTILINE
)
_MARKS_H: Final = """\
#include <stdint.h>
#define TICK (*(volatile uint32_t *)0xE000E018u) /* SysTick: 24 bits, counts down */
extern uint32_t marks[], marked;
static inline void mark(int layer)
{
    const uint32_t now = TICK;
    marks[layer] += (marked - now) & 0xFFFFFFu;
    marked = TICK;
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


def random_input(report: Report, push: bool) -> NDArray[np.int8]:
    """Return a window or hop like any other, int8 [1, its size]."""
    size = int(np.prod(report.input_shapes[0]))
    if push:
        assert report.streaming is not None
        size = size // report.streaming.window * report.streaming.hop
    return np.random.default_rng(0).integers(-128, 128, (1, size), np.int8)


def run_once(folder: Path, report: Report, board: str, push: bool = False) -> BenchResult:
    """Run a generated model on a random window; a context and a state fed in are zeros.

    Args:
        folder: that `quantize.c99.emit` wrote, with `report`.
        report: of the same model.
        board: a key of `edge.firmware.bench.emulator.BOARDS`.
        push: run NAME_push on a random hop, of a model compiled for hops.

    Raises:
        InnervateError: cross compiler or emulator are missing or failed.
    """
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / "c"))
        (copy / f"{_SINGLE}.h").write_text(_header(_SINGLE, report, [], [], push))
        return run_windows(copy, _SINGLE, random_input(report, push), board)


def profile(folder: Path, report: Report, board: str) -> Report:
    """Return the report with instructions, whole and by layer; arguments and errors as of `run_once`."""
    whole = run_once(folder, report, board)
    ticks = _layer_ticks(folder, report, board, push=False)
    per_tick = EMULATED[board].instructions_per_tick
    layers = [replace(layer, instructions=round(ticks[layer.position] * per_tick)) for layer in report.layers]
    emulated = Emulated(board, round(per_tick), whole.instructions, whole.stack_bytes)
    report = replace(report, layers=layers, emulated=emulated)
    if report.streaming is None:
        return report
    ticks = _layer_ticks(folder, report, board, push=True)
    streaming = replace(
        report.streaming,
        push_instructions=run_once(folder, report, board, push=True).instructions,
        layers=[
            replace(layer, instructions=round(ticks[layer.position] * per_tick))
            for layer in report.streaming.layers
        ],
    )
    return replace(report, streaming=streaming)


def _layer_ticks(folder: Path, report: Report, board: str, push: bool) -> list[int]:
    """Return SysTick's ticks by layer, from 1; of layers that carry nothing out 0."""
    name = report.name
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(shutil.copytree(folder, Path(temporary) / "c"))
        text = (copy / f"{name}.c").read_text()
        (copy / f"{name}.c").write_text('#include "marks.h"\n' + _CALL.sub(r"\1 mark(\2);", text))
        (copy / "marks.h").write_text(_MARKS_H)
        count = len(report.layers) + 1
        definitions = ['#include "marks.h"', f"uint32_t marks[{count}], marked;"]
        around = ["    memset(marks, 0, sizeof marks);", "    marked = TICK;"]
        size = f"(int)sizeof(uint32_t) * {count}"
        (copy / f"{_MARKED}.h").write_text(_header(_MARKED, report, definitions, around, push, size))
        outputs = run_windows(copy, _MARKED, random_input(report, push), board).outputs
    return [int(n) for n in outputs.view("<u4")[0]]


def _header(
    prefix: str, report: Report, definitions: list[str], before: list[str], push: bool, size: str = ""
) -> str:
    """Return a header whose `PREFIX_run` is the model's run or push, with memory for all but the first input.

    The model's first output is the harness's own or, where `size` is given, memory beside it: the harness's,
    of that many bytes, then takes the marks.
    """
    output = "scores" if size else "output"
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
        f"#define {prefix.upper()}_INPUT_SIZE {macros}_{'HOP' if push else 'INPUT'}_SIZE",
        f"#define {prefix.upper()}_OUTPUT_SIZE ({size or f'{macros}_OUTPUT_SIZE'})",
        f"#define {prefix}_reset {name}_reset",
        *(f"static int8_t {kind}_{n}[{macros}_{kind.upper()}_{n}_SIZE];" for kind, n in further),
        *([f"static int8_t {output}[{macros}_OUTPUT_SIZE];"] if size else []),
        f"static inline void {prefix}_run({prefix}_t *m, const int8_t *input, int8_t *output)",
        "{",
        *before,
        f"    {name}_{'push' if push else 'run'}(m, {', '.join(arguments)});",
        *(["    memcpy(output, marks, sizeof marks);"] if size else []),
        "}",
    ]
    return "\n".join(lines) + "\n"
