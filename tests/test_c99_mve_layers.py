"""Layers of many shapes by Helium's kernels: the reference's integers, and what a multiplication costs."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from tests.conformance import reference, run_sanitized
from tests.test_compile_mve import BOARD, RELU, TARGET, layer
from tests.tflite_maker import SAME, VALID, Maker

# File, and what it may take for each multiplication: instructions, emulated.
LAYERS = {
    "three_channels": (layer((12, 13, 3), (3, 3), 8, options=(1, 1, SAME, RELU)), 1.1),
    "three_channels_strided": (layer((32, 32, 3), (3, 3), 8, options=(2, 1, SAME, RELU)), 0.8),
    "five_channels": (layer((20, 20, 5), (3, 3), 5, options=(1, 1, SAME, 0)), 0.8),
    "twelve_channels": (layer((20, 20, 12), (3, 3), 12, options=(1, 1, SAME, RELU)), 0.28),
    "twenty_channels": (layer((20, 20, 20), (3, 3), 20, options=(1, 1, SAME, RELU)), 0.22),
    "one_channel": (layer((28, 28, 1), (5, 5), 4, options=(1, 1, SAME, RELU)), 1.5),
    "narrow_rows": (layer((25, 5, 1), (10, 4), 24, options=(1, 1, SAME, RELU)), 0.5),
    "seven_taps": (layer((1, 200, 3), (1, 7), 16, options=(1, 1, SAME, RELU)), 0.4),
    "long_taps": (layer((4, 128, 1), (1, 64), 4, options=(1, 1, SAME, 0)), 0.25),
    "pooled": (layer((1, 400, 1), (1, 9), 3, options=(1, 1, VALID, RELU), pool=2), 1.2),
    "dilated_row": (layer((1, 128, 16), (1, 3), 16, options=(1, 4, SAME, RELU)), 0.35),
    "dilated": (layer((14, 14, 6), (3, 3), 6, options=(1, 2, SAME, RELU)), 1.0),
    "pointwise": (layer((10, 20, 12), (1, 1), 20), 0.6),
    "few_channels_pointwise": (layer((1, 100, 5), (1, 1), 5), 2.0),
    "depthwise_three_by_three": (layer((20, 20, 12), (3, 3), 12, True, (1, 1, SAME, RELU)), 1.1),
    "depthwise_three_channels": (layer((20, 20, 3), (3, 3), 3, True, (1, 1, SAME, RELU)), 1.7),
    "depthwise_seven_by_seven": (layer((14, 14, 16), (7, 7), 16, True, (1, 1, SAME, RELU)), 0.5),
    "depthwise_row": (layer((1, 200, 16), (1, 33), 16, True, (1, 1, SAME, RELU)), 0.55),
    "depthwise_column": (layer((64, 64, 8), (64, 1), 16, True, (1, 1, VALID, 0)), 1.3),
    "depthwise_long_row": (layer((1, 90, 3), (1, 61), 6, True, (1, 3, SAME, 0)), 1.0),
}


def of_large_scale(depthwise: bool) -> bytes:
    """A convolution whose channels' scales lie between 1/8 and 1, with RELU: some have a shift of 0."""
    maker, rng = Maker(), np.random.default_rng(8)
    source = maker.input((1, 6, 7, 8), 0.5, -3)
    scales = [float(np.float32(s)) for s in np.linspace(0.25, 1.999, 8)]
    shape, axis = ((1, 2, 2, 8), 3) if depthwise else ((8, 1, 1, 8), 0)
    weights = maker.constant(rng.integers(-2, 3, shape).astype(np.int8), scales, axis)
    bias = maker.constant(rng.integers(-9, 9, 8).astype(np.int32), [s / 2 for s in scales])
    target = maker.tensor((1, 5, 6, 8) if depthwise else (1, 6, 7, 8), 1.0, -20)
    options = {"strideH": 1, "strideW": 1, "padding": VALID, "fusedActivationFunction": RELU}
    if depthwise:
        options["depthMultiplier"] = 1
    name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
    return maker.finish(maker.operator(name, [source, weights, bias], target, **options))


def padded(kernel: tuple[int, int], pads: list[list[int]]) -> bytes:
    """A PAD, then a VALID convolution: together one with a border."""
    maker, rng = Maker(), np.random.default_rng(3)
    source = maker.input((1, 9, 11, 4), 0.5, 5)
    height, width = 9 + sum(pads[0]), 11 + sum(pads[1])
    amounts = maker.constant(np.array([[0, 0], *pads, [0, 0]], np.int32))
    larger = maker.operator("PAD", [source, amounts], maker.tensor((1, height, width, 4), 0.5, 5))
    weights = maker.constant(rng.integers(-127, 128, (6, *kernel, 4)).astype(np.int8), 0.5)
    bias = maker.constant(rng.integers(-999, 999, 6).astype(np.int32), 0.25)
    scale = 2.0 ** np.ceil(np.log2(148 * np.sqrt(prod(kernel))))
    shape = (1, height - kernel[0] + 1, width - kernel[1] + 1, 6)
    options = {"strideH": 1, "strideW": 1, "padding": VALID}
    return maker.finish(
        maker.operator("CONV_2D", [larger, weights, bias], maker.tensor(shape, scale, -5), **options)
    )


PADDED = {
    "around": ((3, 3), [[1, 2], [1, 1]]),
    "rows": ((1, 1), [[1, 1], [0, 0]]),
    "row": ((1, 5), [[0, 1], [4, 0]]),
}
LAYERS |= {f"padded_{name}": (padded(*sizes), 5.0) for name, sizes in PADDED.items()}
LAYERS |= {f"large_scale_{d}": (of_large_scale(d), 5.0) for d in (False, True)}


def test_sanitizers(tmp_path: Path) -> None:
    run_sanitized({name: tflite for name, (tflite, _) in LAYERS.items()}, TARGET, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("name", LAYERS)
def test_emulated(name: str, tmp_path: Path) -> None:
    tflite, most = LAYERS[name]
    report = emit(tflite, "net", tmp_path / "net", TARGET)
    assert any(made.kernel.startswith("mve_") for made in report.layers)
    inputs = np.random.default_rng(0).integers(-128, 128, (2, prod(report.input_shapes[0])), np.int8)
    result = run_windows(tmp_path / "net", "net", inputs, BOARD)
    assert np.array_equal(result.outputs, reference(tflite, list(inputs)))
    assert result.instructions <= most * report.macs
