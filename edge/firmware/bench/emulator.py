"""Builds generated C with the bench harness, runs it in QEMU, returns outputs and figures.

With `-icount shift=0` QEMU's clock advances one nanosecond an instruction, so that a board's SysTick counts
instructions: on a core clocked at f Hz one tick is 1e9 / f of them.
"""

import json
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

HERE = Path(__file__).parent
COMPILER = "arm-none-eabi-gcc"
EMULATOR = "qemu-system-arm"
TIMEOUT_S = 600.0  # the largest anchor model takes a few seconds a window on a slow host


@dataclass(frozen=True)
class BenchBoard:
    """An emulated board: QEMU's machine, the compiler's flags, instructions a SysTick tick (0: none)."""

    machine: str
    cflags: tuple[str, ...]
    instructions_per_tick: float

    def emulation(self, program: str) -> list[str]:
        """Return the command that runs a program on this board until it exits."""
        command = [EMULATOR, "-M", self.machine, "-kernel", program, "-icount", "shift=0", "-nographic"]
        return [
            *command,
            *("-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"),
        ]


_THUMB = "-mthumb"
BOARDS = {
    "microbit": BenchBoard("microbit", ("-mcpu=cortex-m0", _THUMB), 0.0),
    "mps2-an386": BenchBoard("mps2-an386", ("-mcpu=cortex-m4", _THUMB), 1000 / 25),
    "netduinoplus2": BenchBoard("netduinoplus2", ("-mcpu=cortex-m4", _THUMB), 1000 / 168),
    "mps2-an500": BenchBoard("mps2-an500", ("-mcpu=cortex-m7", _THUMB), 1000 / 25),
    "mps2-an505": BenchBoard("mps2-an505", ("-mcpu=cortex-m33", _THUMB), 1000 / 20),
    # With Helium; its registers are those of floating point.
    "mps3-an547": BenchBoard("mps3-an547", ("-mcpu=cortex-m55", _THUMB, "-mfloat-abi=hard"), 1000 / 32),
}


@dataclass(frozen=True, eq=False)
class BenchResult:
    """What came of a run; figures are the greatest over all windows."""

    outputs: NDArray[np.int8]  # [windows, output size]
    instructions: int  # of one call of NAME_run, give or take one tick
    stack_bytes: int  # deepest use by one call, measured


def available() -> bool:
    """Whether the cross compiler and the emulator are installed."""
    return shutil.which(COMPILER) is not None and shutil.which(EMULATOR) is not None


def run_tool(command: list[str], folder: Path, what: str, timeout_s: float = TIMEOUT_S) -> None:
    """Run a command in a folder.

    Raises:
        InnervateError: it failed or took longer than ``timeout_s`` seconds.
    """
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise InnervateError(
            f"{what} took longer than {timeout_s:.0f} s", command[0], "Run fewer windows"
        ) from None
    if run.returncode != 0:
        message = (run.stderr or run.stdout).strip().splitlines()
        raise InnervateError(f"{what} failed: {message[0] if message else run.returncode}", command[0])


def layout_flags(board: str) -> list[str]:
    """Return the linker's flags for a key of `BOARDS`; `startup.c` belongs to them."""
    return [f"-L{HERE}", f"-T{HERE / board}.ld", "-nostartfiles", "-Wl,--gc-sections"]


def run_windows(
    model_dir: Path, name: str, windows: NDArray[np.int8], board: str = "mps2-an386"
) -> BenchResult:
    """Run a generated model on an emulated board.

    Args:
        model_dir: folder written by `quantize.c99.emit`; the model has one input and one output.
        name: the model's name there.
        windows: int8 `[windows, input size]`.
        board: a key of `BOARDS`.

    Raises:
        InnervateError: unknown board, a tool is missing, or building or running failed.
    """
    if board not in BOARDS:
        raise InnervateError(f"Unknown board '{board}'", "bench", f"Known boards: {', '.join(BOARDS)}")
    if not BOARDS[board].instructions_per_tick:
        raise InnervateError(f"'{board}' is emulated without a SysTick", "bench", "Choose another board")
    if not available():
        fix = "Install them (Debian: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)"
        raise InnervateError("Cross compiler or emulator missing", f"{COMPILER}, {EMULATOR}", fix)
    target = BOARDS[board]
    report = json.loads((model_dir / "report.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = [str(model_dir.resolve() / s) for s in report["sources"]]
        defines = [f"-DBENCH_MODEL={name}", f"-DBENCH_PREFIX={name.upper()}", f'-DBENCH_HEADER="{name}.h"']
        layout = [f"-I{model_dir.resolve()}", *layout_flags(board)]
        flags = [*target.cflags, *report["cflags"], "-ffunction-sections", *defines, *layout]
        harness = [str(HERE / source) for source in ("bench.c", "files_semihosting.c", "startup.c")]
        run_tool(
            [COMPILER, *flags, *sources, *harness, "-o", "bench.elf"], folder, "Building the bench firmware"
        )
        (folder / "inputs.bin").write_bytes(np.ascontiguousarray(windows, np.int8).tobytes())
        run_tool(target.emulation("bench.elf"), folder, "The emulator")
        outputs = np.fromfile(folder / "outputs.bin", np.int8).reshape(len(windows), -1)
        figures = np.fromfile(folder / "figures.bin", "<u4").reshape(-1, 2).max(axis=0)
    return BenchResult(outputs, round(int(figures[0]) * target.instructions_per_tick), int(figures[1]))
