"""Streaming: what a push gives is what the reference kernels give of the whole window, to the bit."""

import json
from collections.abc import Callable
from math import prod
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from edge.errors import InnervateError
from edge.firmware.bench.emulator import available, run_windows
from innervate.cli import app
from innervate.report.compiled import render
from quantize.c99 import emit
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.profile import board_of, run_once
from quantize.c99.streaming.stream import Streaming, stream
from quantize.tflite_reader import read_model
from tests.conformance import FAMILIES, reference
from tests.random_graphs import random_lstm
from tests.random_operators import random_operators
from tests.stateful_models import step_file
from tests.streams import (
    Case,
    Recording,
    compare_streams,
    random_stream,
    rewritten,
    run_streams_sanitized,
)

TARGETS = (*FAMILIES, "host")
GRAPHS = 120
SANITIZED = 40
ANCHORS = [
    ("emg_cnn", 40),
    ("emg_cnn", 48),
    ("emg_cnn", 50),
    ("emg_cnn_ap", 56),
    ("emg_cnn_k1d", 40),
    ("eegnet", 32),
    ("eegnet", 100),
    ("acharya13", 256),
    ("dscnn", 2),
    ("dscnn", 5),
]
# Strides of emg_cnn's three convolutions, without padding: its own; such that divide a hop of 50; and such
# that also need as many multiplications as its own.
LITERAL, DIVIDING, AS_LARGE = (2, 2, 2), (2, 5, 1), (1, 5, 2)


def streamed(tflite: bytes, hop: int, target: str = "cortex-m4") -> Streaming:
    return stream(lower(read_model(tflite)), hop, find_target(target).family, "net")[1]


@pytest.mark.parametrize("target", TARGETS)
def test_random_graphs(target: str, tmp_path: Path) -> None:
    cases = {f"graph_{seed}": random_stream(seed) for seed in range(GRAPHS)}
    built = compare_streams(cases, target, tmp_path)
    flows = [list(b.streaming.flows.tensors.values())[1:] for b in built.values()]
    # Every way was taken by some: columns next to the window's ends, a finer grid, rows of columns.
    assert sum(bool(f) for f in flows) > GRAPHS * 0.8
    assert sum(any(one.bordered for one in f) for f in flows) > GRAPHS // 5
    assert sum(any(one.phases > 1 for one in f) for f in flows) >= GRAPHS // 30
    assert sum(any(one.outer > 1 for one in f) for f in flows) > GRAPHS // 8


def test_int16_activations(tmp_path: Path) -> None:
    cases, wide = {}, 0
    for name in ("WIDE_AVERAGE", "WIDE_CONV", "WIDE_DEPTHWISE", "WIDE_MAX"):
        for seed in range(12):
            tflite = random_operators(name, seed, 1)
            model = read_model(tflite)
            shape = model.tensors[model.inputs[0]].shape
            if shape[0] == 1 and max(shape[1:3]) > 3:
                cases[f"{name}_{seed}".lower()] = Case(tflite, 1 + seed % 2)
                tensors = streamed(tflite, 1 + seed % 2).flows.tensors
                wide += any(t.dtype == "INT16" for t in model.tensors if t.index in tensors)
    assert wide > 8
    compare_streams(cases, "generic", tmp_path)


def test_further_inputs(tmp_path: Path) -> None:
    graph = Recording(7)
    graph.maker.graph.tensors[graph.at].shape = [1, 1, 40, 4]
    graph.shape = (1, 1, 40, 4)
    graph.maker.operator("TANH", [graph.at], graph.output(graph.shape, 1 / 128, 0))
    axes = graph.maker.constant(np.array([1, 2], np.int32))
    graph.maker.operator("MEAN", [graph.at, axes], graph.output((1, 4), 1 / 128, 0), keepDims=False)
    context = graph.maker.input((1, 3), 1 / 128, 0)
    joined = graph.maker.tensor((1, 7), 1 / 128, 0)
    tflite = graph.maker.finish(graph.maker.operator("CONCATENATION", [graph.at, context], joined, axis=1))
    compare_streams({"joined": Case(tflite, 7)}, "generic", tmp_path)


def test_what_moves_nothing(tmp_path: Path) -> None:
    graph = Recording(8)
    graph.reshape((prod(graph.shape),))
    compare_streams({"flat": Case(graph.maker.finish(graph.at), 3)}, "generic", tmp_path)


@pytest.mark.parametrize("target", TARGETS)
def test_no_byte_beside(target: str, tmp_path: Path) -> None:
    cases = {f"graph_{seed}": random_stream(1000 + seed) for seed in range(SANITIZED)}
    run_streams_sanitized(cases, target, tmp_path)


@pytest.mark.parametrize("target", TARGETS)
def test_anchors(target: str, anchors: Path, tmp_path: Path) -> None:
    cases = {f"{name}_{hop}": Case((anchors / f"{name}.tflite").read_bytes(), hop) for name, hop in ANCHORS}
    emg_cnn = cases["emg_cnn_48"].tflite
    cases["literal"] = Case(rewritten(emg_cnn, LITERAL), 50)
    cases["dividing"] = Case(rewritten(emg_cnn, DIVIDING), 50)
    compare_streams(cases, target, tmp_path)


def test_multiply_accumulates_of_a_push(anchors: Path) -> None:
    tflite = rewritten((anchors / "emg_cnn.tflite").read_bytes(), LITERAL)
    streaming = streamed(tflite, 48, "generic")
    # New columns of each convolution, by its weights, and the dense layer.
    assert streaming.macs == 24 * 16 * 40 + 12 * 32 * 80 + 6 * 64 * 96 + 64 * 8
    assert streaming.source.columns == 200
    # Kept is what kernels reach with the new columns, and of 200 and 98 columns the last, which none of the
    # window's reaches; all for MEAN.
    assert streaming.kept_bytes == 52 * 8 + 28 * 16 + 13 * 32 + 23 * 64


def test_obstacle_is_named(anchors: Path) -> None:
    tflite = (anchors / "emg_cnn.tflite").read_bytes()
    parts = streamed(rewritten(tflite, LITERAL), 50).parts
    assert [not part.why_not for part in parts.values()] == [True, True, False, False, False, False]
    assert "48 and 56" in parts[2].why_not
    assert streamed(tflite, 48).parts[3].why_not == "it takes the whole window"
    assert "layer 4" in streamed(tflite, 48).parts[4].why_not


def test_page_and_report(anchors: Path, tmp_path: Path) -> None:
    tflite = (anchors / "emg_cnn.tflite").read_bytes()
    report = emit(tflite, "net", tmp_path / "net", "cortex-m4", page=render, hop=48)
    page = (tmp_path / "net" / "report.html").read_text("utf-8")
    assert "From layer 4, MEAN, on all is computed anew: it takes the whole window." in page
    told = json.loads((tmp_path / "net" / "report.json").read_text("utf-8"))
    assert told["streaming"]["macs"] == sum(layer["macs"] for layer in told["streaming"]["layers"])
    assert told["macs"] == 346_112  # of a window, as published with the model
    assert report.build is None or all(check.passed for check in report.checks)
    assert "#define NET_HOP_SIZE 384 " in (tmp_path / "net" / "net.h").read_text("utf-8")


def test_command(anchors: Path, tmp_path: Path) -> None:
    arguments = ["compile", str(anchors / "emg_cnn.tflite"), "--out", str(tmp_path / "net"), "--hop", "50"]
    told = CliRunner().invoke(app, arguments).output
    assert "A hop of 50 of 200 samples" in told
    assert "48 and 52 would be" in " ".join(told.split())


@pytest.mark.parametrize("hop", [0, 200, 1000])
def test_a_hop_that_is_no_part_of_the_window(hop: int, anchors: Path) -> None:
    with pytest.raises(InnervateError, match="fewer samples"):
        streamed((anchors / "emg_cnn.tflite").read_bytes(), hop)


@pytest.mark.parametrize("make", [step_file, lambda: random_lstm(3)])
def test_states_are_refused(make: Callable[[], bytes], tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="without --hop"):
        emit(make(), "net", tmp_path / "net", hop=1)


emulated = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


@emulated
@pytest.mark.parametrize(("strides", "hop"), [(LITERAL, 48), (LITERAL, 56), (DIVIDING, 50), (AS_LARGE, 50)])
def test_a_third_of_the_instructions(
    strides: tuple[int, ...], hop: int, anchors: Path, tmp_path: Path
) -> None:
    tflite = rewritten((anchors / "emg_cnn.tflite").read_bytes(), strides)
    board = board_of("cortex-m4")
    whole = run_once(tmp_path / "whole", emit(tflite, "net", tmp_path / "whole", "cortex-m4"), board)
    report = emit(tflite, "net", tmp_path / "hops", "cortex-m4", hop=hop)
    push = run_once(tmp_path / "hops", report, board, push=True)
    assert push.instructions <= 0.35 * whole.instructions
    run = run_once(tmp_path / "hops", report, board)
    assert report.build is not None
    assert report.build.stack_bytes is not None
    assert max(run.stack_bytes, push.stack_bytes) <= report.build.stack_bytes <= 512


@emulated
@pytest.mark.parametrize("target", ["cortex-m4", "cortex-m55"])
def test_emulated(target: str, anchors: Path, tmp_path: Path) -> None:
    """The harness's one call runs a window, then pushes: the outputs of the last push come back."""
    tflite, hop, pushes = (anchors / "emg_cnn.tflite").read_bytes(), 48, 3
    emit(tflite, "net", tmp_path / "net", target, hop=hop)
    size = (200 + pushes * hop) * 8
    (tmp_path / "net" / "stream.h").write_text(
        f"""
#include "net.h"
#define STREAM_INPUT_SIZE {size}
#define STREAM_OUTPUT_SIZE {8 * (pushes + 1)}
typedef net_t stream_t;
static inline void stream_reset(stream_t *m) {{ net_reset(m); }}
static inline void stream_run(stream_t *m, const int8_t *in, int8_t *out)
{{
    net_run(m, in, out);
    for (int i = 0; i < {pushes}; i++) {{
        net_push(m, in + NET_INPUT_SIZE + i * NET_HOP_SIZE, out + 8 * (i + 1));
    }}
}}
"""
    )
    signals = np.random.default_rng(5).integers(-128, 128, (2, size), np.int8)
    outputs = run_windows(tmp_path / "net", "stream", signals, board_of(target)).outputs
    windows = [s[8 * hop * n :][: 200 * 8] for s in signals for n in range(pushes + 1)]
    assert np.array_equal(outputs.reshape(-1), np.concatenate(reference(tflite, windows)))
