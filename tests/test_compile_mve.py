"""Kernels for Helium (Cortex-M55): their plain C on the host, their own instructions in the emulator."""

import subprocess
from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import (
    BOARDS,
    COMPILER,
    HERE,
    available,
    layout_flags,
    run_tool,
    run_windows,
)
from quantize.c99 import emit
from quantize.c99.kernels import CORE
from tests.conformance import compare, reference, run_sanitized
from tests.random_graphs import random_graph, random_lstm
from tests.random_networks import random_network
from tests.tflite_maker import SAME, VALID, Maker

TARGET, BOARD = "cortex-m55", "mps3-an547"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
RELU = 1
# What a window of an anchor model may cost, in instructions.
INSTRUCTIONS = {
    "emg_cnn": 75_000,
    "eegnet": 330_000,
    "acharya13": 370_000,
    "lstm": 280_000,
    "dscnn": 800_000,
}
emulated = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


def layer(
    shape: tuple[int, int, int],
    kernel: tuple[int, int],
    units: int,
    depthwise: bool = False,
    options: tuple[int, int, int, int] = (1, 1, VALID, 0),
    pool: int = 0,
) -> bytes:
    """A convolution with (stride, dilation, padding, activation) and a max-pool of so many neighbours.

    Scales are powers of two, so that a good part of the sums lies halfway between two outputs.
    """
    stride, dilation, padding, activation = options
    maker, rng = Maker(), np.random.default_rng(prod(shape) + units)
    source = maker.input((1, *shape), 0.5, 3)
    weights = rng.integers(-127, 128, (units, *kernel, shape[2])).astype(np.int8)
    if depthwise:
        weights = np.ascontiguousarray(weights[:, :, :, :1].transpose(3, 1, 2, 0))
    taps = prod(kernel) * (1 if depthwise else shape[2])
    bias = maker.constant(rng.integers(-999, 999, units).astype(np.int32), 0.25)
    reach = [(k - 1) * dilation + 1 for k in kernel]
    extents = [
        -(-n // stride) if padding == SAME else (n - r) // stride + 1
        for n, r in zip(shape[:2], reach, strict=True)
    ]
    scale = 2.0 ** np.ceil(np.log2(74 * np.sqrt(taps)))
    target = maker.tensor((1, *extents, units), scale, -128 if activation else -5)
    sizes = {"strideH": stride, "strideW": stride, "dilationHFactor": dilation, "dilationWFactor": dilation}
    inputs = [source, maker.constant(weights, 0.5), bias]
    if depthwise:
        sizes["depthMultiplier"] = units // shape[2]
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    end = maker.operator(name, inputs, target, padding=padding, fusedActivationFunction=activation, **sizes)
    if pool:
        zero = -128 if activation else -5
        pooled = maker.tensor((1, extents[0], extents[1] // pool, units), scale, zero)
        window = {"filterHeight": 1, "filterWidth": pool, "strideH": 1, "strideW": pool}
        end = maker.operator("MAX_POOL_2D", [end], pooled, padding=VALID, **window)
    return maker.finish(end)


def average(count: int, channels: int) -> bytes:
    """One AVERAGE_POOL_2D over all of so many pixels."""
    maker = Maker()
    source = maker.input((1, count, 2, channels), 0.5, 7)
    sizes = {"filterHeight": count, "filterWidth": 1, "strideH": 1, "strideW": 1}
    target = maker.tensor((1, 1, 2, channels), 0.5, 7)
    return maker.finish(maker.operator("AVERAGE_POOL_2D", [source], target, padding=VALID, **sizes))


LAYERS = {
    "one_tap": layer((1, 9, 1), (1, 1), 3),
    "eight_groups": layer((1, 6, 32), (1, 4), 5),
    "nine_groups": layer((3, 7, 44), (1, 3), 4, options=(1, 1, SAME, RELU)),
    "strided": layer((9, 8, 3), (3, 2), 6, options=(2, 1, SAME, 0)),
    "dilated": layer((7, 9, 2), (2, 3), 2, options=(1, 2, VALID, RELU)),
    "one_channel": layer((3, 40, 1), (1, 24), 7, options=(1, 1, SAME, 0)),
    "pooled": layer((1, 23, 4), (1, 5), 9, pool=2),
    "pooled_to_the_end": layer((1, 14, 3), (1, 3), 4, options=(1, 1, VALID, RELU), pool=2),
    "depthwise": layer((6, 5, 19), (3, 3), 19, True, (1, 1, SAME, RELU)),
    "depthwise_two_groups": layer((1, 37, 5), (1, 21), 10, True, (1, 1, SAME, 0)),
    "depthwise_column": layer((8, 21, 9), (8, 1), 18, True),
    "depthwise_strided": layer((9, 11, 4), (2, 3), 12, True, (2, 1, SAME, 0)),
    "depthwise_dilated": layer((5, 13, 3), (2, 2), 3, True, (1, 3, SAME, RELU)),
    "mean_of_one": average(1, 3),
    "mean_of_many": average(517, 6),
}


def test_random_graphs(tmp_path: Path) -> None:
    compare({f"graph_{seed}": random_graph(seed) for seed in range(120)}, TARGET, tmp_path)


def test_random_networks(tmp_path: Path) -> None:
    compare({f"network_{seed}": random_network(seed) for seed in range(30)}, TARGET, tmp_path)


def test_random_lstms(tmp_path: Path) -> None:
    """States are kept from one input to the next on both sides."""
    compare({f"lstm_{seed}": random_lstm(seed) for seed in range(30)}, TARGET, tmp_path)


def test_sanitizers(tmp_path: Path) -> None:
    """No undefined behaviour and no access outside any array."""
    graphs = {f"graph_{seed}": random_graph(seed) for seed in range(200, 260)}
    graphs |= {f"lstm_{seed}": random_lstm(seed) for seed in range(10)}
    run_sanitized(graphs | LAYERS, TARGET, tmp_path)


@emulated
@pytest.mark.parametrize("optimization", ["-O0", "-O2", "-Os"])
def test_no_warnings(optimization: str, tmp_path: Path) -> None:
    sources = [str(source) for source in sorted((CORE / "kernels").glob("nrv_mve_*.c"))]
    includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
    command = [COMPILER, *WARNINGS, optimization, *BOARDS[BOARD].cflags, *includes, "-c", *sources]
    subprocess.run(command, check=True, cwd=tmp_path)


def compare_emulated(tflite: bytes, seed: int, folder: Path) -> list[str]:
    report = emit(tflite, "net", folder / "net", TARGET)
    kernels = [layer.kernel for layer in report.layers]
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(folder / "net", "net", inputs, BOARD).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs), keep=False)), kernels
    return kernels


@emulated
@pytest.mark.parametrize("name", LAYERS)
def test_emulated_layers(name: str, tmp_path: Path) -> None:
    kernels = compare_emulated(LAYERS[name], 0, tmp_path)
    assert all(kernel.startswith("mve_") or not kernel for kernel in kernels), kernels


@emulated
@pytest.mark.parametrize("seed", range(6))
def test_emulated_random_graphs(seed: int, tmp_path: Path) -> None:
    compare_emulated(random_graph(seed), seed, tmp_path)


@emulated
@pytest.mark.parametrize("seed", range(3))
def test_emulated_random_lstms(seed: int, tmp_path: Path) -> None:
    compare_emulated(random_lstm(seed), seed, tmp_path)


@emulated
@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 1200, 20))
def test_many_emulated(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 20):
        compare_emulated(random_graph(seed), seed, tmp_path / f"graph_{seed}")
        compare_emulated(random_network(seed), seed, tmp_path / f"network_{seed}")
        compare_emulated(random_lstm(seed), seed, tmp_path / f"lstm_{seed}")


@emulated
@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_emulated_anchors(anchors: Path, name: str, tmp_path: Path) -> None:
    report = emit((anchors / f"{name}.tflite").read_bytes(), name, tmp_path / name, TARGET)
    window = np.load(anchors / f"{name}.in.npy").reshape(1, -1)
    result = run_windows(tmp_path / name, name, window, BOARD)
    assert np.array_equal(result.outputs, np.load(anchors / f"{name}.out.npy").reshape(1, -1))
    assert result.instructions <= INSTRUCTIONS[name]
    assert report.build is not None
    assert report.build.stack_bytes is not None
    assert result.stack_bytes <= report.build.stack_bytes


# Ends with the number of the first function whose lanes differ from the reference's, 0 if none do.
SIGMOIDS = """#include "nrv_lstm_cell.h"
#include "nrv_mve_sigmoid.h"

int main(void)
{
    for (int32_t first = INT16_MIN; first <= INT16_MAX; first += 8) {
        int16_t x[8], y[8];
        for (int i = 0; i < 8; i++) {
            x[i] = (int16_t)(first + i);
        }
        vstrhq_s16(y, nrv_mve_sigmoid15(vldrhq_s16(x)));
        for (int i = 0; i < 8; i++) {
            if (y[i] != nrv_sigmoid15(x[i])) {
                return 10;
            }
        }
        for (int bits = 0; bits <= 6; bits++) {
            vstrhq_s16(y, nrv_mve_tanh15(vldrhq_s16(x), bits));
            for (int i = 0; i < 8; i++) {
                if (y[i] != nrv_tanh15(x[i], bits)) {
                    return 20 + bits;
                }
            }
        }
    }
    return 0;
}
"""


@emulated
def test_sigmoid_and_tanh_of_every_argument(tmp_path: Path) -> None:
    (tmp_path / "main.c").write_text(SIGMOIDS)
    board = BOARDS[BOARD]
    sources = ["main.c", *(str(HERE / name) for name in ("startup.c", "files_semihosting.c"))]
    flags = ["-std=c99", "-O2", *board.cflags, f"-I{CORE}", f"-I{CORE / 'kernels'}", *layout_flags(BOARD)]
    run_tool([COMPILER, *flags, *sources, "-o", "a.elf"], tmp_path, "Building")
    run_tool(board.emulation("a.elf"), tmp_path, "Comparing")
