"""Every family of networks takes a context and, where it has one, keeps its state: so do devices."""

import functools
from pathlib import Path

import numpy as np
import pytest
import torch

from edge.bundle import Bundle
from edge.decision import Decision
from edge.engines.native import NativeEngine
from edge.link import Link, Traced
from edge.messages import Trace
from edge.pipeline import Pipeline
from hil_tests.parity import decision_rows
from hil_tests.run import validate
from quantize import forms
from quantize.c99 import build_shared
from quantize.calibrate import calibrate
from quantize.tflite_writer import write
from tests.stateful_models import FIELDS, stateful_bundle
from tests.tiny_bundle import CHANNELS, CLASSES, WINDOW
from tests.tiny_firmware import build_tiny, need_board
from train import models

PARAMS = {"acharya13": {"layers": ((4, 6), (10, 4))}}
"""Where the small window needs others than the network's own."""
EACH_TIME = ("cnn1d", "cnn_gru", "lstm")
"""A family without state, one that hands it over, one that keeps it inside; the others take a while."""


@functools.cache
def bundle_of(name: str) -> Bundle:
    """An untrained network, quantized after training, with random weights from a fixed seed."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    context = len(FIELDS)
    keeps_state = models.is_recurrent(name)
    model = models.build(name, CHANNELS, WINDOW, CLASSES, PARAMS.get(name, {}), context, keeps_state).eval()
    quantized = forms.quantized(forms.lower(model, (CHANNELS, 1, WINDOW), context))
    rng = np.random.default_rng(0)

    def int8(*shape: int) -> torch.Tensor:
        return torch.from_numpy(rng.normal(0, 40, shape).clip(-128, 127).round().astype(np.float32))

    calibrate(quantized, int8(256, CHANNELS, 1, WINDOW) / 128, int8(256, context) / 32)
    return stateful_bundle(write(forms.read_graph(quantized)), keeps_state)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in EACH_TIME else pytest.mark.slow) for n in models.names()]
)
def test_the_firmware_streams_as_the_host(name: str, tmp_path: Path) -> None:
    """Golden counts with a hole in them; generated C on both sides, TFLite's outputs as the truth."""
    need_board("host")
    bundle = bundle_of(name)
    golden, spec = bundle.golden, bundle.pipeline
    firmware = build_tiny(bundle, "host", tmp_path)
    engine = NativeEngine(build_shared(bundle.model), spec.keeps_state)
    pipeline = Pipeline(bundle, engine, context=golden.context)
    counts, at = golden.counts, len(golden.counts) // 2
    expected = pipeline.push(counts, 0) + pipeline.push(counts[at:], len(counts) + 100)
    with Link.open("host:", firmware.path, bundle.hash) as link:
        link.set_context(golden.context)
        link.start(Trace.OUTPUT)
        events = [*link.stream(counts), *link.stream(counts[at:], len(counts) + 100)]
    outputs = [event.values for event in events if isinstance(event, Traced)]
    np.testing.assert_array_equal(outputs[: len(golden.outputs)], golden.outputs)
    assert len(outputs) > len(golden.outputs)
    decisions = [event for event in events if isinstance(event, Decision)]
    assert decision_rows(decisions).tolist() == decision_rows(expected).tolist()
    assert len(spec.context) == len(FIELDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.names())
def test_the_suite_passes_on_the_emulated_board(name: str, tmp_path: Path) -> None:
    need_board("netduinoplus2", emulator=True)
    bundle = bundle_of(name)
    bundle.save(tmp_path / "x.nrv")
    firmware = build_tiny(bundle, "netduinoplus2", tmp_path)
    report = validate(tmp_path / "x.nrv", "qemu:netduinoplus2", firmware.path, tmp_path / "report")
    assert report.passed, [test for test in report.tests if test.outcome == "failed"]
    assert not any(stage.differing for stage in report.parity)
