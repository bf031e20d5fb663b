"""Builds the chain of a signal path and decision rule for a target, and runs it there over given steps.

The program is `chain_main.c` with the core, linked for an emulated microcontroller (files by semihosting) or
for an operating system (files by the C library). What it writes is returned as bytes, stage by stage.
"""

import functools
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.decision import DecisionRule
from edge.errors import InnervateError
from edge.firmware.bench.emulator import BOARDS, COMPILER, EMULATOR, HERE, layout_flags, run_tool
from edge.firmware.config import config_c, config_h
from edge.signal_path import SignalPath

CORE: Final = HERE.parents[1] / "core"
WARNINGS: Final = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
_RUN_SECONDS: Final = 60.0

STEP_SAMPLE: Final = 0
STEP_STALE: Final = 1
STEP_RESET: Final = 2


@dataclass(frozen=True)
class Target:
    """Where the chain can run.

    ``packages`` is Debian's package of each tool; ``runner`` the command before the program; ``board`` a key
    of `emulator.BOARDS`, or None where there is an operating system.
    """

    compiler: str
    cflags: tuple[str, ...]
    packages: dict[str, str]
    runner: tuple[str, ...] = ()
    board: str | None = None

    @property
    def missing(self) -> dict[str, str]:
        """The tools that are not installed, each with its Debian package."""
        return {tool: package for tool, package in self.packages.items() if shutil.which(tool) is None}


_ARM: Final = {COMPILER: "gcc-arm-none-eabi", EMULATOR: "qemu-system-arm"}
TARGETS: Final = {
    "host": Target("gcc", ("-O2",), {"gcc": "gcc"}),
    "aarch64": Target(
        "aarch64-linux-gnu-gcc",
        ("-O2",),
        {"aarch64-linux-gnu-gcc": "gcc-aarch64-linux-gnu", "qemu-aarch64-static": "qemu-user-static"},
        ("qemu-aarch64-static",),
    ),
    # Helium is what the compiler makes of plain loops: more of it at -O3.
    **{
        name: Target(
            COMPILER,
            (*board.cflags, "-O3" if name == "mps3-an547" else "-O2"),
            _ARM,
            board=name,
        )
        for name, board in BOARDS.items()
    },
}
"""By name: `host`, `aarch64` (user-mode emulation), and the emulated boards of `emulator.BOARDS`."""


@dataclass(frozen=True)
class ChainTrace:
    """What each stage gave, as bytes: the files of `chain_main.c`."""

    events: bytes
    filtered: bytes
    windows: bytes
    decisions: bytes
    counters: bytes


@dataclass(frozen=True, eq=False)
class Step:
    """Samples with consecutive indices, or one of the chain's other calls.

    ``what`` is a STEP_ value, ``index`` that of the first sample modulo 2^32, ``counts`` int32 [n, channels],
    ``lead_off`` the front end's word, for all of them.
    """

    what: int
    index: int = 0
    counts: NDArray[np.int32] | None = None
    lead_off: int = 0

    def rows(self, channels: int) -> NDArray[np.int32]:
        """Return what the program reads, int32 [n, 3 + channels]."""
        counts = np.zeros((1, channels), np.int32) if self.counts is None else self.counts
        rows = np.empty((len(counts), 3 + channels), np.int32)
        rows[:, 0] = self.what
        rows[:, 1] = ((self.index + np.arange(len(counts))) % 2**32).astype(np.uint32).view(np.int32)
        rows[:, 2] = np.uint32(self.lead_off).view(np.int32)
        rows[:, 3:] = counts
        return rows


def run_chain(
    target: str,
    path: SignalPath,
    rule: DecisionRule,
    outputs: NDArray[np.int8],
    steps: Sequence[Step],
    flags: Sequence[str] = (),
) -> ChainTrace:
    """Build the chain for a target and run it there.

    Args:
        target: a key of `TARGETS`.
        path: the signal path.
        rule: the decision rule.
        outputs: int8 [n, classes]; what stands in for the model gives them in turn.
        steps: what the chain is given, in this order.
        flags: further flags for the compiler, after the target's own.

    Raises:
        InnervateError: unknown target, a tool is missing, building or running failed.
    """
    if target not in TARGETS:
        raise InnervateError(f"unknown target '{target}'", "bench", f"Choose one of: {', '.join(TARGETS)}")
    chosen = TARGETS[target]
    if chosen.missing:
        raise InnervateError(
            f"{' and '.join(chosen.missing)} missing",
            f"target {target}",
            f"Install, on Debian: apt install {' '.join(chosen.missing.values())}",
        )
    with tempfile.TemporaryDirectory(prefix="innervate-chain-") as name:
        folder = Path(name)
        generate(folder, path, rule, outputs)
        (folder / "core.o").write_bytes(_core_object(chosen.compiler, (*chosen.cflags, *flags)))
        command = [chosen.compiler, *WARNINGS, *chosen.cflags, *flags, f"-I{CORE}", f"-I{HERE}", "-I."]
        command += [str(HERE / "chain_main.c"), "config.c", "core.o"]
        if chosen.board is None:
            command += [str(HERE / "files_stdio.c"), "-static"]
            run = [*chosen.runner, "./chain"]
        else:
            command += [str(HERE / name) for name in ("files_semihosting.c", "startup.c")]
            command += layout_flags(chosen.board)
            run = BOARDS[chosen.board].emulation("chain")
        run_tool([*command, "-o", "chain"], folder, "building the chain")
        rows = np.concatenate([step.rows(len(path.channels)) for step in steps])
        rows.astype("<i4").tofile(folder / "steps.bin")
        run_tool(run, folder, "the chain", _RUN_SECONDS)
        return ChainTrace(*((folder / f"{stage.name}.bin").read_bytes() for stage in fields(ChainTrace)))


@functools.cache
def _core_object(compiler: str, flags: tuple[str, ...]) -> bytes:
    """Compile the core, kernels apart, into one object file; assembly in it guards itself by architecture."""
    sources = sorted(str(path) for path in CORE.iterdir() if path.suffix in (".c", ".S"))
    with tempfile.TemporaryDirectory(prefix="innervate-core-") as name:
        command = [compiler, *WARNINGS, *flags, "-ffunction-sections", f"-I{CORE}", *sources]
        run_tool([*command, "-r", "-nostdlib", "-o", "core.o"], Path(name), "building the core")
        return (Path(name) / "core.o").read_bytes()


def generate(folder: Path, path: SignalPath, rule: DecisionRule, outputs: NDArray[np.int8]) -> None:
    """Write config.h, config.c, and standin.h: a model that gives outputs, int8 [n, classes], in turn."""
    classes = outputs.shape[1]
    (folder / "config.h").write_text(config_h(path, classes, "standin"), encoding="utf-8")
    constants = config_c(
        path, rule, classes, version="bench", board="bench", build_id=bytes(16), bundle_hash=bytes(32)
    )
    (folder / "config.c").write_text(constants, encoding="utf-8")
    rows = ",\n".join("{" + ", ".join(map(str, row)) + "}" for row in outputs.tolist())
    text = f"""\
/* What stands in for a model: prepared outputs, one after the other. */
#include <stdint.h>
#include <string.h>

#define STANDIN_INPUT_SIZE {math.prod(path.model_shape)}u
#define STANDIN_OUTPUT_SIZE {classes}u

typedef struct {{
    uint32_t next;
}} standin_t;

static const int8_t standin_outputs[{len(outputs)}][STANDIN_OUTPUT_SIZE] = {{
{rows}
}};

static inline void standin_reset(standin_t *m)
{{
    m->next = 0;
}}

static inline void standin_run(standin_t *m, const int8_t *input, int8_t *output)
{{
    (void)input;
    memcpy(output, standin_outputs[m->next], STANDIN_OUTPUT_SIZE);
    m->next = (m->next + 1u) % {len(outputs)}u;
}}
"""
    (folder / "standin.h").write_text(text, encoding="utf-8")
