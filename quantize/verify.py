"""One table of what every executor makes of the same windows, and how far from the reference kernels."""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import Kernels, TfliteEngine
from edge.errors import InnervateError
from quantize.c99 import build_shared
from train.fit import predict

Progress = Callable[[str, int, int], None]
REFERENCE: Final = "tflite reference"
_KERNELS: Final[tuple[Kernels, ...]] = ("reference", "optimised", "xnnpack")


class Row(msgspec.Struct, frozen=True):
    """One executor against the TFLite reference kernels.

    The differences are of probabilities: where two executors round a logit to neighbouring steps, the softmax
    makes a few steps of it.

    Attributes:
        engine: executor.
        accuracy: share of windows classified right.
        max_lsb: largest difference of an int8 output; None for the float model, which has none.
        differing: share of int8 outputs that differ; None for the float model.
        agreement: share of windows with the same winner.
        fake_lsb: largest difference from the fake-quantized network.
        missing: why it could not run; the figures are then None.
    """

    engine: str
    accuracy: float | None = None
    max_lsb: int | None = None
    differing: float | None = None
    agreement: float | None = None
    fake_lsb: int | None = None
    missing: str | None = None


class Verification(msgspec.Struct, frozen=True):
    """The table.

    Attributes:
        windows: how many were run.
        rows: float first, then fake-quantized, TFLite's kernel sets, generated C.
    """

    windows: int
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
    x: NDArray[np.int8],
    y: NDArray[np.int64],
    progress: Progress | None = None,
) -> Verification:
    """Run windows through every executor there is.

    Args:
        model: float network.
        quantized: `QuantNetwork` of it.
        tflite: the file written from that.
        x: windows int8 [N, window, channels].
        y: classes int64 [N].
        progress: called with stage, done, total.
    """
    report = progress or (lambda stage, done, total: None)
    probabilities = {"float": softmax(predict(model, x))}
    outputs = {"fake-quantized": to_int8(softmax(predict(quantized, x)))}
    missing: dict[str, str] = {}
    makers: dict[str, Callable[[], Engine]] = {
        f"tflite {kernels}": lambda kernels=kernels: TfliteEngine(tflite, kernels)  # type: ignore[misc]
        for kernels in _KERNELS
    }
    makers["generated c"] = lambda: NativeEngine(build_shared(tflite))
    for done, (name, make) in enumerate(makers.items()):
        report("verify", done, len(makers))
        try:
            outputs[name] = run_all(make(), x)
        except InnervateError as error:
            missing[name] = str(error)
    report("verify", len(makers), len(makers))
    truth = outputs[REFERENCE]
    rows = [
        Row(
            "float", _accuracy(probabilities["float"], y), agreement=_agreement(probabilities["float"], truth)
        )
    ]
    for name in ("fake-quantized", *makers):
        if name in missing:
            rows.append(Row(name, missing=missing[name]))
            continue
        rows.append(_row(name, outputs[name], truth, outputs["fake-quantized"], y))
    return Verification(len(x), tuple(rows))


def _row(
    name: str, output: NDArray[np.int8], truth: NDArray[np.int8], fake: NDArray[np.int8], y: NDArray[np.int64]
) -> Row:
    distance = np.abs(output.astype(np.int16) - truth)
    return Row(
        name,
        _accuracy(output, y),
        int(distance.max(initial=0)),
        float((distance > 0).mean()),
        _agreement(output, truth),
        int(np.abs(output.astype(np.int16) - fake).max(initial=0)),
    )


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


def _accuracy(outputs: NDArray[np.float32] | NDArray[np.int8], y: NDArray[np.int64]) -> float:
    return float((outputs.argmax(axis=1) == y).mean())


def _agreement(outputs: NDArray[np.float32] | NDArray[np.int8], truth: NDArray[np.int8]) -> float:
    """Share of windows with the same winner; among equal outputs of an int8 model, the lowest index wins."""
    return float((outputs.argmax(axis=1) == truth.argmax(axis=1)).mean())
