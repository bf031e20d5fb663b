"""Runs filter cascades on an emulated board and counts their instructions: `filter_bench.c`."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.firmware.bench.emulator import BOARDS, COMPILER, HERE, available, layout_flags, run_tool

_CORE: Final = HERE.parents[1] / "core"
_OPTIMIZE: Final = "-O2"
"""The peer is built with the same."""

SECTION_WORDS: Final = 9
"""int32 words of a `nrv_section_t`: b0, b1, b2, b_shift, c_low1 and c_low2 as halves, c1, c2, w1, w2."""

_PEER_SOURCES: Final = tuple(
    f"Source/FilteringFunctions/arm_biquad_cascade_df1_{name}.c"
    for name in ("q31", "init_q31", "32x64_q31", "32x64_init_q31")
)


class Form(IntEnum):
    """Whose cascade runs: the core's as the board gets it, the core's C, or CMSIS-DSP's."""

    TARGET = 0
    PORTABLE = 1
    PEER_Q31 = 2
    PEER_32X64 = 3


@dataclass(frozen=True, eq=False)
class Job:
    """Calls of a cascade, one after the other.

    Attributes:
        form: which implementation.
        sections: int32 [sections, SECTION_WORDS].
        state: int32 [channels, 2 + 4 * sections].
        signal: int32 [calls, samples, channels].
    """

    form: Form
    sections: NDArray[np.int32]
    state: NDArray[np.int32]
    signal: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Result:
    """What a job left, in its shapes, and the instructions of all its calls, give or take a tick."""

    signal: NDArray[np.int32]
    state: NDArray[np.int32]
    instructions: float


def run_cascades(jobs: Sequence[Job], board: str = "mps2-an386", peer: Path | None = None) -> list[Result]:
    """Run cascades on an emulated board.

    Args:
        jobs: up to 16 sections, 16 channels and 32768 values of signal each.
        board: a key of `emulator.BOARDS`.
        peer: sources of CMSIS-DSP, for its forms.

    Raises:
        InnervateError: unknown board, a tool is missing, or building or running failed.
    """
    if board not in BOARDS:
        raise InnervateError(f"unknown board '{board}'", "bench", f"Choose one of {', '.join(BOARDS)}")
    if not available():
        fix = "Install them (Debian: apt install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm)"
        raise InnervateError("cross compiler or emulator missing", "bench", fix)
    with tempfile.TemporaryDirectory(prefix="innervate-bench-") as name:
        folder = Path(name)
        _build(folder, board, peer)
        with (folder / "jobs.bin").open("wb") as file:
            for job in jobs:
                file.write(_packed(job))
        run_tool(BOARDS[board].emulation("filter_bench.elf"), folder, "The emulator")
        data = (folder / "results.bin").read_bytes()
    words = np.frombuffer(data, "<i4")
    results = []
    for job in jobs:
        signal, state, ticks, words = np.split(words, np.cumsum([job.signal.size, job.state.size, 1]))
        instructions = int(ticks[0]) * BOARDS[board].instructions_per_tick
        results.append(Result(signal.reshape(job.signal.shape), state.reshape(job.state.shape), instructions))
    return results


def _build(folder: Path, board: str, peer: Path | None) -> None:
    flags = [COMPILER, *BOARDS[board].cflags, _OPTIMIZE, "-ffunction-sections", f"-I{_CORE}", f"-I{HERE}"]
    sources = [str(_CORE / "biquad.c"), str(_CORE / "biquad_armv7em.S")]
    sources += [str(HERE / name) for name in ("files_semihosting.c", "startup.c")]
    renamed = ["-DNRV_PORTABLE", "-Dnrv_cascade_run=portable_cascade_run"]
    what = "Building the bench firmware"
    run_tool([*flags, *renamed, "-c", str(_CORE / "biquad.c"), "-o", "portable.o"], folder, what)
    if peer is not None:
        # Without CMSIS-Core, which these files need no intrinsics of.
        flags += ["-DBENCH_PEER", "-D__GNUC_PYTHON__", f"-I{peer}/Include", f"-I{peer}/PrivateInclude"]
        sources += [str(peer / name) for name in _PEER_SOURCES]
    sources += [str(HERE / "filter_bench.c"), "portable.o"]
    run_tool([*flags, *sources, *layout_flags(board), "-o", "filter_bench.elf"], folder, what)


def _packed(job: Job) -> bytes:
    calls, samples, channels = job.signal.shape
    sections = len(job.sections)
    if job.sections.shape != (sections, SECTION_WORDS) or job.state.shape != (channels, 2 + 4 * sections):
        raise InnervateError("sections, state and signal do not fit together", "bench", "See Job for shapes")
    header = np.array([job.form, sections, channels, samples, calls])
    parts = (header, job.sections, job.state, job.signal)
    return b"".join(np.ascontiguousarray(part, "<i4").tobytes() for part in parts)
