"""The DSP kernels on the processors that have them, emulated: the stored outputs of the anchor models."""

from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.profile import board_of
from quantize.tflite_reader import read_model
from tests.conformance import compare
from tests.tflite_maker import VALID, Maker

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


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D"])
def test_dead_channels(name: str, tmp_path: Path) -> None:
    """Scales below 2^-24 give the zero point, whatever comes in, and keep no layer from its kernel."""
    files = {}
    for number, scale in enumerate([2.0**-26, 2.0**-31, 2.0**-40]):
        maker, rng = Maker(), np.random.default_rng(number)
        source = maker.input((1, 1, 9, 4), 1.0, 5)
        shape = (4, 1, 3, 4) if name == "CONV_2D" else (1, 1, 3, 4)
        scales = [0.01, float(np.float32(scale)), 0.01, 0.01]
        weights = maker.constant(
            rng.integers(-127, 128, shape).astype(np.int8), scales, 0 if name == "CONV_2D" else 3
        )
        bias = maker.constant(np.array([100, 50_000, -100, 0], np.int32), scales)
        target = maker.tensor((1, 1, 7, 4), 1.0, -9)
        options = {"padding": VALID, "strideH": 1, "strideW": 1}
        if name != "CONV_2D":
            options["depthMultiplier"] = 1
        files[f"dead_{number}"] = maker.finish(
            maker.operator(name, [source, weights, bias], target, **options)
        )
    compare(files, "cortex-m4", tmp_path)
    for tflite in files.values():
        steps = find_target("cortex-m4").family.fit(lower(read_model(tflite))).steps
        assert [step.kernel[:4] for step in steps] == ["dsp_"]
