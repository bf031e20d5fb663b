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
    """An emulated board: QEMU's machine, the compiler's flags, instructions a SysTick tick."""

    machine: str
    cflags: tuple[str, ...]
    instructions_per_tick: float


BOARDS = {
    "mps2-an386": BenchBoard("mps2-an386", ("-mcpu=cortex-m4", "-mthumb"), 1000 / 25),
    "netduinoplus2": BenchBoard("netduinoplus2", ("-mcpu=cortex-m4", "-mthumb"), 1000 / 168),
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


def _run(command: list[str], folder: Path, what: str) -> None:
    try:
        run = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise InnervateError(
            f"{what} took longer than {TIMEOUT_S:.0f} s", command[0], "Run fewer windows"
        ) from None
    if run.returncode != 0:
        message = (run.stderr or run.stdout).strip().splitlines()
        raise InnervateError(f"{what} failed: {message[0] if message else run.returncode}", command[0])


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
    if not available():
        fix = "Install them (Debian: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)"
        raise InnervateError("Cross compiler or emulator missing", f"{COMPILER}, {EMULATOR}", fix)
    target = BOARDS[board]
    report = json.loads((model_dir / "report.json").read_text())
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        sources = [str(model_dir.resolve() / s) for s in report["sources"]]
        defines = [f"-DBENCH_MODEL={name}", f"-DBENCH_PREFIX={name.upper()}", f'-DBENCH_HEADER="{name}.h"']
        layout = [
            f"-I{model_dir.resolve()}",
            f"-L{HERE}",
            f"-T{HERE / board}.ld",
            "-nostartfiles",
            "-Wl,--gc-sections",
        ]
        flags = [*target.cflags, *report["cflags"], "-ffunction-sections", *defines, *layout]
        harness = [str(HERE / "bench.c"), str(HERE / "startup.c")]
        _run([COMPILER, *flags, *sources, *harness, "-o", "bench.elf"], folder, "Building the bench firmware")
        (folder / "inputs.bin").write_bytes(np.ascontiguousarray(windows, np.int8).tobytes())
        emulate = [EMULATOR, "-M", target.machine, "-kernel", "bench.elf", "-icount", "shift=0", "-nographic"]
        emulate += ["-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native"]
        _run(emulate, folder, "The emulator")
        outputs = np.fromfile(folder / "outputs.bin", np.int8).reshape(len(windows), -1)
        figures = np.fromfile(folder / "figures.bin", "<u4").reshape(-1, 2).max(axis=0)
    return BenchResult(outputs, round(int(figures[0]) * target.instructions_per_tick), int(figures[1]))
