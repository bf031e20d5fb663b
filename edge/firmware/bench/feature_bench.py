"""What features cost on an emulated Cortex-M4: `python -m edge.firmware.bench.feature_bench X.nrv`."""

import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.decision import DecisionRule
from edge.firmware.bench.chain import CORE, WARNINGS, generate
from edge.firmware.bench.emulator import BOARDS, COMPILER, HERE, layout_flags, run_tool
from edge.signal_path import SignalPath

_BOARD: Final = "mps2-an386"
_WINDOW: Final = 1 << 31


class PathCost(NamedTuple):
    """Instructions, emulated: the most for a sample that completes a window, the mean for the others.

    Each is counted to within one tick, 40 instructions.
    """

    completing: int
    other: int


def cost(path: SignalPath, counts: NDArray[np.int32]) -> PathCost:
    """Return what the path costs over counts [n, channels], which must hold a window.

    Raises:
        InnervateError: compiler or emulator are missing, or building or running failed.
    """
    with tempfile.TemporaryDirectory(prefix="innervate-features-") as name:
        folder = Path(name)
        generate(folder, path, DecisionRule(), np.zeros((1, 2), np.int8))
        counts.astype("<i4").tofile(folder / "counts.bin")
        sources = [HERE / "feature_bench.c", HERE / "files_semihosting.c", HERE / "startup.c"]
        sources += sorted(file for file in CORE.iterdir() if file.suffix in (".c", ".S"))
        command = [COMPILER, *WARNINGS, "-O2", "-ffunction-sections", *BOARDS[_BOARD].cflags]
        command += [f"-I{CORE}", f"-I{HERE}", "-I.", "config.c", *map(str, sources)]
        run_tool([*command, *layout_flags(_BOARD), "-o", "features.elf"], folder, "building the bench")
        run_tool(BOARDS[_BOARD].emulation("features.elf"), folder, "the emulator")
        ticks = np.fromfile(folder / "results.bin", "<u4")
    completes = ticks & _WINDOW != 0
    instructions = (ticks & ~np.uint32(_WINDOW)) * BOARDS[_BOARD].instructions_per_tick
    return PathCost(round(instructions[completes].max()), round(instructions[~completes].mean()))


if __name__ == "__main__":
    bundle = Bundle.load(Path(sys.argv[1]))
    found = cost(bundle.signal_path, bundle.golden.counts)
    print(f"{found.completing} instructions for a sample that completes a window, {found.other} for others")
