"""The DSP kernels on the processors that have them, emulated: the stored outputs of the anchor models."""

from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.profile import board_of

MODELS = ("emg_cnn", "eegnet", "acharya13", "lstm2")

needs_emulator = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


@needs_emulator
@pytest.mark.parametrize("target", ["cortex-m7", "cortex-m33"])
@pytest.mark.parametrize("name", MODELS)
def test_other_processors(anchors: Path, tmp_path: Path, name: str, target: str) -> None:
    emit((anchors / f"{name}.tflite").read_bytes(), name, tmp_path / name, target)
    window = np.load(anchors / f"{name}.in.npy").reshape(1, -1)
    result = run_windows(tmp_path / name, name, window, board_of(target))
    assert np.array_equal(result.outputs, np.load(anchors / f"{name}.out.npy").reshape(1, -1))
    assert result.stack_bytes <= 512
