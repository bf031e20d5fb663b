"""A bundle from a run and its int8 model, with golden vectors of every stage."""

from collections.abc import Sequence
from importlib.metadata import version
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle, PipelineSpec
from edge.chain import Chain, Event
from edge.decision import NO_LABEL, DecisionRule
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.golden import Golden
from edge.model_file import read_io
from edge.path_runner import PathRunner
from edge.signal_path import SignalPath
from train.run import Run

GOLDEN_WINDOWS: Final = 32
"""Enough for several classes and votes; a slow serial link carries the counts in seconds."""
GOLDEN_PIECES: Final = 4
GOLDEN_CONTEXT: Final = (40, -25, 90)
"""Values of the context vector, in turn."""
_HUM_MEANS: Final = 6
"""Time constants after which the share of a pure hum has risen to more than 99.7 %."""
BURST_GAIN: Final = 64
"""By how much the burst in the golden counts is louder: far beyond full scale of int8."""


def make_bundle(run: Run, tflite: bytes, card: dict[str, Any]) -> Bundle:
    """Put a bundle together.

    Args:
        run: gives signal path, labels, decision rule and an unseen recording.
        tflite: int8 model for them.
        card: what is known of it, added to what the run says.

    Raises:
        InnervateError: the model does not fit the run, or no test recording is long enough for one window.
    """
    path, rule = run.signal_path, run.plan.decision
    recordings = islice(run.recordings("test"), GOLDEN_PIECES)
    unseen = [recording.signals.astype(np.int32, copy=False) for recording in recordings]
    counts = golden_counts(unseen, path)
    keeps_state = run.plan.keeps_state
    spec = PipelineSpec(
        run.plan.task, run.labels, path, rule, read_io(tflite), keeps_state, run.record.context
    )
    spec.validate()
    golden = make_golden(counts, path, rule, tflite, keeps_state)
    return Bundle.make(spec, tflite, golden, _facts(run) | card)


def make_golden(
    counts: NDArray[np.int32],
    path: SignalPath,
    rule: DecisionRule,
    tflite: bytes,
    keeps_state: bool = False,
) -> Golden:
    """Run counts [T, C] through every stage; filter, windows and decisions by the core, outputs by TFLite.

    A model that takes a context is told of somebody who differs from the mean by GOLDEN_CONTEXT.
    """
    engine = TfliteEngine(tflite, "reference", keeps_state=keeps_state)
    context = np.resize(np.array(GOLDEN_CONTEXT, np.int8), engine.context_size)
    filtered = PathRunner(path).filter(counts)
    windows, ends = PathRunner(path).windows(counts)
    outputs = [engine.run(window, context) for window in windows]
    chain = Chain(path, rule, engine.output_size)
    position = iter(outputs)
    decisions = [chain.decide(next(position)) for event in chain.feed(counts, 0) if event & Event.WINDOW]
    return Golden(
        counts=counts,
        filtered=filtered,
        windows=windows,
        context=context,
        outputs=np.stack(outputs),
        window_end=ends,
        decision_label=np.array([NO_LABEL if d.label is None else d.label for d in decisions], np.uint8),
        decision_confidence=np.array([round(d.confidence * 256) for d in decisions], np.uint8),
        decision_flags=np.array([d.flags for d in decisions], np.uint16),
        decision_sample_index=np.array([d.sample_index for d in decisions], np.uint32),
        kernels=engine.name,
    )


def golden_counts(recordings: Sequence[NDArray[np.int32]], path: SignalPath) -> NDArray[np.int32]:
    """Splice counts [T, C] that bring `GOLDEN_WINDOWS` windows, some of every kind, and reach every limit.

    The pieces lie at different depths of the recordings; the joints are steps as a moving electrode makes
    them. In the third quarter a burst overdrives int8, and its last samples the converter itself. Where gates
    of the path look for a channel that stands still or hums, samples that do follow at the end. Golden
    vectors cannot say that a lead is off.

    Args:
        recordings: counts [n, C] each.
        path: signal path for them.

    Raises:
        InnervateError: the recordings are too short for a window.
    """
    length = path.samples_for(GOLDEN_WINDOWS)
    piece = -(-length // GOLDEN_PIECES)
    pieces = []
    for number in range(GOLDEN_PIECES):
        signals = recordings[number % len(recordings)]
        start = max(0, (len(signals) - piece) * (number + 1) // (GOLDEN_PIECES + 1))
        pieces.append(signals[start : start + piece].astype(np.int64))
    counts = np.concatenate(pieces)[:length]
    if len(counts) < path.samples_for(1):
        raise InnervateError(
            f"the test recordings have {len(counts)} samples, which is not enough for a window",
            "golden vectors",
            "Use longer recordings",
        )
    limit = 1 << (path.counts_bits - 1)
    settle = path.settle * path.decimation
    at = settle + (len(counts) - settle) * 5 // 8
    gates = path.gates
    burst = counts[at : at + max(path.window_samples // 2, gates.saturated_run, 2)]
    burst *= BURST_GAIN
    np.clip(burst, -limit + 1, limit - 2, out=burst)
    if gates.slope:
        burst[:2, 0] = -limit + 1, limit - 2
    if gates.saturated_run:
        burst[-gates.saturated_run :, 0] = limit - 1
    return np.ascontiguousarray(np.concatenate([counts, *_lasting_faults(counts, path)]), np.int32)


def _lasting_faults(counts: NDArray[np.int64], path: SignalPath) -> list[NDArray[np.int64]]:
    """Counts [n, C] each, that violate the gates which take their time; the last makes a window of them."""
    gates, channels = path.gates, len(path.channels)
    faults = []
    if gates.flat_run:
        still = np.resize(counts, (gates.flat_run, channels))
        still[:, 0] = still[0, 0]
        faults.append(still)
    if gates.mains_step:
        hum = np.resize(counts, (_HUM_MEANS << gates.mains_shift, channels))
        turns = np.arange(len(hum)) * (gates.mains_step / 2**32)
        hum[:, -1] = np.rint((1 << path.counts_bits - 2) * np.sin(2 * np.pi * turns))
        faults.append(hum)
    if faults:
        faults.append(np.resize(counts, (path.hop_samples, channels)))
    return faults


def _facts(run: Run) -> dict[str, Any]:
    """Card entries that follow from the run."""
    plan, record = run.plan, run.record
    return {
        "name": record.task.title,
        "made_by": f"innervate {version('innervate')}",
        "intended_use": record.task.description,
        "data": {
            "dataset": plan.dataset,
            "train_recordings": len(record.split.train),
            "test_recordings": len(record.split.test),
        },
        "split": {"protocol": plan.protocol, "seed": record.seed},
        "delay_limits": msgspec.to_builtins(plan.delay),
        "limits": [
            "Not a medical device; not validated on people other than those of the data set.",
            f"Only for {len(plan.channels)} channels at {plan.fs_hz:g} Hz placed as in the data set.",
            "Figures are of windows inside labelled segments; transitions between them were left out.",
        ],
    }
