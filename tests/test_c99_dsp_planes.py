"""Depthwise layers channel by channel, in chains whose outputs take their inputs' places."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.arena import Buffer, plan
from tests.conformance import compare, reference, run_sanitized
from tests.random_graphs import Graph
from tests.tflite_maker import SAME, VALID

TARGET = "cortex-m4"


class _Chain(Graph):
    """Pictures and recordings whose windows move by one tap along at least one axis."""

    def window(self) -> tuple[int, int, int, int, int, int, int]:
        padding = int(self.rng.choice([SAME, SAME, VALID]))
        height, width = self.shape[1:3]
        along = self.integer(0, 1) if height > 1 else 1
        kernel = [self.integer(1, 4), self.integer(1, 4)]
        kernel[along] = self.integer(1, 21)
        stride, dilation = [1, 1], [1, 1]
        stride[1 - along] = self.integer(1, 2)
        if stride == [1, 1]:
            dilation[1 - along] = self.integer(1, 2)
        for axis, size in enumerate((height, width)):
            if padding == VALID:
                dilation[axis] = dilation[axis] if size > 2 else 1
                kernel[axis] = min(kernel[axis], (size - 1) // dilation[axis] + 1)
        return kernel[0], kernel[1], stride[0], stride[1], padding, dilation[0], dilation[1]


def chain(seed: int) -> bytes:
    """Three depthwise layers after one another, of 1 to 9 channels."""
    rng = np.random.default_rng(seed)
    graph = _Chain(rng)
    graph.shape = (1 + (seed % 5 == 0), *graph.shape[1:])
    graph.maker = type(graph.maker)()
    graph.at = graph.maker.input(graph.shape, graph.scale, graph.zero)
    for _ in range(3):
        if prod(graph.shape) < 3000:
            graph.convolution(True)
    return graph.maker.finish(graph.at)


def test_reference(tmp_path: Path) -> None:
    compare({f"chain_{seed}": chain(seed) for seed in range(150)}, TARGET, tmp_path)


def test_sanitizers(tmp_path: Path) -> None:
    """No access outside the planes."""
    run_sanitized({f"chain_{seed}": chain(seed) for seed in range(200, 230)}, TARGET, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", [303, 308, 318, 322, 325, 330, 341, 343])
def test_emulated(seed: int, tmp_path: Path) -> None:
    tflite = chain(seed)
    report = emit(tflite, "net", tmp_path / "net", TARGET)
    assert "dsp_planes" in {layer.kernel for layer in report.layers}
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(tmp_path / "net", "net", inputs).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs)))


def test_an_output_takes_its_input_s_place() -> None:
    """Exactly there: four bytes off, the one's channels would lie over the other's."""
    first = Buffer("first", 100, 0, 1)
    onto = plan([first, Buffer("second", 80, 1, 2, onto=frozenset({"first"}))])
    assert [p.offset for p in onto.placements] == [0, 0]
    assert onto.size == onto.bound == 100
    aside = plan([first, Buffer("between", 8, 1, 1), Buffer("second", 120, 1, 2, onto=frozenset({"first"}))])
    offsets = {p.buffer.name: p.offset for p in aside.placements}
    assert offsets["second"] == offsets["first"]
    assert aside.size == aside.bound == 128


def test_one_kernel_for_all(anchors: Path, tmp_path: Path) -> None:
    """The last depthwise layer here would save 2 % by planes; the first one needs the other kernel."""
    report = emit((anchors / "eegnet.tflite").read_bytes(), "net", tmp_path / "net", TARGET)
    kernels = [layer.kernel for layer in report.layers if layer.operator == "DEPTHWISE_CONV_2D"]
    assert kernels == ["dsp_depthwise", "dsp_depthwise"]
