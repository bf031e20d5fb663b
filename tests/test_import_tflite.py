"""Int8 files from elsewhere: their ends, what does not fit, and what is damaged."""

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.model_file import read_io
from quantize.importing.editing import Graph
from quantize.importing.tflite import clean
from tests import imported
from tests.tflite_maker import Maker
from tests.tiny_bundle import CHANNELS, CLASSES, WINDOW, tiny_path

STEP = 1 / 128


def dense(maker: Maker, source: int, size: int, scale: float, softmax: bool = True) -> int:
    """A dense layer on all values of a tensor, and a softmax."""
    rng = np.random.default_rng(size)
    weights = rng.integers(-127, 128, (CLASSES, size)).astype(np.int8)
    bias = rng.integers(-500, 500, CLASSES).astype(np.int32)
    others = [maker.constant(weights, 0.01), maker.constant(bias, scale * 0.01)]
    logits = maker.operator("FULLY_CONNECTED", [source, *others], maker.tensor((1, CLASSES), 0.05, 4))
    if not softmax:
        return logits
    return maker.operator("SOFTMAX", [logits], maker.tensor((1, CLASSES), 1 / 256, -128), beta=1.0)


def model(shape: tuple[int, ...], scale: float = STEP, zero_point: int = 0, softmax: bool = True) -> bytes:
    maker = Maker()
    source = maker.input(shape, scale, zero_point)
    return maker.finish(dense(maker, source, int(np.prod(shape)), scale, softmax))


def windows(count: int = 50) -> NDArray[np.int8]:
    values: NDArray[np.int8] = np.random.default_rng(5).integers(
        -128, 128, (count, WINDOW, CHANNELS), np.int8
    )
    return values


@pytest.mark.parametrize(
    ("shape", "turned"),
    [
        ((1, WINDOW, CHANNELS), False),
        ((1, 1, WINDOW, CHANNELS), False),
        ((1, WINDOW, CHANNELS, 1), False),
        ((1, CHANNELS, WINDOW), True),
        ((1, 1, CHANNELS, WINDOW), True),
        ((1, CHANNELS, WINDOW, 1), True),
    ],
)
def test_windows_reach_the_model_as_it_wants_them(shape: tuple[int, ...], turned: bool) -> None:
    original = model(shape)
    fitted = clean(original, "m", tiny_path()).tflite
    io = read_io(fitted)
    assert (io.chunk, io.channels, io.classes) == (WINDOW, CHANNELS, CLASSES)
    x = windows()
    given = np.ascontiguousarray(x.swapaxes(1, 2)) if turned else x
    np.testing.assert_array_equal(imported.run(fitted, x), imported.run(original, given))
    assert imported.operators(fitted) == ["FULLY_CONNECTED", "SOFTMAX"], "the weights take the move"


def test_another_scale_is_converted_at_the_input() -> None:
    scale, zero = 0.011, -37
    original = model((1, WINDOW, CHANNELS), scale, zero)
    fitted = clean(original, "m", tiny_path()).tflite
    x = windows()
    real = x.astype(np.float64) * STEP / scale
    rescaled = np.clip(np.floor(np.abs(real) + 0.5) * np.sign(real) + zero, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(imported.run(fitted, x), imported.run(original, rescaled))
    assert read_io(fitted).input_zero_point == 0


def test_logits_get_a_softmax() -> None:
    original = model((1, WINDOW, CHANNELS), softmax=False)
    cleaned = clean(original, "m", tiny_path())
    logits = (imported.run(original, windows()).astype(np.float64) - 4) * 0.05
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = exponentials / exponentials.sum(axis=1, keepdims=True) * 256 - 128
    assert np.abs(imported.run(cleaned.tflite, windows()) - expected).max() <= 1
    assert any("SOFTMAX" in note for note in cleaned.notes)


def test_conversions_at_the_ends_go() -> None:
    maker = Maker()
    fed = maker.input((1, WINDOW, CHANNELS), STEP, 0)
    maker.graph.tensors[fed].type, maker.graph.tensors[fed].quantization = 0, None  # float32
    source = maker.operator("QUANTIZE", [fed], maker.tensor((1, WINDOW, CHANNELS), STEP, 0))
    inner = dense(maker, source, WINDOW * CHANNELS, STEP)
    given = maker.tensor((1, CLASSES))
    maker.graph.tensors[given].type = 0
    original = maker.finish(maker.operator("DEQUANTIZE", [inner], given))
    cleaned = clean(original, "m")
    assert imported.operators(cleaned.tflite) == ["FULLY_CONNECTED", "SOFTMAX"]
    x = windows()
    real = imported.run(original, x.astype(np.float32) * np.float32(STEP))
    np.testing.assert_array_equal((imported.run(cleaned.tflite, x) + 128.0) / 256, real)
    assert len(cleaned.notes) >= 2


@pytest.mark.parametrize("folder", ["imported/keras_open_batch", "keras/cnn_open_batch"])
def test_an_open_batch_becomes_one(folder: str) -> None:
    """The second file is float at both ends; int8 steps of what it took and gave are the same."""
    original = (imported.FOLDER.parent / f"{folder}.tflite").read_bytes()
    assert any(tensor.dynamic for tensor in Graph(original).tensors)
    cleaned = clean(original, "m")
    kept = Graph(cleaned.tflite)
    assert not any(tensor.dynamic for tensor in kept.tensors)
    assert "the batch, which was open, is 1" in cleaned.notes
    x = imported.random_inputs(cleaned.tflite, 50)
    fed, given = kept.tensors[kept.inputs[0]], imported.run(cleaned.tflite, x)
    if Graph(original).tensors[Graph(original).inputs[0]].dtype == "FLOAT32":
        real = (x.astype(np.float32) - fed.zero_point) * np.float32(fed.scale)
        np.testing.assert_array_equal((given + 128.0) / 256, imported.run(original, real))
    else:
        np.testing.assert_array_equal(given, imported.run(original, x))


def test_unused_tensors_and_equal_constants_are_left_out_and_names_stay() -> None:
    maker = Maker()
    source = maker.input((1, WINDOW, CHANNELS), STEP, 0)
    maker.constant(np.zeros(5000, np.int8))
    inner = dense(maker, source, WINDOW * CHANNELS, STEP)
    names = {tensor.name for tensor in maker.graph.tensors}
    original = maker.finish(inner)
    written = clean(original).tflite
    assert len(written) < len(original) - 4500
    kept = Graph(written)
    assert {tensor.name.encode() for tensor in kept.tensors} < names
    assert clean(written).tflite == written, "there is nothing left to do"


def _float_model() -> bytes:
    maker = Maker()
    fed = maker.input((1, 4), 1.0, 0)
    given = maker.tensor((1, 4))
    for index in (fed, given):
        maker.graph.tensors[index].type, maker.graph.tensors[index].quantization = 0, None
    return maker.finish(maker.operator("TANH", [fed], given))


def _open_time() -> bytes:
    maker = Maker()
    source = maker.input((1, WINDOW, CHANNELS), STEP, 0)
    maker.graph.tensors[source].shapeSignature = [1, -1, CHANNELS]
    return maker.finish(dense(maker, source, WINDOW * CHANNELS, STEP))


def _missing_buffer() -> bytes:
    maker = Maker()
    source = maker.input((1, WINDOW, CHANNELS), STEP, 0)
    inner = dense(maker, source, WINDOW * CHANNELS, STEP)
    maker.model.buffers = maker.model.buffers[:2]
    return maker.finish(inner)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "not a TensorFlow Lite file"),
        (b"PK\x03\x04" * 100, "not a TensorFlow Lite file"),
        (_float_model(), "A float model.*--calibrate"),
        (_open_time(), r"Dimensions \[1, -1, 4\] are only known at run time.*fixed shapes"),
        (_missing_buffer(), "refers to buffer 2, but there are 2"),
        (imported.read("keras_elu"), "ELU has no int8 form.*operator 4 of 12.*Train with ReLU"),
        ((imported.FOLDER.parent / "keras/gru_loop.tflite").read_bytes(), "has 3 graphs.*branches or loops"),
        (model((1, WINDOW, CHANNELS + 1)), r"The model takes \[1, 40, 5\].*windows of 40 x 4"),
    ],
)
def test_what_cannot_be_used_is_refused_in_a_sentence(data: bytes, sentence: str) -> None:
    with pytest.raises(InnervateError, match=f"(?i){sentence}"):
        clean(data, "m", tiny_path())


def test_damaged_files_are_refused_or_read() -> None:
    """Whatever bytes change, nothing but a sentence or a file comes out."""
    rng = np.random.default_rng(1)
    original = np.frombuffer(imported.read("litert_gap"), np.uint8)
    refused = 0
    for _ in range(300):
        damaged = original.copy()
        at = rng.integers(0, len(damaged), rng.integers(1, 6))
        damaged[at] = rng.integers(0, 256, len(at))
        try:
            clean(damaged.tobytes(), "m")
        except InnervateError:
            refused += 1
    assert 0 < refused < 300
