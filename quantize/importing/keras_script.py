"""Runs in a process of its own: a Keras model or SavedModel to int8 `.tflite` by TensorFlow's converter.

    python keras_script.py REQUEST.json

It needs tensorflow and numpy, nothing of Innervate, so that any Python with TensorFlow can run it.
The request is an object: `model` (path), `data` (.npz: calibration windows float32 [N, ...] by input name),
`pinned` (input name -> [least, most] value that int8 is to span), `out` (folder). Written there are
`result.json` and, by its `kind`: `tflite`: model.tflite, and float.npy, the model's own outputs [M, K] of the
first M windows; `layers`: weights.npz, for a model with recurrent layers, which the converter cannot take;
`refused`: nothing, `what` and `fix` say why.
"""

import json
import os
import sys
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

COMPARED = 200
"""Windows of which the float outputs are kept."""
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D")
_PLAIN = (bool, int, float, str, list, tuple)
ONE_OUTPUT = "Give a model with one output, the class probabilities"


class RefusedError(Exception):
    """What is wrong, and what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


def arranged(windows: Any, shape: tuple[int | None, ...]) -> Any:
    """Windows [N, rows, columns] as an input [1, ...] of `shape` (without batch) wants them: [N, ...].

    They are taken as they are, turned to [N, columns, rows], and get axes of 1 where the input has some.

    Raises:
        RefusedError: the extents do not fit.
    """
    extents = [extent for extent in shape if extent != 1]
    for given in (windows, windows.swapaxes(1, 2) if windows.ndim == 3 else windows):
        own = [extent for extent in given.shape[1:] if extent != 1]
        if len(own) == len(extents) and all(a in (b, None) for a, b in zip(extents, own, strict=True)):
            values = iter(own)
            filled = [1 if extent == 1 else next(values) for extent in shape]
            return np.ascontiguousarray(given).reshape(len(given), *filled)
    raise RefusedError(
        f"The model takes {['?' if e is None else e for e in shape]}, "
        f"the calibration windows are {list(windows.shape[1:])}",
        "Give windows as the model was trained on",
    )


def main() -> None:
    """Do what the request says."""
    request = json.loads(Path(sys.argv[1]).read_text())
    out = Path(request["out"])
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    try:
        result = _convert(request, out)
    except RefusedError as refused:
        result = {"kind": "refused", "what": str(refused), "fix": refused.fix}
    (out / "result.json").write_text(json.dumps(result))


def _convert(request: dict[str, Any], out: Path) -> dict[str, Any]:
    tf = import_module("tensorflow")
    path = Path(request["model"])
    with np.load(request["data"]) as stored:
        data = {name: stored[name] for name in stored.files}
    model, shapes, call, keep = _load(tf, path)
    if model is not None and any(type(layer).__name__ in RECURRENT for layer in model.layers):
        return _layers(model, shapes, data, out)
    names, labels, values = zip(*_matched(shapes, data), strict=True)
    for label, (least, most) in request["pinned"].items():
        if label in labels:
            _pin(values[labels.index(label)], least, most)
    specs = [
        tf.TensorSpec((1, *v.shape[1:]), tf.float32, name=n) for n, v in zip(labels, values, strict=True)
    ]

    def forward(*given: Any) -> Any:
        return call(dict(zip(names, given, strict=True)))

    constants = import_module("tensorflow.python.framework.convert_to_constants")
    function = tf.function(forward, autograph=False)
    frozen = constants.convert_variables_to_constants_v2(function.get_concrete_function(*specs))
    if len(frozen.outputs) != 1:
        raise RefusedError(f"The model has {len(frozen.outputs)} outputs", ONE_OUTPUT)
    rows = [[v[i : i + 1] for v in values] for i in range(len(values[0]))]
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen], keep)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    # The calibrator takes inputs in order of their names.
    order = sorted(range(len(labels)), key=lambda i: str(labels[i]))
    converter.representative_dataset = lambda: ([row[i] for i in order] for row in rows)
    (out / "model.tflite").write_bytes(converter.convert())
    outputs = [np.asarray(function(*map(tf.constant, row))).reshape(-1) for row in rows[:COMPARED]]
    np.save(out / "float.npy", np.array(outputs, np.float32))
    np.savez(out / "inputs.npz", **{n: v[:COMPARED] for n, v in zip(labels, values, strict=True)})
    return {"kind": "tflite", "tensorflow": tf.__version__}


def _pin(values: Any, least: float, most: float) -> None:
    """Let calibration see an input's whole int8 range, in one value of two samples, and none beyond it."""
    np.clip(values, least, most, out=values)
    for row, end in ((0, least), (len(values) - 1, most)):
        flat = values[row].reshape(-1)
        flat[np.abs(flat - end).argmin()] = end


def _layers(
    model: Any, shapes: dict[str, tuple[int | None, ...]], data: dict[str, Any], out: Path
) -> dict[str, Any]:
    """What a chain of layers is made of: class, name, settings and weights of each."""
    sequential = type(model).__name__ == "Sequential"
    chain = [layer for layer in model.layers if type(layer).__name__ != "InputLayer"]
    for before, after in pairwise(chain):
        if not sequential and after.input.name != before.output.name:
            raise RefusedError(
                f"The model has recurrent layers and branches (at layer '{after.name}')",
                "Give a chain of layers, each with one input; or train the network with innervate train",
            )
    ((_, label, windows),) = _matched(shapes, data) if len(shapes) == 1 else (_several(shapes),)
    weights: dict[str, Any] = {}
    layers = []
    for i, layer in enumerate(chain):
        arrays = layer.get_weights()
        weights |= {f"{i}.{j}": array for j, array in enumerate(arrays)}
        settings = {k: v for k, v in layer.get_config().items() if isinstance(v, _PLAIN)}
        layers.append({
            "class": type(layer).__name__, "name": layer.name, "settings": settings, "weights": len(arrays)
        })  # fmt: skip
    np.savez(out / "weights.npz", **weights)
    np.savez(out / "inputs.npz", **{label: windows})
    np.save(out / "float.npy", np.asarray(model(windows[:COMPARED], training=False), np.float32))
    return {"kind": "layers", "layers": layers}


def _several(shapes: dict[str, tuple[int | None, ...]]) -> Any:
    raise RefusedError(
        f"The model has recurrent layers and the inputs {', '.join(shapes)}", "Give one with a single input"
    )


def _load(tf: Any, path: Path) -> tuple[Any, dict[str, tuple[int | None, ...]], Any, Any]:
    """Keras model or None, input shapes by name (without batch), a call on a dict, what must stay alive."""
    if path.is_dir():
        loaded = tf.saved_model.load(str(path))
        signatures = loaded.signatures
        if not signatures:
            raise RefusedError("The SavedModel has no signature", "Export it with model.export(FOLDER)")
        key = "serving_default" if "serving_default" in signatures else next(iter(signatures))
        signature = signatures[key]
        shapes = {name: _shape(spec.shape) for name, spec in signature.structured_input_signature[1].items()}
        outputs = len(signature.structured_outputs)
        if outputs != 1:
            raise RefusedError(f"The model has {outputs} outputs", ONE_OUTPUT)
        return None, shapes, lambda given: next(iter(signature(**given).values())), loaded
    try:
        model = tf.keras.models.load_model(path, compile=False)
    except Exception as error:
        raise RefusedError(
            f"Keras cannot load the model: {_first_line(error)}", "Save it again with this version of Keras"
        ) from None
    if not getattr(model, "inputs", None):
        raise RefusedError("The model has no fixed input", "Give it a keras.Input, then save it again")
    shapes = {_bare(tensor.name): _shape(tensor.shape) for tensor in model.inputs}
    names = list(shapes)
    if len(names) == 1:
        return model, shapes, lambda given: model(given[names[0]], training=False), model
    return model, shapes, lambda given: model([given[name] for name in names], training=False), model


def _shape(shape: Any) -> tuple[int | None, ...]:
    """Extents without the batch, None where one is open."""
    try:
        return tuple(shape)[1:]
    except ValueError:
        raise RefusedError("An input has no shape", "Give it a shape of fixed extents") from None


def _bare(name: str) -> str:
    return name.partition(":")[0].rpartition("/")[2]


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:300].rstrip(".")


def _matched(shapes: dict[str, tuple[int | None, ...]], data: dict[str, Any]) -> list[tuple[str, str, Any]]:
    """The model's inputs, the window first: name, name in the file, calibration data float32 [N, ...].

    Data belongs to the input of its name; `window` is also that of the only input without data.
    """
    rest = [name for name in shapes if name not in data]
    data = dict(data)
    if len(rest) == 1 and "window" in data and "window" not in shapes:
        data = {rest[0] if name == "window" else name: values for name, values in data.items()}
    if set(data) != set(shapes):
        raise RefusedError(
            f"The model's inputs are {', '.join(shapes)}, the calibration data has {', '.join(data)}",
            "Give an .npz with one array an input, of its name; or a model of one input",
        )
    first = rest[0] if len(rest) == 1 else "window" if "window" in shapes else next(iter(shapes))
    if len({len(values) for values in data.values()}) != 1:
        raise RefusedError("The calibration arrays differ in length", "Give as many rows of each")
    return [
        (name, "window" if name == first else name, arranged(data[name].astype(np.float32), shapes[name]))
        for name in (first, *(name for name in shapes if name != first))
    ]


if __name__ == "__main__":
    main()
