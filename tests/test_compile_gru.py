"""One step of a GRU as generated C, its state fed back: every bit that of the reference kernels."""

import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantize.gru.step import read_step
from quantize.tflite_writer import write
from tests.conformance import FAMILIES, build
from tests.test_quant_gru import CHANNELS, CLASSES, UNITS, Runner, made, quantized, signals

STEPS = 1000


@pytest.fixture(scope="module")
def step() -> bytes:
    return write(read_step(quantized(made(gain=2.0), signals(256))))


@pytest.mark.parametrize("target", FAMILIES)
def test_many_steps(step: bytes, target: str, tmp_path: Path) -> None:
    library, sizes = build({"gru": step}, target, tmp_path, "-O1")
    memory = np.zeros(sizes["gru"] // 4 + 1, np.uint32)
    runner = Runner(step)
    state = np.zeros(UNITS, np.int8)
    seen = set()
    for sample in np.random.default_rng(0).integers(-128, 128, (STEPS, CHANNELS), np.int8):
        output, following = np.zeros(CLASSES, np.int8), np.zeros(UNITS, np.int8)
        arrays: list[NDArray[Any]] = [memory, sample, state, output, following]
        library.gru_run(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
        assert np.array_equal(output, runner.step(sample))
        assert np.array_equal(following, runner.state[0])
        state = following
        seen.add(state.tobytes())
    assert len(seen) > STEPS * 0.9
