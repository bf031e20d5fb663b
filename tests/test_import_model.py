"""Models from elsewhere on the command line and from Keras: what comes out, and what is refused."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from edge.bundle import Bundle
from edge.errors import InnervateError
from edge.model_file import read_io
from innervate.cli import app
from quantize.importing.calibration import read_windows
from quantize.importing.converter import PYTHON, python_with_tensorflow
from quantize.importing.keras_layers import to_torch
from quantize.importing.keras_script import RefusedError, arranged
from quantize.importing.model import import_model
from tests import imported
from tests.test_import_tflite import model, windows
from tests.tiny_bundle import CHANNELS, CLASSES, WINDOW, tiny_bundle

needs_tensorflow = pytest.mark.skipif(
    not os.environ.get(PYTHON) and importlib.util.find_spec("tensorflow") is None,
    reason="needs TensorFlow: pip install 'innervate[tensorflow]'",
)


@pytest.fixture
def like(tmp_path: Path) -> Path:
    place = tmp_path / "like.nrv"
    tiny_bundle().save(place)
    return place


def test_a_file_becomes_a_bundle_like_another(tmp_path: Path, like: Path) -> None:
    source, out = tmp_path / "m.tflite", tmp_path / "x.nrv"
    source.write_bytes(model((1, CHANNELS, WINDOW)))
    result = CliRunner().invoke(app, ["quantize", str(source), "--like", str(like), "--out", str(out)])
    assert result.exit_code == 0, result.output
    bundle, pattern = Bundle.load(out), Bundle.load(like)
    assert (bundle.labels, bundle.signal_path, bundle.rule) == (
        pattern.labels, pattern.signal_path, pattern.rule,
    )  # fmt: skip
    turned = np.ascontiguousarray(bundle.golden.windows.swapaxes(1, 2))
    np.testing.assert_array_equal(bundle.golden.outputs, imported.run(source.read_bytes(), turned))
    assert bundle.card["imported"]["source"] == "m.tflite"


def test_inspect_shows_a_table_of_an_imported_file(tmp_path: Path) -> None:
    out = tmp_path / "small.tflite"
    import_model(imported.FOLDER / "litert_conv1d.tflite", out)
    result = CliRunner().invoke(app, ["inspect", str(out), "--json"])
    assert result.exit_code == 0, result.output
    assert '"CONV_2D"' in result.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["m.tflite", "--out", "x.nrv"], "needs a signal path.*--like"),
        (["m.tflite", "--out", "x.bin"], "neither bundle nor model"),
        (["none.tflite", "--out", "x.tflite"], "no such model"),
        (["m.tflite", "--like", "m.tflite", "--out", "x.nrv"], "Neither a run nor a bundle"),
        (["m.tflite", "--step", "-1", "--out", "x.tflite"], "step of -1.0 is no scale"),
        (["m.keras", "--out", "x.tflite"], "Windows are needed.*--calibrate"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.tflite").write_bytes(model((1, WINDOW, CHANNELS)))
    Path("m.keras").write_bytes(b"")
    result = CliRunner().invoke(app, ["quantize", *arguments])
    assert isinstance(result.exception, InnervateError)
    with pytest.raises(InnervateError, match=sentence):
        raise result.exception


def test_options_for_models_from_elsewhere_are_refused_for_a_run(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["quantize", str(tmp_path), "--step", "1", "--out", "x.nrv"])
    with pytest.raises(InnervateError, match="for a model from elsewhere"):
        raise result.exception or AssertionError(result.output)


def test_without_tensorflow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PYTHON, raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InnervateError, match=r"pip install 'innervate\[tensorflow\]'"):
        python_with_tensorflow()


def test_a_python_without_tensorflow_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = tmp_path / "python"
    empty.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'tensorflow'\" >&2\nexit 1\n")
    empty.chmod(0o755)
    monkeypatch.setenv(PYTHON, str(empty))
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 5), np.float32))
    (tmp_path / "m.keras").write_bytes(b"")
    with pytest.raises(InnervateError, match="this Python has no TensorFlow"):
        import_model(tmp_path / "m.keras", tmp_path / "x.tflite", calibrate=tmp_path / "x.npy")


def test_importing_does_not_import_tensorflow() -> None:
    assert "tensorflow" not in sys.modules, "only a process of its own may import it"


def test_calibration_data(tmp_path: Path, like: Path) -> None:
    x = np.random.default_rng(0).normal(size=(30, 4, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    np.testing.assert_array_equal(read_windows(tmp_path / "a.npy", 0.5)["window"], x)
    np.savez(tmp_path / "b.npz", eeg=x, context=x[:, 0])
    assert set(read_windows(tmp_path / "b.npz", 0.5)) == {"eeg", "context"}
    np.save(tmp_path / "c.npy", windows())
    np.testing.assert_array_equal(read_windows(tmp_path / "c.npy", 0.5)["window"], windows() * 0.5)
    golden = Bundle.load(like).golden.windows
    np.testing.assert_array_equal(read_windows(like, 0.5)["window"], golden * 0.5)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (np.zeros((5, 4), "U3"), "is not windows"),
        (np.zeros(7), "is not windows"),
        (np.full((5, 4), np.nan), "Not all values are finite"),
    ],
)
def test_bad_calibration_data_is_refused(tmp_path: Path, content: Any, sentence: str) -> None:
    np.save(tmp_path / "x.npy", content)
    with pytest.raises(InnervateError, match=sentence):
        read_windows(tmp_path / "x.npy", 1.0)
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04junk")
    with pytest.raises(InnervateError, match="cannot be read"):
        read_windows(tmp_path / "x.npz", 1.0)


def test_windows_are_arranged_as_an_input_wants_them() -> None:
    x = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    np.testing.assert_array_equal(arranged(x, (5, 3)), x)
    np.testing.assert_array_equal(arranged(x, (3, 5, 1))[..., 0], x.swapaxes(1, 2))
    np.testing.assert_array_equal(arranged(x, (1, None, 3))[:, 0], x)
    with pytest.raises(RefusedError, match="takes \\[4, 3\\]"):
        arranged(x, (4, 3))


def _sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def _layer(kind: str, weights: int, **settings: Any) -> dict[str, Any]:
    return {"class": kind, "name": kind.lower(), "settings": settings, "weights": weights}


def _softmax(logits: Any) -> Any:
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _recurrent(kind: str) -> tuple[tuple[dict[str, Any], ...], dict[str, Any]]:
    rng = np.random.default_rng(3)
    gates = {"LSTM": 4, "GRU": 3}[kind]
    shapes = {
        "0.0": (CHANNELS, 6 * gates), "0.1": (6, 6 * gates),
        "0.2": (6 * gates,) if kind == "LSTM" else (2, 6 * gates), "1.0": (6, CLASSES), "1.1": (CLASSES,),
    }  # fmt: skip
    weights = {name: rng.normal(0, 0.4, shape).astype(np.float32) for name, shape in shapes.items()}
    plain = {"activation": "tanh", "recurrent_activation": "sigmoid", "units": 6, "return_sequences": False}
    extra = {"reset_after": True} if kind == "GRU" else {}
    layers = (
        _layer(kind, 3, **plain, **extra),
        _layer("Dense", 2, units=CLASSES, activation="softmax"),
    )
    return layers, weights


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_recurrent_layers_follow_kerass_equations(kind: str) -> None:
    """Against the equations of Keras's documentation in float64, kernels and gates in its order."""
    layers, weights = _recurrent(kind)
    x = np.random.default_rng(4).uniform(-1, 0.99, (5, 12, CHANNELS))
    kernel, recurrent, bias, dense, dense_bias = (weights[k].astype(np.float64) for k in sorted(weights))
    h, cell = np.zeros((5, 6)), np.zeros((5, 6))
    for t in range(12):
        if kind == "LSTM":
            i, f, c, o = np.split(x[:, t] @ kernel + h @ recurrent + bias, 4, axis=1)
            cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(c)
            h = _sigmoid(o) * np.tanh(cell)
        else:
            inner, outer = (
                np.split(v, 3, axis=1) for v in (x[:, t] @ kernel + bias[0], h @ recurrent + bias[1])
            )
            z, r = _sigmoid(inner[0] + outer[0]), _sigmoid(inner[1] + outer[1])
            h = z * h + (1 - z) * np.tanh(inner[2] + r * outer[2])
    network = to_torch(layers, weights, CHANNELS)
    with torch.no_grad():
        made = network(torch.from_numpy(x.astype(np.float32)).permute(0, 2, 1).unsqueeze(2)).double().numpy()
    np.testing.assert_allclose(_softmax(made), _softmax(h @ dense + dense_bias), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"class": "SimpleRNN"}, "SimpleRNN beside recurrent layers"),
        ({"activation": "relu"}, "activation='relu' has no int8 form.*Use activation='tanh'"),
        ({"stateful": True}, "stateful=True"),
        ({"return_sequences": True}, "dense layer over steps"),
    ],
)
def test_layers_without_an_int8_form_are_named(change: dict[str, Any], sentence: str) -> None:
    layers, weights = _recurrent("LSTM")
    first = dict(layers[0])
    if "class" in change:
        first |= change
    else:
        first["settings"] = first["settings"] | change
    with pytest.raises(InnervateError, match=sentence):
        to_torch((first, *layers[1:]), weights, CHANNELS)


_TRAIN = """
import os, sys
os.environ.update(CUDA_VISIBLE_DEVICES="", TF_CPP_MIN_LOG_LEVEL="3")
import tensorflow as tf
tf.keras.utils.set_random_seed(1)
L, folder, (rows, columns, classes) = tf.keras.layers, sys.argv[1], map(int, sys.argv[2:])
models = {
    "cnn": [L.Conv1D(8, 5, strides=2, use_bias=False), L.BatchNormalization(), L.ReLU(),
            L.GlobalAveragePooling1D(), L.Dense(classes, activation="softmax")],
    "lstm": [L.Conv1D(8, 5, strides=2, activation="relu"), L.LSTM(6), L.Dense(classes, activation="softmax")],
    "gru": [L.AveragePooling1D(4), L.GRU(6), L.Dense(classes, activation="softmax")],
}
window, context = tf.keras.Input((rows, columns), name="eeg"), tf.keras.Input((2,), name="context")
both = L.Concatenate()([L.GlobalAveragePooling1D()(L.Conv1D(8, 5, activation="relu")(window)), context])
given = L.Dense(classes, activation="softmax")(both)
tf.keras.Model([window, context], given).save(f"{folder}/context.keras")
for name, layers in models.items():
    model = tf.keras.Sequential([tf.keras.Input((rows, columns)), *layers])
    model.save(f"{folder}/{name}.keras")
    if name == "cnn":
        model.export(f"{folder}/saved", verbose=False)
"""


@pytest.mark.slow
@needs_tensorflow
def test_keras_models_and_a_saved_model_become_bundles(tmp_path: Path, like: Path) -> None:
    script = [python_with_tensorflow(), "-c", _TRAIN, str(tmp_path), str(WINDOW), str(CHANNELS), str(CLASSES)]
    subprocess.run(script, check=True, capture_output=True)
    for source in ("cnn.keras", "saved", "lstm.keras", "gru.keras"):
        made = import_model(tmp_path / source, tmp_path / f"{source}.nrv", like=like)
        bundle = Bundle.load(tmp_path / f"{source}.nrv")
        io = bundle.pipeline.model
        assert (io.input_scale, io.input_zero_point) == (1 / 128, 0), source
        assert made.compared == len(bundle.golden.windows)
        assert made.agreement is not None
        assert made.agreement >= 0.8, source  # an untrained network is undecided everywhere
    rng = np.random.default_rng(0)
    eeg = rng.normal(size=(50, WINDOW, CHANNELS)).astype(np.float32)
    np.savez(tmp_path / "x.npz", eeg=eeg, context=rng.normal(size=(50, 2)).astype(np.float32))
    out = tmp_path / "context.tflite"
    made = import_model(tmp_path / "context.keras", out, calibrate=tmp_path / "x.npz")
    io = read_io(out.read_bytes())
    assert (io.chunk, io.channels, io.context) == (WINDOW, CHANNELS, 2)
    assert (io.context_scale, io.context_zero_point) == (1 / 32, 0)
    assert made.agreement is not None
    assert made.agreement >= 0.8
