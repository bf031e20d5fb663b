"""The stack as a whole, and bounds of sums: what is said of generated code holds when it runs."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available
from quantize.c99 import emit
from quantize.c99.checks import checks
from quantize.c99.loops.library import library_frames, stack_depth
from quantize.c99.loops.thumb import read_functions
from quantize.c99.profile import run_once
from quantize.c99.report import Report
from quantize.tflite_reader import read_model
from tests.random_graphs import random_graph, random_lstm
from tests.random_operators import OPERATORS, random_operators

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


def reachable(tflite: bytes) -> dict[int, int]:
    """By position of a weighted layer, the size of the largest sum that some int8 input gives it."""
    model = read_model(tflite, "net.tflite")
    found = {}
    for operator in model.operators:
        if operator.name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        source, weights, *rest = (model.tensors[i] for i in operator.inputs if i != -1)
        assert source.quantization is not None
        assert weights.data is not None
        zero = source.quantization.zero_point[0]
        axis = -1 if operator.name == "DEPTHWISE_CONV_2D" else 0
        units = np.moveaxis(weights.data, axis, 0).reshape(weights.shape[axis], -1).tolist()
        biases = rest[0].data.tolist() if rest and rest[0].data is not None else [0] * len(units)
        low, high = -128 - zero, 127 - zero
        extremes = [
            extreme
            for unit, bias in zip(units, biases, strict=True)
            for extreme in (
                bias + sum(max(low * w, high * w) for w in unit),
                bias + sum(min(low * w, high * w) for w in unit),
            )
        ]
        found[operator.position + 1] = max(map(abs, extremes))
    return found


def below_what_is_reachable(report: Report, sums: dict[int, int]) -> list[int]:
    """Positions of layers whose bound is too small."""
    return [one.position for one in report.layers if sums.get(one.position, 0) > (one.accumulator_bound or 0)]


@pytest.mark.parametrize("target", ["generic", "cortex-m4", "cortex-m55"])
@pytest.mark.parametrize("seed", range(8))
def test_bounds_are_not_below_what_inputs_reach(seed: int, target: str, tmp_path: Path) -> None:
    model = random_graph(seed)
    report, sums = emit(model, "net", tmp_path / "net", target), reachable(model)
    assert below_what_is_reachable(report, sums) == []
    # A bound that leaves out one part in four of what its layer's inputs reach is noticed.
    for position, reached in sums.items():
        less = [
            replace(one, accumulator_bound=reached * 3 // 4) if one.position == position else one
            for one in report.layers
        ]
        assert below_what_is_reachable(replace(report, layers=less), sums) == [position]


# Kernels that move, look up or compare values, and sum none.
WITHOUT_SUMS = {"pad", "rearrange", "concat", "lookup", "max_pool", "maximum", "minimum"}


@pytest.mark.parametrize("target", ["generic", "cortex-m4", "cortex-m55"])
def test_every_kernel_that_sums_has_a_bound(target: str, tmp_path: Path) -> None:
    for operator in OPERATORS:
        report = emit(random_operators(operator, 7, 3), "net", tmp_path / operator, target)
        for layer in report.layers:
            kernel = layer.kernel.removeprefix("dsp_").removeprefix("mve_")
            summing = bool(kernel) and kernel not in WITHOUT_SUMS
            assert (layer.accumulator_bound is not None) == summing, layer
