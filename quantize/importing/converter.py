"""TensorFlow's converter, in a process of its own: what happens in there cannot reach this one."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

PYTHON: Final = "INNERVATE_TENSORFLOW"
"""Environment variable: a Python that has TensorFlow, where that of Innervate has none."""
_SCRIPT: Final = Path(__file__).with_name("keras_script.py")
_LINES: Final = 40
_MESSAGE: Final = 240


@dataclass(frozen=True)
class Converted:
    """What came out.

    Attributes:
        tflite: int8 file, float only where an operator has no int8 form; empty for `layers`.
        layers: class, name, settings and number of weights of each layer, for a model with recurrent ones.
        weights: of the layers, by `LAYER.NUMBER`.
        inputs: float32 [M, ...] by input, the window first: the calibration data as the model took it.
        outputs: float32 [M, K]: what the model made of them.
    """

    tflite: bytes
    layers: tuple[dict[str, Any], ...]
    weights: dict[str, NDArray[np.float32]]
    inputs: dict[str, NDArray[np.float32]]
    outputs: NDArray[np.float32]


def python_with_tensorflow() -> str:
    """Path of a Python that has TensorFlow.

    Raises:
        InnervateError: there is none.
    """
    named = os.environ.get(PYTHON)
    if named:
        return named
    if importlib.util.find_spec("tensorflow") is None:
        raise InnervateError(
            "Keras models and SavedModels need TensorFlow",
            "",
            "Install it with: pip install 'innervate[tensorflow]'; "
            f"or let the environment variable {PYTHON} name a Python that has it",
        )
    return sys.executable


def convert(
    model: Path, data: Mapping[str, NDArray[np.float32]], pinned: Mapping[str, tuple[float, float]]
) -> Converted:
    """Convert a Keras file or SavedModel folder.

    Args:
        model: `.keras`, `.h5` or a folder with `saved_model.pb`.
        data: calibration windows float32 [N, ...], `window` first, by the name of the model's input.
        pinned: real values that int8 -128 and 127 of an input are to stand for.

    Raises:
        InnervateError: no TensorFlow, or it cannot convert the model.
    """
    python = python_with_tensorflow()
    with tempfile.TemporaryDirectory(prefix="innervate-") as name:
        work = Path(name)
        np.savez(work / "data.npz", **dict(data))
        request = {
            "model": str(model.resolve()),
            "data": str(work / "data.npz"),
            "pinned": {key: list(ends) for key, ends in pinned.items()},
            "out": name,
        }
        (work / "request.json").write_text(json.dumps(request))
        try:
            ended = subprocess.run(
                [python, str(_SCRIPT), str(work / "request.json")],
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                # The script's folder is no place to import from.
                env=os.environ | {"PYTHONSAFEPATH": "1"},
            )
        except OSError as error:
            raise InnervateError(
                f"The Python for TensorFlow cannot be started: {error.strerror}", python, f"Correct {PYTHON}"
            ) from None
        if not (work / "result.json").exists():
            raise _failure(ended, model)
        result = json.loads((work / "result.json").read_text())
        if result["kind"] == "refused":
            raise InnervateError(result["what"], str(model), result["fix"])
        is_file = result["kind"] == "tflite"
        return Converted(
            (work / "model.tflite").read_bytes() if is_file else b"",
            tuple(result.get("layers", ())),
            {} if is_file else _arrays(work / "weights.npz"),
            _arrays(work / "inputs.npz"),
            np.load(work / "float.npy"),
        )


def _arrays(file: Path) -> dict[str, NDArray[np.float32]]:
    with np.load(file) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


def _failure(ended: "subprocess.CompletedProcess[str]", model: Path) -> InnervateError:
    """What to say of a process that failed."""
    if "TensorList" in ended.stderr:
        return InnervateError(
            "The SavedModel has recurrent layers, which TensorFlow's converter cannot make int8",
            str(model),
            "Give the .keras file of the same model, in which the layers can be told apart",
        )
    return InnervateError(
        f"TensorFlow cannot convert the model: {_reason(ended)}",
        str(model),
        "Use layers that convert to int8, or train the network with innervate train",
    )


def _reason(ended: "subprocess.CompletedProcess[str]") -> str:
    """What a process said last before it failed, in one line."""
    if ended.returncode < 0:
        return f"it ended by signal {-ended.returncode}"
    lines = [line.strip() for line in ended.stderr.splitlines()[-_LINES:] if line.strip()]
    if any("No module named 'tensorflow'" in line for line in lines):
        return "this Python has no TensorFlow"
    told = [line for line in lines if "Error" in line.partition(" ")[0] or "error:" in line] or lines
    return told[-1][:_MESSAGE].rstrip(".") if told else f"it ended with status {ended.returncode}"
