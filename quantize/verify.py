"""One table of what every executor makes of the same windows, and how far from the reference kernels."""

from collections.abc import Callable

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from quantize.c99 import build_shared
from quantize.executors import FAKE, FLOAT, REFERENCE, executors, version_of
from quantize.recipe import context_int8
from train.models import keeps_state
from train.predict import predict_windows
from train.recording import UNMARKED
from train.windows import WindowSet

Progress = Callable[[str, int, int], None]


class Row(msgspec.Struct, frozen=True):
    """One executor against the TFLite reference kernels.

    The differences are of probabilities: where two executors round a logit to neighbouring steps, the softmax
    makes a few steps of it.

    Attributes:
        engine: executor.
        version: of its package or compiler.
        accuracy: share of windows classified right.
        max_lsb: largest difference of an int8 output; None for the float model, which has none.
        differing: share of int8 outputs that differ; None for the float model.
        agreement: share of windows with the same winner.
        smallest_gap: of the windows with another winner, how far apart the reference's two best outputs are
            at least, LSB; None where all agree.
        largest_gap: how far at most; no more than 2 * `max_lsb`.
        fake_lsb: largest difference from the fake-quantized network.
        missing: why it could not run; the figures are then None.
    """

    engine: str
    version: str = ""
    accuracy: float | None = None
    max_lsb: int | None = None
    differing: float | None = None
    agreement: float | None = None
    smallest_gap: int | None = None
    largest_gap: int | None = None
    fake_lsb: int | None = None
    missing: str | None = None


class Verification(msgspec.Struct, frozen=True):
    """The table.

    Attributes:
        windows: how many were run.
        reference: row that the others are compared with.
        rows: float first, then fake-quantized, the TFLite runtimes' kernel sets, TFLM, generated C.
    """

    windows: int
    reference: str
    rows: tuple[Row, ...]

    def row(self, name: str) -> Row:
        """Return the row of an executor.

        Raises:
            KeyError: there is none of that name.
        """
        for row in self.rows:
            if row.engine == name:
                return row
        raise KeyError(name)


def verify(
    model: nn.Module,
    quantized: nn.Module,
    tflite: bytes,
    windows: WindowSet,
    progress: Progress | None = None,
) -> Verification:
    """Run windows through every executor there is.

    Args:
        model: float network.
        quantized: fake-quantized form of it.
        tflite: the file written from that.
        windows: those of a recording in their order, from its beginning where `model` keeps its state.
        progress: called with stage, done, total.

    Raises:
        InnervateError: no TFLite runtime runs the file on its reference kernels.
    """
    report = progress or (lambda stage, done, total: None)
    y = windows.y
    probabilities = softmax(predict_windows(model, windows))
    outputs = {FAKE: to_int8(softmax(predict_windows(quantized, windows)))}
    missing: dict[str, InnervateError] = {}
    makers = executors(tflite, keeps_state(model))
    for done, (name, make) in enumerate(makers.items()):
        report("verify", done, len(makers))
        try:
            outputs[name] = run_windows(make(), windows)
        except InnervateError as error:
            missing[name] = error
    report("verify", len(makers), len(makers))
    reference = next((name for name in REFERENCE if name in outputs), None)
    if reference is None:
        raise missing[REFERENCE[0]]
    truth = outputs[reference]
    rows = [_row(FLOAT, probabilities, truth, y)]
    for name in (FAKE, *makers):
        if name in missing:
            rows.append(Row(name, version_of(name), missing=str(missing[name])))
            continue
        distance = np.abs(outputs[name].astype(np.int16) - truth)
        row = msgspec.structs.replace(
            _row(name, outputs[name], truth, y),
            max_lsb=int(distance.max(initial=0)),
            differing=float((distance > 0).mean()),
            fake_lsb=int(np.abs(outputs[name].astype(np.int16) - outputs[FAKE]).max(initial=0)),
        )
        rows.append(row)
    return Verification(len(windows), reference, tuple(rows))


def _row(
    name: str, output: NDArray[np.int8] | NDArray[np.float32], truth: NDArray[np.int8], y: NDArray[np.int64]
) -> Row:
    """Accuracy of marked windows, and winners; among equal int8 outputs the lowest index wins."""
    winners, true_winners = output.argmax(axis=1), truth.argmax(axis=1)
    marked = y != UNMARKED
    other = winners != true_winners
    second, best = np.sort(truth[other].astype(np.int16), axis=1)[:, -2:].T
    gaps = best - second
    return Row(
        name,
        version_of(name),
        float((winners == y)[marked].mean()),
        agreement=float(1 - other.mean()),
        smallest_gap=int(gaps.min()) if len(gaps) else None,
        largest_gap=int(gaps.max()) if len(gaps) else None,
    )


def int8_engine(tflite: bytes, keeps_state: bool) -> Engine:
    """Make an engine of generated C, or without a compiler of the reference kernels: the same integers."""
    try:
        return NativeEngine(build_shared(tflite), keeps_state)
    except InnervateError:
        return TfliteEngine(tflite, "reference", keeps_state=keeps_state)


def run_windows(engine: Engine, windows: WindowSet) -> NDArray[np.int8]:
    """Outputs int8 [N, K] of windows with their context; a state that is kept begins with each recording."""
    context = context_int8(windows)
    outputs = np.empty((len(windows), engine.output_size), np.int8)
    recording = None
    for index, window in enumerate(windows.x):
        if windows.recording[index] != recording:
            engine.reset()
            recording = windows.recording[index]
        outputs[index] = engine.run(window, context[index])
    return outputs


def run_all(engine: Engine, x: NDArray[np.int8]) -> NDArray[np.int8]:
    """Run windows int8 [N, window, channels] one by one; outputs int8 [N, K]."""
    outputs = np.empty((len(x), engine.output_size), np.int8)
    for output, window in zip(outputs, x, strict=True):
        output[:] = engine.run(window)
    return outputs


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of logits [N, K]."""
    result: NDArray[np.float32] = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
    return result


def to_int8(probabilities: NDArray[np.float32]) -> NDArray[np.int8]:
    """Probabilities as an int8 softmax gives them: scale 1/256, zero point -128."""
    steps = np.rint(probabilities.astype(np.float64) * 256) - 128
    stored: NDArray[np.int8] = np.clip(steps, -128, 127).astype(np.int8)
    return stored
