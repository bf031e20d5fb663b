"""ADD, SUB and MUL with the DSP kernels: either operand the larger one, equal scales, repeated constants."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.tflite_reader import read_model
from tests.conformance import compare, reference
from tests.random_draw import f32
from tests.random_graphs import Graph

TARGET = "cortex-m4"


class _Sums(Graph):
    def joined(self, name: str) -> None:
        """This and itself, or this and a constant, of its shape or repeated along leading axes."""
        before, shape, scale, zero = self.at, self.shape, self.scale, self.zero
        ratio = f32(2.0 ** float(self.rng.choice([-11.3, -3, -1, -0.4, 0, 0.2, 1, 2.7])))
        second_scale = f32(scale * ratio)
        at = self.integer(0, len(shape) - 1)
        data = self.rng.integers(-128, 128, shape[at:], np.int8)
        data.reshape(-1)[:2] = [-128, 127][: data.size]
        second = self.maker.constant(data, second_scale, zero_point=self.some_zero())
        if self.rng.random() < 0.2:
            second, second_scale = before, scale
        inputs = [before, second] if self.rng.random() < 0.5 else [second, before]
        total = scale * second_scale * 64 if name == "MUL" else max(scale, second_scale)
        total = f32(max(total * 2.0 ** self.rng.uniform(-2, 2), 2.0**-14))
        zero = self.some_zero()
        self.maker.operator(
            name, inputs, self.output(shape, total, zero), fusedActivationFunction=self.activation()
        )


def sums(seed: int) -> bytes:
    graph = _Sums(np.random.default_rng(seed))
    for _ in range(graph.integer(2, 5)):
        graph.joined(str(graph.rng.choice(["ADD", "SUB", "MUL"])))
    return graph.maker.finish(graph.at)


def kernels(tflite: bytes) -> list[str]:
    program = find_target(TARGET).family.fit(lower(read_model(tflite)))
    return [step.kernel for step in program.steps]


def test_reference(tmp_path: Path) -> None:
    files = {f"sums_{seed}": sums(seed) for seed in range(150)}
    compare(files, TARGET, tmp_path)
    used = [kernel for tflite in files.values() for kernel in kernels(tflite)]
    assert used.count("dsp_add") > 0.8 * len([k for k in used if k.endswith("add")])
    assert used.count("dsp_mul") > 0.8 * len([k for k in used if k.endswith("mul")])


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", range(500, 508))
def test_emulated(seed: int, tmp_path: Path) -> None:
    tflite = sums(seed)
    report = emit(tflite, "net", tmp_path / "net", TARGET)
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(tmp_path / "net", "net", inputs).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs)))
