"""The stack as a whole, and bounds of sums: what is said of generated code holds when it runs."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from edge.firmware.bench.emulator import available
from quantize.c99 import emit
from quantize.c99.checks import checks
from quantize.c99.library import library_frames, stack_depth
from quantize.c99.loops_thumb import read_functions
from quantize.c99.profile import run_once
from tests.random_graphs import random_graph, random_lstm

CROSS = "arm-none-eabi-"
needs_cross = pytest.mark.skipif(shutil.which(CROSS + "gcc") is None, reason="needs arm-none-eabi-gcc")
CPUS = ("cortex-m0", "cortex-m4", "cortex-m55")


def depth(folder: Path, cpu: str, *lines: str) -> int | None:
    head = "\t.syntax unified\n\t.thumb\n\t.global f\n\t.type f, %function\nf:\n"
    (folder / "f.s").write_text(head + "\n".join(lines) + "\n")
    command = [CROSS + "gcc", f"-mcpu={cpu}", "-mthumb", "-c", "f.s"]
    subprocess.run(command, check=True, cwd=folder)
    listing = subprocess.run(
        [CROSS + "objdump", "-dr", "--no-show-raw-insn", "f.o"],
        check=True,
        cwd=folder,
        capture_output=True,
        text=True,
    ).stdout
    return stack_depth(read_functions(listing)[0])


@needs_cross
@pytest.mark.parametrize(
    ("deepest", "lines"),
    [
        (0, ("bx lr",)),
        (20, ("push {r4-r7, lr}", "pop {r4-r7, pc}")),
        (28, ("push {r4, lr}", "sub sp, #20", "add sp, #20", "pop {r4, pc}")),
        (16, ("cmp r0, #0", "beq 1f", "push {r4-r7}", "pop {r4-r7}", "1: bx lr")),
        (None, ("push {r4, lr}", "bl g", "pop {r4, pc}")),
        (None, ("mov r1, sp", "subs r1, r1, r0", "mov sp, r1", "add sp, r0", "bx lr")),
        (None, ("1: push {r4}", "subs r0, #1", "bne 1b", "bx lr")),
    ],
)
def test_depth_of_a_function(deepest: int | None, lines: tuple[str, ...], tmp_path: Path) -> None:
    for cpu in CPUS:
        assert depth(tmp_path, cpu, *lines) == deepest


@needs_cross
def test_frames_of_the_library() -> None:
    """Functions that copy call nothing; what prints calls others."""
    copies = ("memcpy", "memmove", "memset")
    for cpu in CPUS:
        frames = library_frames(CROSS, (f"-mcpu={cpu}", "-mthumb"), [*copies, "printf", "no_such_function"])
        assert sorted(frames) == sorted(copies)
        assert all(0 <= size <= 40 and size % 4 == 0 for size in frames.values())


@needs_cross
@pytest.mark.skipif(not available(), reason="needs qemu-system-arm")
@pytest.mark.parametrize("target", ["generic", "cortex-m4"])
def test_stack_is_within_its_bound_as_a_whole(target: str, tmp_path: Path) -> None:
    for number, model in enumerate((random_graph(5), random_graph(11), random_lstm(8))):
        folder = tmp_path / str(number)
        report = emit(model, "net", folder, target)
        assert report.build is not None
        assert report.build.stack_excludes == []
        measured = run_once(folder, report, "mps2-an386").stack_bytes
        assert report.build.stack_bytes is not None
        assert measured <= report.build.stack_bytes


def test_a_bound_beyond_32_bits_fails(tmp_path: Path) -> None:
    report = emit(random_graph(5), "net", tmp_path / "net")
    assert checks(report.layers, None, None)[0].passed
    most = max(layer.accumulator_bound or 0 for layer in report.layers)
    layers = [
        replace(one, accumulator_bound=2**31) if one.accumulator_bound == most else one
        for one in report.layers
    ]
    assert not checks(layers, None, None)[0].passed
