"""Layers for hosts with vectors that are not sums of channels: cases that random graphs rarely meet."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.c99.kernels import CORE
from quantize.c99.lowering.lower import lower
from quantize.c99.simd.fit import fit
from quantize.tflite_reader import read_model
from tests.conformance import compare, run_program, run_sanitized
from tests.random_graphs import random_lstm
from tests.test_compile_mve import RELU, layer
from tests.tflite_maker import SAME, VALID, Maker
from tests.vectors import EMULATED, MACHINES, NATIVE

TARGET = "host"


def depthwise(
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    units: int,
    stride: int = 1,
    dilation: int = 1,
    padding: int = VALID,
    activation: int = 0,
) -> bytes:
    return layer(shape, kernel, units, True, (stride, dilation, padding, activation))


def pool(name: str, shape: tuple[int, int, int], kernel: tuple[int, int], stride: int, padding: int) -> bytes:
    """An AVERAGE_POOL_2D or MAX_POOL_2D with a clamp."""
    maker = Maker()
    source = maker.input((1, *shape), 0.5, 7)
    extents = [
        -(-n // stride) if padding == SAME else (n - k) // stride + 1
        for n, k in zip(shape[:2], kernel, strict=True)
    ]
    sizes = {"filterHeight": kernel[0], "filterWidth": kernel[1], "strideH": stride, "strideW": stride}
    target = maker.tensor((1, *extents, shape[2]), 0.5, 7)
    return maker.finish(
        maker.operator(name, [source], target, padding=padding, fusedActivationFunction=RELU, **sizes)
    )


def mean(shape: tuple[int, ...], axes: tuple[int, ...]) -> bytes:
    """A MEAN whose scales are powers of two, so that many sums lie halfway between two outputs."""
    maker = Maker()
    source = maker.input(shape, 0.5, -9)
    kept = tuple(n for i, n in enumerate(shape) if i not in axes)
    target = maker.tensor(kept, 2.0**-4, 3)
    return maker.finish(maker.operator("MEAN", [source, maker.constant(np.array(axes, np.int32))], target))


def pair(name: str, first: tuple[int, ...], second: tuple[int, ...]) -> bytes:
    """An operator on two inputs, either of which may be repeated."""
    maker = Maker()
    sources = [maker.input(first, 0.5, -128), maker.input(second, 0.25, 127)]
    target = maker.tensor(np.broadcast_shapes(first, second), 16.0 if name == "MUL" else 1.0, 9)
    return maker.finish(maker.operator(name, sources, target))


def product(rows: int, depth: int, columns: int, adjoint_x: bool, adjoint_y: bool) -> bytes:
    """A BATCH_MATMUL, its first operand the same for three batches."""
    maker = Maker()
    first = maker.input((1, depth, rows) if adjoint_x else (1, rows, depth), 0.03125, -128)
    second = maker.input((3, columns, depth) if adjoint_y else (3, depth, columns), 0.03125, 77)
    target = maker.tensor((3, rows, columns), 2.0 ** np.ceil(np.log2(0.05 * depth**0.5)), 9)
    operator = maker.operator("BATCH_MATMUL", [first, second], target, adjX=adjoint_x, adjY=adjoint_y)
    return maker.finish(operator)


def softmax(rows: int, depth: int, scale: float) -> bytes:
    maker = Maker()
    target = maker.tensor((rows, depth), 1 / 256, -128)
    source = maker.input((rows, depth), scale, 5)
    return maker.finish(maker.operator("SOFTMAX", [source], target, beta=1.0))


LAYERS = {
    "depthwise_pairs_of_blocks": depthwise((25, 5, 64), (3, 3), 64, 1, 1, SAME, RELU),
    "depthwise_below_zero": depthwise((6, 5, 64), (3, 3), 64, 1, 1, SAME, 0),
    "depthwise_part_of_a_block": depthwise((4, 6, 19), (3, 3), 19, 1, 1, SAME, RELU),
    "depthwise_blocks": depthwise((3, 7, 130), (2, 3), 130, 1, 1, SAME, 0),
    "depthwise_many_channels_times_three": depthwise((2, 5, 67), (1, 2), 201),
    "depthwise_twice": depthwise((8, 40, 8), (8, 1), 16),
    "depthwise_times_five": depthwise((3, 11, 4), (2, 3), 20, 1, 1, SAME, RELU),
    "depthwise_one_channel": depthwise((3, 70, 1), (2, 9), 3, 1, 1, SAME, 0),
    "depthwise_strided": depthwise((9, 21, 6), (3, 5), 6, 2, 1, SAME, 0),
    "depthwise_strided_beyond": depthwise((9, 22, 10), (1, 2), 10, 3, 1, VALID, RELU),
    "depthwise_dilated": depthwise((9, 23, 3), (2, 4), 3, 1, 3, SAME, RELU),
    "depthwise_one_window": depthwise((3, 4, 33), (3, 4), 33),
    "average_border": pool("AVERAGE_POOL_2D", (7, 9, 21), (3, 4), 2, SAME),
    "average_of_361": pool("AVERAGE_POOL_2D", (19, 19, 5), (19, 19), 1, VALID),
    "average_of_362": pool("AVERAGE_POOL_2D", (2, 181, 17), (2, 181), 1, VALID),
    "highest_border": pool("MAX_POOL_2D", (7, 9, 37), (3, 4), 2, SAME),
    "highest_of_few": pool("MAX_POOL_2D", (1, 31, 3), (1, 3), 1, VALID),
    "mean_of_rows": mean((1, 25, 64), (1,)),
    "mean_of_pictures": mean((3, 5, 4, 37), (1, 2)),
    "mean_apart": mean((2, 5, 3, 4, 6), (1, 3)),
    "sum": pair("ADD", (2, 5, 37), (2, 5, 37)),
    "sum_of_repeated": pair("ADD", (3, 1, 20), (3, 7, 20)),
    "difference": pair("SUB", (3, 5, 9), (3, 5, 1)),
    "product_of_pairs": pair("MUL", (4, 1, 33), (1, 6, 33)),
    "product_by_one": pair("MUL", (1,), (2, 19)),
    "matrices": product(5, 8, 33, False, False),
    "matrices_odd": product(4, 17, 16, False, True),
    "matrices_turned": product(7, 50, 5, True, True),
    "matrices_of_one": product(1, 1, 1, True, False),
    "softmax_few": softmax(3, 5, 0.04),
    "softmax_sharp": softmax(2, 16, 0.9),
    "softmax_511": softmax(2, 511, 0.001),
}
# What the family leaves to generic kernels.
BEYOND = {"sum_of_few": pair("ADD", (5, 3), (1, 3)), "mean_of_few": mean((2, 9, 3), (1,))}
LSTMS = {f"lstm_{seed}": random_lstm(seed, most_units=50) for seed in range(12)}
FAMILY = {"add8", "average_pool", "depthwise", "matmul", "max_pool", "mean", "mul8", "softmax"}
WEIGHTS = ("weights", "recurrent_weights")


@pytest.mark.parametrize("name", NATIVE)
def test_native(name: str, tmp_path: Path) -> None:
    NATIVE[name].need()
    compare(LAYERS | BEYOND | LSTMS, TARGET, tmp_path, *NATIVE[name].flags)


@pytest.mark.parametrize("name", EMULATED)
def test_emulated(name: str, tmp_path: Path) -> None:
    machine = EMULATED[name]
    machine.need()
    run_program(LAYERS | LSTMS, name, tmp_path, [*machine.command, "-w"], *machine.emulator)


@pytest.mark.parametrize("name", ["plain", "avx2", "avx512"])
def test_sanitizers(name: str, tmp_path: Path) -> None:
    """No undefined behaviour and no access outside any array."""
    NATIVE[name].need()
    run_sanitized(LAYERS | LSTMS, TARGET, tmp_path, *NATIVE[name].flags)


def test_kernels_are_those_of_the_family() -> None:
    kernels = {step.kernel for tflite in LAYERS.values() for step in fit(lower(read_model(tflite))).steps}
    assert kernels == {f"simd_{name}" for name in FAMILY}
    kept = {step.kernel for tflite in BEYOND.values() for step in fit(lower(read_model(tflite))).steps}
    assert kept == {"add", "mean"}
    assert all("simd_lstm" in [s.kernel for s in fit(lower(read_model(f))).steps] for f in LSTMS.values())


@pytest.mark.parametrize(
    "name", [("depthwise_twice", "weights"), *(("lstm_0", weights) for weights in WEIGHTS)]
)
def test_weights_of_minus_128_take_the_generic_kernel(name: tuple[str, str]) -> None:
    """Products with -128 would not fit where pairs of them are added."""
    program = lower(read_model((LAYERS | LSTMS)[name[0]]))
    parameters = dict[str, Any](program.steps[0].parameters)
    parameters[name[1]] = np.where(
        parameters[name[1]] == parameters[name[1]].min(), -128, parameters[name[1]]
    )
    step = replace(program.steps[0], parameters=parameters)
    assert fit(replace(program, steps=(step,))).steps[0].kernel == step.kernel


# Ends with the number of the first function whose lanes differ from the reference's, 0 if none do.
SIGMOIDS = """#include "nrv_lstm_cell.h"
#include "nrv_simd_sigmoid.h"

int main(void)
{
#ifdef NRV_SIMD_SHORTS
    for (int32_t first = INT16_MIN; first <= INT16_MAX; first += NRV_SIMD_SHORTS) {
        nrv_shorts_t x, y;
        for (int i = 0; i < NRV_SIMD_SHORTS; i++) {
            x[i] = (int16_t)(first + i);
        }
        y = nrv_shorts_sigmoid15(x);
        for (int i = 0; i < NRV_SIMD_SHORTS; i++) {
            if (y[i] != nrv_sigmoid15(x[i])) {
                return 10;
            }
        }
        for (int bits = 0; bits <= 6; bits++) {
            y = nrv_shorts_tanh15(x, bits);
            for (int i = 0; i < NRV_SIMD_SHORTS; i++) {
                if (y[i] != nrv_tanh15(x[i], bits)) {
                    return 20 + bits;
                }
            }
        }
    }
    return 0;
#else
    return 1;
#endif
}
"""


@pytest.mark.parametrize("name", [name for name in MACHINES if name not in ("plain", "host")])
def test_sigmoid_and_tanh_of_every_argument(name: str, tmp_path: Path) -> None:
    machine = MACHINES[name]
    machine.need()
    (tmp_path / "main.c").write_text(SIGMOIDS)
    includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
    subprocess.run([*machine.command, *includes, "main.c", "-o", "main"], check=True, cwd=tmp_path)
    subprocess.run([*machine.emulator, "./main"], check=True, cwd=tmp_path, timeout=60)
