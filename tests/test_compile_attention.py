"""A block of self-attention as generated C: the reference's integers, in the room of a microcontroller."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.forms import read_graph
from quantize.tflite_writer import write
from tests.attention_models import block, quantized
from tests.conformance import reference

CODE_BYTES, ARENA_BYTES, INSTRUCTIONS = 8192, 24 << 10, 1_100_000


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
def test_emulated(tmp_path: Path) -> None:
    tflite = write(read_graph(quantized(block())))
    report = emit(tflite, "net", tmp_path / "net", "cortex-m4")
    assert {"dsp_product", "dsp_softmax"} <= {layer.kernel for layer in report.layers}
    windows = np.random.default_rng(0).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    result = run_windows(tmp_path / "net", "net", windows)
    assert np.array_equal(result.outputs, reference(tflite, list(windows)))
    small = emit(tflite, "net", tmp_path / "small", "cortex-m4", optimize="balanced")
    assert small.build is not None
    assert small.build.code_bytes <= CODE_BYTES
    assert report.arena_bytes <= ARENA_BYTES
    assert result.instructions <= INSTRUCTIONS
