"""A small bundle without training: fixed signal path, random int8 network, golden vectors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle, PipelineSpec
from edge.decision import NO_LABEL, DecisionRule
from edge.engines.tflite import TfliteEngine
from edge.golden import Golden
from edge.model_file import read_io
from edge.path_runner import PathRunner
from edge.pipeline import Pipeline
from edge.signal_path import Filter, SignalPath
from quantize.graph import QuantGraph, QuantLayer, Tensor
from quantize.tflite_writer import write
from train.filter_design import design

CHANNELS, WINDOW, HOP, CLASSES = 4, 40, 20, 3
FILTERS, KERNEL, STRIDE = 6, 5, 2
FS_HZ = 500.0
RULE = DecisionRule(min_confidence=0.4, votes=3, min_votes=2)


def tiny_path() -> SignalPath:
    filters = (Filter("bandpass", (20.0, 200.0)), Filter("notch", (50.0,), q=5.0))
    made = design(filters, FS_HZ, 16)
    return SignalPath(
        channels=tuple(f"ch{i}" for i in range(CHANNELS)),
        fs_hz=FS_HZ,
        uv_per_count=0.5,
        counts_bits=16,
        shift=made.shift,
        stages=made.stages,
        filters=filters,
        settle=25,
        group_delay_ms=made.group_delay_ms,
        window=WINDOW,
        hop=HOP,
        multiplier=tuple(1_500_000_000 - 50_000_000 * i for i in range(CHANNELS)),
        right_shift=(4 + made.shift,) * CHANNELS,
    )


def tiny_graph(seed: int = 1) -> QuantGraph:
    """Convolution, average over time, dense, softmax; weights from ``seed``."""
    rng = np.random.default_rng(seed)
    steps = (WINDOW - KERNEL) // STRIDE + 1
    tensors = (
        Tensor("window", (1, 1, WINDOW, CHANNELS), 1 / 128, 0),
        Tensor("conv", (1, 1, steps, FILTERS), 1 / 64, -128),
        Tensor("mean", (1, 1, 1, FILTERS), 1 / 64, -128),
        Tensor("logits", (1, CLASSES), 1 / 8, 3),
        Tensor("probabilities", (1, CLASSES), 1 / 256, -128),
    )
    conv_weights = rng.integers(-127, 128, (FILTERS, 1, KERNEL, CHANNELS)).astype(np.int8)
    dense_weights = rng.integers(-127, 128, (CLASSES, FILTERS)).astype(np.int8)
    layers = (
        QuantLayer(
            "conv", "conv", (0,), 1, True, conv_weights,
            np.full(FILTERS, 1 / 127, np.float32), np.zeros(FILTERS, np.int32), (1, STRIDE),
        ),
        QuantLayer("average", "mean", (1,), 2, stride=(1, 1), kernel=(1, steps)),
        QuantLayer(
            "dense", "logits", (2,), 3, False, dense_weights,
            np.full(CLASSES, 1 / 12, np.float32), np.array([100, 500, -700], np.int32),
        ),
        QuantLayer("softmax", "softmax", (3,), 4),
    )  # fmt: skip
    return QuantGraph(tensors, layers)


def tiny_counts(samples: int = 700, seed: int = 2) -> NDArray[np.int32]:
    """Bursts of changing strength in changing channels; one that saturates int8, one the converter."""
    rng = np.random.default_rng(seed)
    strength = np.repeat(rng.choice([60, 300, 900, 2500], (samples // 50 + 1, CHANNELS)), 50, axis=0)[
        :samples
    ]
    counts = rng.normal(0, strength)
    third = samples // 3
    counts[third : third + 30] *= 20
    rounded: NDArray[np.int32] = np.clip(np.rint(counts), -(1 << 15), (1 << 15) - 1).astype(np.int32)
    return rounded


def make_golden(path: SignalPath, rule: DecisionRule, model: bytes, counts: NDArray[np.int32]) -> Golden:
    engine = TfliteEngine(model, "reference")
    windows, ends = PathRunner(path).windows(counts)
    empty = np.zeros(0)
    spec = PipelineSpec("tiny", ("rest", "open", "close"), path, rule, read_io(model))
    blank = Golden(
        counts, PathRunner(path).filter(counts), windows,
        np.zeros(0, np.int8), np.stack([engine.run(window) for window in windows]), ends,
        empty.astype(np.uint8), empty.astype(np.uint8), empty.astype(np.uint16), empty.astype(np.uint32),
        engine.name,
    )  # fmt: skip
    decisions = Pipeline(Bundle.make(spec, model, blank, {}), engine).push(counts)
    labels = [NO_LABEL if d.label is None else d.label for d in decisions]
    return Golden(
        blank.counts, blank.filtered, blank.windows, blank.context, blank.outputs, ends,
        np.array(labels, np.uint8),
        np.array([round(d.confidence * 256) for d in decisions], np.uint8),
        np.array([d.flags for d in decisions], np.uint16),
        np.array([d.sample_index for d in decisions], np.uint32),
        engine.name,
    )  # fmt: skip


def tiny_bundle(**changes: Any) -> Bundle:
    """The bundle; ``changes`` may replace ``path``, ``rule``, ``graph`` and ``counts``."""
    parts: Mapping[str, Any] = {
        "path": tiny_path(), "rule": RULE, "graph": tiny_graph(), "counts": tiny_counts()
    } | changes  # fmt: skip
    path, rule, model = parts["path"], parts["rule"], write(parts["graph"])
    golden = make_golden(path, rule, model, parts["counts"])
    return Bundle.make(
        PipelineSpec("tiny", ("rest", "open", "close"), path, rule, read_io(model)), model, golden, {}
    )
