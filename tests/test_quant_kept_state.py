"""Networks that keep their state: float, fake-quantized and int8 engines over windows in a row."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from quantize import forms
from quantize.c99 import build_shared
from quantize.calibrate import calibrate
from quantize.distil import distil
from quantize.tflite_writer import write
from quantize.verify import softmax, to_int8
from tests.test_train_windows import window_set
from train import models
from train.predict import predict_windows
from train.windows import WindowSet

CHANNELS, LENGTH, CLASSES, FIELDS = 3, 20, 4, 2
PARAMS: dict[str, dict[str, Any]] = {
    "gru": {"units": 12, "stride": 2},
    "cnn_gru": {"layers": [[8, 3, 1]], "units": 12},
    "lstm": {"units": 12, "stride": 2},
    "recurrent_conv": {"grid": 4, "units": 12},
}


def recordings(seed: int, count: int = 6, windows: int = 5) -> WindowSet:
    """Noise round levels that change from window to window, of people of whom something is known."""
    rng = np.random.default_rng(seed)
    blank = window_set([("s", f"s/{n}", 0, 0) for n in range(count) for _ in range(windows)])
    x = rng.normal(0, 25, (len(blank), LENGTH, CHANNELS)) + rng.normal(0, 50, (len(blank), 1, CHANNELS))
    facts = np.repeat(rng.integers(-128, 128, (count, FIELDS)), windows, axis=0) / 32
    stored = np.clip(np.rint(x), -128, 127).astype(np.int8)
    return replace(blank, x=stored, context=facts.astype(np.float32)).select(np.arange(len(blank)) != 2)


def network(name: str) -> nn.Module:
    """Its batch norms have seen windows, its memory lasts and its outputs differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = models.build(name, CHANNELS, LENGTH, CLASSES, PARAMS[name], FIELDS, keeps_state=True)
        seen = recordings(9)
        with torch.no_grad():
            for _ in range(20):
                model.train()(models.to_input(seen.x), torch.from_numpy(seen.context))
            for path, parameter in model.named_parameters():
                if path == "gru.bias_ih_l0":
                    parameter.chunk(3)[1].add_(3)
                if path == "lstm.bias_ih_l0":
                    parameter.chunk(4)[1].add_(3)
                if path == "dense.weight":
                    parameter.mul_(4)
    return model.eval()


def run_in_order(engine: Engine, windows: WindowSet) -> NDArray[np.int64]:
    """Outputs [N, K]; reset where a recording begins, as a chain is."""
    outputs, before = [], ""
    for x, context, recording in zip(windows.x, windows.context, windows.recording, strict=True):
        if recording != before:
            engine.reset()
        before = recording
        outputs.append(engine.run(x, np.rint(context * 32).astype(np.int8)).astype(np.int64))
    return np.array(outputs)


@pytest.mark.parametrize("name", [name for name in models.names() if models.is_recurrent(name)])
def test_float_fake_quantized_and_engines_keep_the_same_state(name: str) -> None:
    model, windows = network(name), recordings(1)
    form = forms.quantized(forms.lower(model, (CHANNELS, 1, LENGTH), FIELDS))
    assert models.keeps_state(form)
    seen = recordings(2, count=40)
    calibrate(form, models.to_input(seen.x), torch.from_numpy(seen.context))
    tflite = write(forms.read_graph(form))
    exact = softmax(predict_windows(model, windows))
    fake = to_int8(softmax(predict_windows(form, windows))).astype(np.int64)
    reference = run_in_order(TfliteEngine(tflite, "reference", keeps_state=True), windows)
    np.testing.assert_array_equal(reference, fake)
    assert np.abs((reference + 128) / 256 - exact).max() < 0.1
    np.testing.assert_array_equal(
        run_in_order(NativeEngine(build_shared(tflite), keeps_state=True), windows), reference
    )
    alone = run_in_order(TfliteEngine(tflite, "reference"), windows)
    first = np.r_[True, windows.recording[1:] != windows.recording[:-1]]
    np.testing.assert_array_equal(alone[first], reference[first])
    assert np.abs(alone - reference)[~first].max() > 10  # it does matter


@pytest.mark.parametrize("name", ["gru", "lstm"])
def test_a_row_is_learned_from_with_its_state_kept(name: str) -> None:
    model, row = network(name), 3
    form: Any = forms.quantized(forms.lower(model, (CHANNELS, 1, LENGTH), FIELDS))
    seen = recordings(2, count=40, windows=row)
    seen = seen.select(seen.recording != "s/0")
    calibrate(form, models.to_input(seen.x), torch.from_numpy(seen.context))
    head = form.head if name == "gru" else form.weighted[str(len(form.network.layers) - 3)]
    with torch.no_grad():
        head.bias += torch.linspace(-1, 1, CLASSES)

    def distance() -> float:
        return float(
            np.abs(softmax(predict_windows(form, seen)) - softmax(predict_windows(model, seen))).mean()
        )

    before = distance()
    long = seen.x.reshape(-1, row * LENGTH, CHANNELS)
    distil(form, model, long, 25, 16, 3e-2, 0, context=seen.context[::row], row=row)
    assert distance() < before / 2
