"""A model from elsewhere to an int8 `.tflite` file or a bundle."""

import hashlib
import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.context import INPUT as CONTEXT
from edge.context import SCALE as CONTEXT_SCALE
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.model_file import read_io
from quantize.importing.calibration import read_windows
from quantize.importing.converter import Converted, convert
from quantize.importing.editing import Graph
from quantize.importing.ends import WINDOW
from quantize.importing.like import Like
from quantize.importing.recurrent import quantize_layers
from quantize.importing.tflite import clean
from quantize.verify import int8_engine, run_windows
from train.experiment import score_plan
from train.metrics import Metrics
from train.models import INPUT_SCALE
from train.run import Run


@dataclass(frozen=True)
class Imported:
    """What came of it.

    Attributes:
        out: file written.
        tflite: the model in it.
        notes: what was changed, a phrase each.
        agreement: share of the first calibration windows that int8 decides as the model itself; None for a
            `.tflite`, which has no float form.
        compared: how many those were.
        metrics: of the run's test windows, int8; None without a run.
    """

    out: Path
    tflite: bytes
    notes: tuple[str, ...]
    agreement: float | None = None
    compared: int = 0
    metrics: Metrics | None = None

    def to_json(self) -> dict[str, Any]:
        """All figures as JSON-ready values."""
        return {
            "out": str(self.out),
            "model_bytes": len(self.tflite),
            "notes": list(self.notes),
            "agreement": self.agreement,
            "compared": self.compared,
            "accuracy": None if self.metrics is None else self.metrics.accuracy,
        }


def import_model(
    source: Path,
    out: Path,
    like: Path | None = None,
    calibrate: Path | None = None,
    step: float = INPUT_SCALE,
) -> Imported:
    """Import a model.

    Args:
        source: `.keras`, `.h5`, SavedModel folder or int8 `.tflite`.
        out: `.nrv`, which needs `like`, or `.tflite`.
        like: run or bundle whose signal path, labels and decision rule the model is for.
        calibrate: `.npy` or `.npz` of float windows, or a run or bundle whose windows to take; `like` itself
            where left out.
        step: real value of one int8 step of a window of the signal path, as the model was trained.

    Raises:
        InnervateError: something in it cannot become int8, does not fit, or is missing.
    """
    if out.suffix not in (".nrv", ".tflite"):
        raise InnervateError("The output is neither bundle nor model", str(out), "Name it .nrv or .tflite")
    if out.suffix == ".nrv" and like is None:
        raise InnervateError(
            "A bundle needs a signal path, labels and a decision rule",
            str(out),
            "Name a run or bundle that has them with --like, or write a .tflite file",
        )
    if not (isfinite(step) and step > 0):
        raise InnervateError(f"A step of {step} is no scale", "--step", "Give a number above zero")
    if not source.exists():
        raise InnervateError(
            "There is no such model", str(source), "Give a .keras or .tflite file or a folder"
        )
    pattern = None if like is None else Like(like)
    if source.suffix == ".tflite":
        made = _Made(source.read_bytes(), step, ())
    else:
        made = _convert(source, pattern, like if calibrate is None else calibrate, step)
    cleaned = clean(made.tflite, str(source), None if pattern is None else pattern.path, made.step)
    imported = Imported(out, cleaned.tflite, made.notes + cleaned.notes, made.agreement, made.compared)
    if out.suffix == ".tflite":
        _write(out, cleaned.tflite)
        return imported
    assert pattern is not None
    return _bundle(imported, source, pattern)


@dataclass(frozen=True)
class _Made:
    """An int8 file, the real value of a step of its windows, and how it was made and compares."""

    tflite: bytes
    step: float
    notes: tuple[str, ...]
    agreement: float | None = None
    compared: int = 0


def _convert(source: Path, pattern: Like | None, data: Path | None, step: float) -> _Made:
    """Make the int8 file of a Keras model or SavedModel."""
    if data is None:
        raise InnervateError(
            "Windows are needed to find the int8 scales",
            str(source),
            "Give them with --calibrate DATA (.npy, .npz, a run or a bundle)",
        )
    pinned = {CONTEXT: _ends(CONTEXT_SCALE)}
    if pattern is not None:
        pinned[WINDOW] = _ends(step)
    converted = convert(source, read_windows(data, step), pinned)
    count = len(converted.outputs)
    if not converted.layers:
        raw = clean(converted.tflite, str(source)).tflite
        return _Made(raw, step, (), _agreement(raw, converted, read_io(raw).input_scale), count)
    raw, step = quantize_layers(converted, None if pattern is None else step)
    note = f"rebuilt in torch: the converter has no int8 recurrent layers; an int8 step is {step:.6g}"
    return _Made(raw, INPUT_SCALE, (note,), _agreement(raw, converted, step), count)


def _ends(step: float) -> tuple[float, float]:
    """Real values of the least and the greatest int8, zero being 0."""
    return -128 * step, 127 * step


def _agreement(tflite: bytes, converted: Converted, step: float) -> float:
    """Share of windows that the int8 file, of which an input's step is `step`, decides as the model does."""
    engine, io = TfliteEngine(tflite, "reference"), read_io(tflite)
    count = len(converted.outputs)
    x = _quantized(converted.inputs[WINDOW][:count], step, io.input_zero_point)
    context = np.zeros((count, 0), np.int8)
    if CONTEXT in converted.inputs:
        context = _quantized(converted.inputs[CONTEXT][:count], io.context_scale, io.context_zero_point)
    outputs = np.array([engine.run(*given) for given in zip(x, context, strict=True)])
    return float((outputs.argmax(axis=1) == converted.outputs.argmax(axis=1)).mean())


def _quantized(values: NDArray[np.float32], scale: float, zero_point: int) -> NDArray[np.int8]:
    stored: NDArray[np.int8] = np.clip(np.rint(values / scale) + zero_point, -128, 127).astype(np.int8)
    return stored


def _bundle(imported: Imported, source: Path, pattern: Like) -> Imported:
    """Write the bundle of an imported model, judged on the test windows where there are some."""
    graph = Graph(imported.tflite)
    graph.metadata = json.dumps(pattern.metadata(), sort_keys=True, ensure_ascii=False).encode()
    tflite = graph.write()
    metrics = _test(tflite, pattern.run) if pattern.run is not None else None
    facts = {
        "source": source.name,
        "sha256": None if source.is_dir() else hashlib.sha256(source.read_bytes()).hexdigest(),
        "changes": list(imported.notes),
        "agreement_with_float": imported.agreement,
        "calibration_windows_compared": imported.compared,
    }
    card: dict[str, Any] = {"made_by": f"innervate {version('innervate')}", "imported": facts}
    if metrics is not None:
        card["metrics"] = {"int8": msgspec.to_builtins(metrics)}
    pattern.make(tflite, card).save(imported.out)
    return replace(imported, tflite=tflite, metrics=metrics)


def _test(tflite: bytes, run: Run) -> Metrics:
    """Figures of a run's test windows."""
    test = run.windows("test")
    outputs = run_windows(int8_engine(tflite, run.plan.keeps_state), test)
    return score_plan(run.plan, test.y, outputs.argmax(axis=1).astype(np.int64), test.subject)


def _write(out: Path, tflite: bytes) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(tflite)
    except OSError as error:
        raise InnervateError(f"Cannot write: {error.strerror}", str(out), "Choose another place") from None
