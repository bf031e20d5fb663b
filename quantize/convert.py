"""From a finished run to a checked bundle: prune, calibrate, fine-tune, write, verify."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from torch import nn

from edge.bundle import Bundle
from quantize.bundle_maker import make_bundle
from quantize.calibrate import Method
from quantize.distil import distil
from quantize.forms import Lowered, lower, read_graph
from quantize.noise import Noise
from quantize.pruning.cost import Budget, Footprint, check_file
from quantize.pruning.stage import Pruning, prune_run
from quantize.recipe import CalibrationSet, Mode, Prepared, Recipe, has_sequence, prepare, worst_layer
from quantize.tflite_metadata import FileFacts
from quantize.tflite_writer import write
from quantize.verify import Row, Verification, int8_engine, run_windows, verify
from train.experiment import predict_classes, score_plan
from train.metrics import Metrics
from train.run import Run
from train.sequences import NONE, rows
from train.windows import WindowSet

Progress = Callable[[str, int, int], None]

VERIFIED_WINDOWS: Final = 1000
"""Run through the slow reference kernels too; accuracies are of all test windows."""
QAT_STEPS: Final = 200
FAST_QAT_STEPS: Final = 80
QAT_LEARNING_RATE: Final = 1e-3
WORST: Final = "worst"
"""In place of a layer's path: the one that hurts most."""


_TOLD: Final = (
    "before",
    "after",
    "metrics",
    "verification",
    "recipe",
    "calibration",
    "noise",
    "pruning",
    "footprint",
)


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
        before: cost of the trained network.
        after: cost of what went into the bundle.
        metrics: of all test windows.
        verification: every executor on the same test windows.
        recipe: choices made.
        calibration: windows that scales were chosen on.
        noise: of every layer.
        pruning: what was removed.
        footprint: what the file takes of a budget; None where there was none.
    """

    bundle_path: Path
    bundle: Bundle
    before: Cost
    after: Cost
    metrics: Accuracies
    verification: Verification
    recipe: Recipe
    calibration: CalibrationSet
    noise: Noise
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
            "mode": self.recipe.mode,
            **{name: msgspec.to_builtins(getattr(self, name)) for name in _TOLD},
        }


def quantize(
    run: Run,
    out: Path,
    prune: float = 0.0,
    budget: Budget | None = None,
    mode: Mode = "qat",
    calibration: Method = "percentile",
    equalize: bool = False,
    int16: tuple[str, ...] = (),
    verified: int = VERIFIED_WINDOWS,
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
        calibration: how activation scales are chosen.
        equalize: first give the channels of each activation equal ranges.
        int16: paths of layers whose input and output have 16 bits; `worst` is the one that hurts most.
        verified: test windows that every executor runs, the slow ones too.
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
    values = len(run.record.context)
    lowered = lower(trained, shape, values)  # what has no int8 form is refused before anything slow
    train, test = run.windows("train"), run.windows("test")
    report("read", 1, 1)

    model: nn.Module = trained
    pruning = Pruning()
    if prune or budget is not None:
        model, pruning = prune_run(run, trained, prune, budget, fast, progress)
    network = lower(model, shape, values)

    report("calibrate", 0, 1)
    recipe = Recipe(mode, calibration, equalize, int16)
    if WORST in int16:
        worst = worst_layer(prepare(network, Recipe("ptq", calibration, equalize), train, run.record.seed))
        recipe = msgspec.structs.replace(
            recipe, int16=tuple(worst if name == WORST else name for name in int16)
        )
    prepared = prepare(network, recipe, train, run.record.seed)
    report("calibrate", 1, 1)
    if mode == "qat":
        _learn(run, prepared, model, train, fast, progress)
    quantized, noise = prepared.form, prepared.noise()

    tflite = write(read_graph(quantized), _facts(run, prepared.calibration))
    footprint = None if budget is None else check_file(tflite, shape[2], budget)
    verification = verify(model, quantized, tflite, _spread(test, verified, run.plan.keeps_state), progress)
    engine = int8_engine(tflite, run.plan.keeps_state)
    report("test", 0, 1)
    int8 = run_windows(engine, test).argmax(axis=1).astype(np.int64)
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
            **msgspec.to_builtins(recipe),
            "calibration_set": prepared.calibration,
            "noise": noise,
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
    return QuantizeResult(
        out, bundle, before, after, metrics, verification,
        recipe, prepared.calibration, noise, pruning, footprint,
    )  # fmt: skip


def _learn(
    run: Run, prepared: Prepared, model: nn.Module, train: WindowSet, fast: bool, progress: Progress | None
) -> None:
    """Let the quantized form learn from the float network, windows in a row where both keep their state."""
    settings = run.plan.fit
    row = settings.sequence if has_sequence(prepared.form) else 1
    chosen = rows(train.recording, row)
    chosen = chosen[(chosen != NONE).all(axis=1)]
    if not len(chosen):
        row, chosen = 1, np.arange(len(train))[:, None]
    distil(
        prepared.form,
        model,
        train.x[chosen].reshape(len(chosen), -1, train.x.shape[2]),
        FAST_QAT_STEPS if fast else QAT_STEPS,
        max(1, settings.batch_size // row),
        QAT_LEARNING_RATE,
        run.record.seed,
        progress,
        train.context[chosen[:, 0]],
        row,
    )


def _spread(test: WindowSet, count: int, keeps_state: bool) -> WindowSet:
    """Windows for the table: spread over all, or where states are kept the first of each recording."""
    if not keeps_state:
        return test.select(np.linspace(0, len(test) - 1, min(len(test), count)).astype(np.int64))
    starts = np.flatnonzero(np.r_[True, test.recording[1:] != test.recording[:-1]])
    position = np.arange(len(test)) - np.repeat(starts, np.diff(np.r_[starts, len(test)]))
    return test.select(position < max(1, count // len(starts)))


def _cost(network: Lowered) -> Cost:
    return Cost(network.macs, network.parameters)


def _facts(run: Run, calibration: CalibrationSet) -> dict[str, Any]:
    """What the `.tflite` file itself says it is for."""
    facts: dict[str, Any] = msgspec.to_builtins(
        FileFacts(
            run.plan.task,
            run.labels,
            run.signal_path,
            run.record.context,
            run.plan.keeps_state,
            calibration.sha256,
            version("innervate"),
        )
    )
    return facts
