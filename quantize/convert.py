"""From a finished run to a checked bundle: prune, calibrate, fine-tune, write, verify."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from torch import nn

from edge.bundle import Bundle
from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from quantize.bundle_maker import make_bundle
from quantize.c99 import build_shared
from quantize.calibrate import calibrate
from quantize.distil import distil
from quantize.extract import read_graph
from quantize.lower import lower
from quantize.network import Network
from quantize.pruning.cost import Budget, Footprint, check_file
from quantize.pruning.stage import Pruning, prune_run, sample
from quantize.qat import QuantNetwork
from quantize.tflite_writer import write
from quantize.verify import Row, Verification, run_all, verify
from train.experiment import predict_classes, score_plan
from train.metrics import Metrics
from train.models import to_input
from train.run import Run

Mode = Literal["ptq", "qat"]
Progress = Callable[[str, int, int], None]

CALIBRATION_WINDOWS: Final = 4096
VERIFIED_WINDOWS: Final = 1000
"""Run through the slow reference kernels too; accuracies are of all test windows."""
QAT_STEPS: Final = 200
FAST_QAT_STEPS: Final = 80
QAT_LEARNING_RATE: Final = 1e-3


class Cost(msgspec.Struct, frozen=True):
    """What one inference takes, after batch norms are folded."""

    macs: int
    parameters: int


class Accuracies(msgspec.Struct, frozen=True):
    """Figures of all test windows.

    Attributes:
        trained: the network as trained.
        pruned: the float network after pruning and fine-tuning; the same without pruning.
        int8: the file, run by `int8_engine`.
        int8_engine: generated C, or TFLite's reference kernels where there is no C compiler.
    """

    trained: Metrics
    pruned: Metrics
    int8: Metrics
    int8_engine: str


class QuantizeResult(msgspec.Struct, frozen=True):
    """A finished conversion.

    Attributes:
        bundle_path: the `.nrv` written.
        bundle: the same, in memory.
        mode: ptq or qat.
        before: cost of the trained network.
        after: cost of what went into the bundle.
        metrics: of all test windows.
        verification: every executor on the same test windows.
        pruning: what was removed.
        footprint: what the file takes of a budget; None where there was none.
    """

    bundle_path: Path
    bundle: Bundle
    mode: Mode
    before: Cost
    after: Cost
    metrics: Accuracies
    verification: Verification
    pruning: Pruning = Pruning()
    footprint: Footprint | None = None

    @property
    def table(self) -> tuple[Row, ...]:
        """Rows of the verification."""
        return self.verification.rows

    @property
    def windows(self) -> int:
        """Test windows that the verification ran."""
        return self.verification.windows

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON-ready values."""
        return {
            "bundle": str(self.bundle_path),
            "hash": self.bundle.hash,
            "model_bytes": len(self.bundle.model),
            "mode": self.mode,
            **{
                name: msgspec.to_builtins(getattr(self, name))
                for name in ("before", "after", "metrics", "verification", "pruning", "footprint")
            },
        }


def quantize(
    run: Run,
    out: Path,
    prune: float = 0.0,
    budget: Budget | None = None,
    mode: Mode = "qat",
    fast: bool = False,
    progress: Progress | None = None,
) -> QuantizeResult:
    """Turn a run into a bundle.

    Args:
        run: a finished training.
        out: the `.nrv` to write.
        prune: fraction of the channels, memory units and heads of every layer but the last.
        budget: prune as little as keeps the model within it, in place of a fraction.
        mode: ptq calibrates only; with qat the quantized network then learns from the float one.
        fast: few epochs, to see that all works.
        progress: called with stage, done, total.

    Raises:
        InnervateError: a module without an int8 form, a fraction out of range, or `out` cannot be written.
    """
    report = progress or (lambda stage, done, total: None)
    report("read", 0, 1)
    trained = run.model()
    window, channels = run.signal_path.model_shape
    shape = (channels, 1, window)
    lowered = lower(trained, shape)  # what has no int8 form is refused before anything slow
    train, test = run.windows("train"), run.windows("test")
    report("read", 1, 1)

    model: nn.Module = trained
    pruning = Pruning()
    if prune or budget is not None:
        model, pruning = prune_run(run, trained, prune, budget, fast, progress)
    network = lower(model, shape)

    report("calibrate", 0, 1)
    quantized = QuantNetwork(network)
    calibrate(quantized, to_input(sample(train, CALIBRATION_WINDOWS, run.record.seed).x))
    report("calibrate", 1, 1)
    if mode == "qat":
        steps = FAST_QAT_STEPS if fast else QAT_STEPS
        size, seed = run.plan.fit.batch_size, run.record.seed
        distil(quantized, model, train.x, steps, size, QAT_LEARNING_RATE, seed, progress)

    tflite = write(read_graph(quantized), _metadata(run))
    footprint = None if budget is None else check_file(tflite, shape[2], budget)
    kept = test.select(np.linspace(0, len(test) - 1, min(len(test), VERIFIED_WINDOWS)).astype(np.int64))
    verification = verify(model, quantized, tflite, kept.x, kept.y, progress)
    engine = _int8_engine(tflite)
    report("test", 0, 1)
    int8 = run_all(engine, test.x).argmax(axis=1).astype(np.int64)
    metrics = Accuracies(
        trained=run.metrics.test,
        pruned=score_plan(run.plan, test.y, predict_classes(model, test), test.subject),
        int8=score_plan(run.plan, test.y, int8, test.subject),
        int8_engine=engine.name,
    )
    report("test", 1, 1)
    before, after = _cost(lowered), _cost(network)
    card = {
        "quantization": {
            "mode": mode,
            "pruned_channels": prune,
            "pruning": pruning,
            "footprint": footprint,
            "before": before,
            "after": after,
        },
        "metrics": metrics,
        "verification": verification,
    }
    bundle = make_bundle(run, tflite, msgspec.to_builtins(card))
    bundle.save(out)
    return QuantizeResult(out, bundle, mode, before, after, metrics, verification, pruning, footprint)


def _cost(network: Network) -> Cost:
    return Cost(network.macs, network.parameters)


def _int8_engine(tflite: bytes) -> Engine:
    """Make an engine of generated C, or without a compiler of the reference kernels: the same integers."""
    try:
        return NativeEngine(build_shared(tflite))
    except InnervateError:
        return TfliteEngine(tflite, "reference")


def _metadata(run: Run) -> dict[str, Any]:
    """Say in the `.tflite` file itself what it is for."""
    return {
        "task": run.plan.task,
        "labels": list(run.labels),
        "signal_path": msgspec.to_builtins(run.signal_path),
    }
