"""BATCH_MATMUL with the DSP kernels: columns of either operand's batches as a convolution's units."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from tests.conformance import compare, reference, run_sanitized
from tests.random_draw import f32
from tests.tflite_maker import Maker

TARGET = "cortex-m4"


def attention(seed: int) -> bytes:
    """Queries and keys by constants for each head, their products, and those times the keys."""
    rng, maker = np.random.default_rng(seed), Maker()
    heads, rows, depth, width = (int(rng.integers(1, n)) for n in (4, 14, 19, 10))
    zero = int(rng.choice([-128, 0, 127, rng.integers(-128, 128)]))
    source = maker.input((1, 1, rows, depth), 0.01, zero)
    made: list[tuple[int, float]] = []
    for adjoint in (True, False):
        size = (1, heads, width, depth) if adjoint else (1, heads, depth, width)
        constant = maker.constant(rng.integers(-127, 128, size).astype(np.int8), 0.01)
        scale = f32(0.01 * 0.01 * 74 * depth**0.5 * 2.0 ** rng.uniform(-1, 2))
        # The second one is a second operand again, which needs the zero point 0.
        target = maker.tensor((1, heads, rows, width), scale, 0 if made else int(rng.integers(-128, 128)))
        made.append((maker.operator("BATCH_MATMUL", [source, constant], target, adjY=adjoint), scale))
    (queries, first), (keys, second) = made
    total = f32(first * second * 74 * 74 * width**0.5 * 2.0 ** rng.uniform(-8, -5))
    low = int(rng.choice([-128, rng.integers(-128, 128)]))
    scores = maker.tensor((1, heads, rows, rows), total, low)
    maker.operator("BATCH_MATMUL", [queries, keys], scores, adjY=True)
    last = f32(total * second * 74 * 74 * rows**0.5 * 2.0 ** rng.uniform(-8, -5))
    target = maker.tensor((1, heads, rows, width), last, int(rng.integers(-128, 128)))
    return maker.finish(maker.operator("BATCH_MATMUL", [scores, keys], target, adjY=False))


def test_reference(tmp_path: Path) -> None:
    compare({f"attention_{seed}": attention(seed) for seed in range(80)}, TARGET, tmp_path)


def test_sanitizers(tmp_path: Path) -> None:
    """No access beyond a row, a stream, a column."""
    run_sanitized({f"attention_{seed}": attention(seed) for seed in range(100, 125)}, TARGET, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", range(200, 208))
def test_emulated(seed: int, tmp_path: Path) -> None:
    tflite = attention(seed)
    report = emit(tflite, "net", tmp_path / "net", TARGET)
    assert [layer.kernel for layer in report.layers] == ["dsp_product"] * 4
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(tmp_path / "net", "net", inputs).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs)))
