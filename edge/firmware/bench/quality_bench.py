"""What the gates of quality cost on an emulated Cortex-M4: `python -m edge.firmware.bench.quality_bench`."""

import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from edge._core import ffi
from edge.firmware.bench.emulator import BOARDS, COMPILER, HERE, layout_flags, run_tool
from edge.quality import Gates

_CORE: Final = HERE.parents[1] / "core"
_BOARD: Final = "mps2-an386"
_VALUES: Final = 4000 * 8
"""Samples times channels of `quality_bench.c`, whose counts are noise of 12 bits: no gate finds a fault."""
_MAINS: Final = Gates(0, mains_step=round(0.05 * 2**32), mains_shift=7, mains_share=250)
GATES: Final = {
    "none": Gates(0),
    "saturated": Gates(1),
    "flat": Gates(0, flat_run=500),
    "slope": Gates(0, slope=5000),
    "amplitude": Gates(0, amplitude=5000),
    "mains": _MAINS,
    "all": Gates(1, 500, 0, 5000, 5000, _MAINS.mains_step, _MAINS.mains_shift, _MAINS.mains_share),
}


def instructions() -> dict[str, float]:
    """Return the instructions per sample and channel that each of `GATES` costs, emulated.

    Raises:
        InnervateError: compiler or emulator are missing, or building or running failed.
    """
    with tempfile.TemporaryDirectory(prefix="innervate-quality-") as name:
        folder = Path(name)
        jobs = [ffi.new("nrv_gates_t *", gates.fields()) for gates in GATES.values()]
        (folder / "gates.bin").write_bytes(b"".join(bytes(ffi.buffer(job)) for job in jobs))
        sources = [HERE / "quality_bench.c", HERE / "files_semihosting.c", HERE / "startup.c"]
        command = [COMPILER, "-std=c99", "-O2", *BOARDS[_BOARD].cflags, f"-I{_CORE}", f"-I{HERE}"]
        command += [*map(str, sources), str(_CORE / "quality.c"), *layout_flags(_BOARD), "-o", "quality.elf"]
        run_tool(command, folder, "building the bench")
        run_tool(BOARDS[_BOARD].emulation("quality.elf"), folder, "the emulator")
        ticks = np.fromfile(folder / "results.bin", "<u4")
    per_value = ticks * BOARDS[_BOARD].instructions_per_tick / _VALUES
    return dict(zip(GATES, per_value.tolist(), strict=True))


if __name__ == "__main__":
    for gate, count in instructions().items():
        print(f"{gate:10} {count:6.1f} instructions per sample and channel")
