"""Layers in stripes by Helium's kernels: the reference's integers, from little memory."""

from math import prod
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from tests.conformance import compare, reference, run_sanitized
from tests.test_compile_stripes import CHAINS, chain, chains, fitted

TARGET, BOARD = "cortex-m55", "mps3-an547"
# 0.7 times what TensorFlow Lite Micro with CMSIS-NN takes for the same file on the same processor.
ARENAS = {"emg_cnn": 3_978, "eegnet": 15_761, "acharya13": 19_580, "lstm": 3_743, "dscnn": 15_974}


def test_integers(tmp_path: Path) -> None:
    striped = [any(step.stripe for step in fitted(tflite, TARGET).steps) for tflite in chains().values()]
    assert sum(striped) > CHAINS // 2
    compare(chains(), TARGET, tmp_path)


def test_no_byte_beside(tmp_path: Path) -> None:
    run_sanitized(chains(), TARGET, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize("seed", range(4))
def test_emulated(seed: int, tmp_path: Path) -> None:
    tflite = chain(seed)
    report = emit(tflite, "net", tmp_path / "net", TARGET)
    inputs = np.random.default_rng(seed).integers(-128, 128, (3, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(tmp_path / "net", "net", inputs, BOARD).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs), keep=False))


@pytest.mark.parametrize("name", ARENAS)
def test_arenas(anchors: Path, name: str) -> None:
    program = fitted((anchors / f"{name}.tflite").read_bytes(), TARGET)
    assert plan(arena_buffers(program)).size <= ARENAS[name]
