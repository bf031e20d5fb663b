"""Generated C against the TFLite reference kernels, on random graphs: not one differing integer."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from tests.conformance import FAMILIES, compare, reference
from tests.random_graphs import random_graph, random_lstm
from tests.random_networks import random_network
from tests.tflite_maker import SAME, VALID, Maker

BATCH = 100  # graphs in one library


@pytest.mark.parametrize("target", FAMILIES)
@pytest.mark.parametrize("first", range(0, 300, BATCH))
def test_random_graphs(first: int, target: str, tmp_path: Path) -> None:
    compare({f"graph_{seed}": random_graph(seed) for seed in range(first, first + BATCH)}, target, tmp_path)


@pytest.mark.parametrize("target", FAMILIES)
def test_random_networks(target: str, tmp_path: Path) -> None:
    """Operators of every kind in a chain."""
    compare({f"network_{seed}": random_network(seed) for seed in range(BATCH)}, target, tmp_path)


@pytest.mark.parametrize("target", FAMILIES)
def test_random_lstms(target: str, tmp_path: Path) -> None:
    """States are kept from one input to the next on both sides."""
    graphs = {f"lstm_{seed}": random_lstm(seed) for seed in range(60)}
    compare(graphs, target, tmp_path)


def softmax(depth: int, scale: float, beta: float) -> bytes:
    maker = Maker()
    source = maker.input((2, depth), scale, 5)
    return maker.finish(
        maker.operator("SOFTMAX", [source], maker.tensor((2, depth), 1 / 256, -128), beta=beta)
    )


def mean(count: int, ratio: float, zero_point: int) -> bytes:
    maker = Maker()
    source, axis = maker.input((1, count, 3), 0.125, zero_point), maker.constant(np.array(1, np.int32))
    return maker.finish(maker.operator("MEAN", [source, axis], maker.tensor((1, 3), 0.125 / ratio, -7)))


def pool(name: str, kernel: int, padding: int, zero_point: int) -> bytes:
    maker = Maker()
    source, target = (
        maker.input((1, 1, 90, 3), 0.125, zero_point),
        maker.tensor((1, 1, 30, 3), 0.125, zero_point),
    )
    if padding == VALID:
        target = maker.tensor((1, 1, (90 - kernel) // 3 + 1, 3), 0.125, zero_point)
    sizes = {"filterHeight": 1, "filterWidth": kernel, "strideH": 1, "strideW": 3}
    return maker.finish(maker.operator(name, [source], target, padding=padding, **sizes))


def dense(scale: float, weight: int, bias: int) -> bytes:
    """A power of two as the effective scale makes every other sum an exact half: the hardest to round."""
    maker = Maker()
    source = maker.input((3, 9), scale, -3)
    weights = maker.constant(np.full((2, 9), weight, np.int8), 0.5)
    biases = maker.constant(np.array([bias, -bias], np.int32), scale / 2)
    target = maker.tensor((3, 2), 1.0, 11)
    return maker.finish(maker.operator("FULLY_CONNECTED", [source, weights, biases], target))


def same_convolution(width: int, kernel: int, stride: int, dilation: int) -> bytes:
    """One channel, a kernel that reaches far over both borders."""
    maker = Maker()
    source = maker.input((1, 1, width, 1), 0.25, 17)
    weights = maker.constant(
        (np.arange(6 * kernel) % 251 - 125).astype(np.int8).reshape(6, 1, kernel, 1), 0.01
    )
    bias = maker.constant(np.arange(6, dtype=np.int32) * 1000, 0.0025)
    target = maker.tensor((1, 1, -(-width // stride), 6), 2.0, -4)
    options = {
        "strideH": 1,
        "strideW": stride,
        "dilationHFactor": 1,
        "dilationWFactor": dilation,
        "padding": SAME,
    }
    return maker.finish(maker.operator("CONV_2D", [source, weights, bias], target, **options))


@pytest.mark.parametrize("target", FAMILIES)
def test_extremes(target: str, tmp_path: Path) -> None:
    graphs = [softmax(depth, 2.0**-e, 1.0) for depth in (1, 2, 300, 511) for e in (12, 8, 5, 2, -1)]
    graphs += [softmax(7, 0.0625, beta) for beta in (0.001, 100.0, 100_000.0)]
    graphs += [
        mean(count, ratio, zero)
        for count in (1, 2, 5, 1023, 4096)
        for ratio in (0.3, 1, 7.7)
        for zero in (-128, 9)
    ]
    pools = ("AVERAGE_POOL_2D", "MAX_POOL_2D")
    graphs += [
        pool(name, kernel, pad, -128) for name in pools for kernel in (1, 3, 30, 90) for pad in (SAME, VALID)
    ]
    graphs += [
        dense(2.0**-e, weight, bias) for e in (1, 4, 9) for weight in (1, -127) for bias in (0, 3, 1 << 20)
    ]
    graphs += [
        same_convolution(*shape) for shape in ((5, 11, 1, 1), (7, 5, 2, 3), (3, 9, 1, 4), (64, 33, 5, 1))
    ]
    compare({f"extreme_{number}": tflite for number, tflite in enumerate(graphs)}, target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", FAMILIES)
@pytest.mark.parametrize("first", range(1000, 6000, BATCH))
def test_many_random_graphs(first: int, target: str, tmp_path: Path) -> None:
    compare({f"graph_{seed}": random_graph(seed) for seed in range(first, first + BATCH)}, target, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("target", FAMILIES)
@pytest.mark.parametrize("first", range(1000, 4000, BATCH))
def test_many_random_networks(first: int, target: str, tmp_path: Path) -> None:
    files = {f"network_{seed}": random_network(seed) for seed in range(first, first + BATCH)}
    compare(files, target, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", range(6))
def test_emulated_random_networks(seed: int, tmp_path: Path) -> None:
    compare_emulated(random_network(seed), seed, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", [2, 3, 5, 9, 14, 16, 17, 36, 69, 74])
def test_emulated_random_graphs(seed: int, tmp_path: Path) -> None:
    """The DSP family's own instructions, which the tests above replace by plain C."""
    compare_emulated(random_graph(seed), seed, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", range(4))
def test_emulated_random_lstms(seed: int, tmp_path: Path) -> None:
    compare_emulated(random_lstm(seed), seed, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("first", range(1000, 1200, 20))
def test_many_emulated_random_graphs(first: int, tmp_path: Path) -> None:
    for seed in range(first, first + 20):
        compare_emulated(random_graph(seed), seed, tmp_path / str(seed))


def compare_emulated(tflite: bytes, seed: int, folder: Path) -> None:
    report = emit(tflite, "net", folder / "net", "cortex-m4")
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(folder / "net", "net", inputs).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs), keep=False)), [
        o.kernel for o in report.layers
    ]
