"""Reading `.tflite` files: what they hold, and damaged or hostile ones as one sentence."""

import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InnervateError
from quantize.c99.lowering.lower import lower
from quantize.inspect import inspect
from quantize.tflite_model import ConvOptions, LstmOptions
from quantize.tflite_reader import read_file, read_model
from tests.random_graphs import random_graph
from tests.tflite_maker import SAME, Maker

ANCHORS = ("emg_cnn", "emg_cnn_ap", "emg_cnn_k1d", "eegnet", "acharya13", "dscnn", "dscnn_hg", "dscnn_feat")


def conv_file(change: Callable[[Maker], None] = lambda maker: None) -> bytes:
    """A convolution, its tensors 0 input, 1 weights, 2 bias, 3 output, changed before it is written."""
    maker = Maker()
    source = maker.input((1, 1, 6, 2), 0.5, 3)
    weights = maker.constant(np.arange(-12, 0, dtype=np.int8).reshape(2, 1, 3, 2), [0.25, 0.125])
    bias = maker.constant(np.array([5, -5], np.int32), [0.125, 0.0625])
    target = maker.tensor((1, 1, 6, 2), 1.0, -1)
    maker.operator("CONV_2D", [source, weights, bias], target, strideW=1, strideH=1, padding=SAME)
    change(maker)
    return maker.finish(target)


def test_content_against_the_schema_api(anchors: Path) -> None:
    for name in ANCHORS:
        data = (anchors / f"{name}.tflite").read_bytes()
        model, truth = read_model(data), schema.ModelT.InitFromPackedBuf(data)
        graph = truth.subgraphs[0]
        assert model.inputs == tuple(graph.inputs)
        assert model.outputs == tuple(graph.outputs)
        for tensor, expected in zip(model.tensors, graph.tensors, strict=True):
            assert tensor.name == expected.name.decode()
            assert tensor.shape == tuple(int(n) for n in (() if expected.shape is None else expected.shape))
            if expected.quantization is not None and expected.quantization.scale is not None:
                assert tensor.quantization is not None
                assert tensor.quantization.scale == tuple(float(s) for s in expected.quantization.scale)
                assert tensor.quantization.zero_point == tuple(expected.quantization.zeroPoint)
            raw = truth.buffers[expected.buffer].data
            assert (tensor.data is None) == (raw is None)
            if tensor.data is not None:
                assert tensor.data.tobytes() == bytes(raw)
        for operator, wanted in zip(model.operators, graph.operators, strict=True):
            assert operator.inputs == tuple(wanted.inputs)
            assert operator.outputs == tuple(wanted.outputs)
            if isinstance(operator.options, ConvOptions):
                options = wanted.builtinOptions
                assert operator.options.stride == (options.strideH, options.strideW)
                assert operator.options.padding == ("SAME", "VALID")[options.padding]


def test_options_and_quantization() -> None:
    model = read_model(conv_file())
    options = model.operators[0].options
    assert options == ConvOptions("SAME", (1, 1), (1, 1), "NONE")
    weights = model.tensors[1].quantization
    assert weights is not None
    assert (weights.scale, weights.zero_point, weights.axis) == ((0.25, 0.125), (0, 0), 0)


def unsupported(data: bytes) -> str:
    with pytest.raises(InnervateError) as caught:
        read_model(data, "model.tflite")
    message = str(caught.value)
    assert message.isprintable()
    return message


def test_unsupported_operator_is_named_with_its_position() -> None:
    maker = Maker()
    first = maker.input((1, 4), 1.0, 0)
    second = maker.operator("RESHAPE", [first], maker.tensor((4, 1), 1.0, 0))
    third = maker.operator("SIN", [second], maker.tensor((4, 1), 1.0, 0))
    message = unsupported(maker.finish(third))
    assert message.startswith("Unsupported operator SIN (model.tflite, operator 2 of 2, SIN, output 't2').")
    assert "SOFTMAX" in message


def test_fused_lstm_is_carried_whole(anchors: Path) -> None:
    data = (anchors / "lstm.tflite").read_bytes()
    lstm, truth = (
        read_file(data).operators[0],
        schema.ModelT.InitFromPackedBuf(data).subgraphs[0].operators[0],
    )
    assert lstm.name == "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert lstm.intermediates == tuple(truth.intermediates)
    assert lstm.options == LstmOptions("TANH", truth.builtinOptions.cellClip, 0.0, False)
    model = read_file(data)
    assert [model.tensors[i].variable for i in lstm.inputs[18:20]] == [True, True]
    assert model.tensors[lstm.inputs[19]].dtype == "INT16"


def _tensor(index: int, **changes: object) -> Callable[[Maker], None]:
    def change(maker: Maker) -> None:
        for key, value in changes.items():
            setattr(maker.graph.tensors[index], key, value)

    return change


def _quantization(index: int, **changes: object) -> Callable[[Maker], None]:
    def change(maker: Maker) -> None:
        for key, value in changes.items():
            setattr(maker.graph.tensors[index].quantization, key, value)

    return change


def _operator(**changes: object) -> Callable[[Maker], None]:
    def change(maker: Maker) -> None:
        operator = maker.graph.operators[0]
        for key, value in changes.items():
            setattr(operator if hasattr(operator, key) else operator.builtinOptions, key, value)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (_tensor(0, shape=[1, 1, -1, 2]), "0 to 268,435,456 elements"),
        (_tensor(0, shape=[1, 1, 0, 2]), "holds nothing"),
        (_tensor(0, shape=[1, 1 << 30, 1 << 30, 2]), "0 to 268,435,456 elements"),
        (_tensor(0, shapeSignature=[1, 1, -1, 2]), "only known at run time"),
        (_tensor(0, shape=[1] * 9), "9 dimensions"),
        (_tensor(0, type=schema.TensorType.FLOAT32), "quantize it fully"),
        (_tensor(0, buffer=77), "buffer 77"),
        (_tensor(0, isVariable=True), "keeps state"),
        (_tensor(0, quantization=None), "no scale"),
        (_tensor(3, shape=[1, 1, 5, 2]), "follows from its inputs"),
        (_tensor(1, shape=[2, 1, 2, 2]), "needs 8 bytes, its buffer holds 12"),
        (_tensor(2, buffer=0), "before anything has made it"),
        (_quantization(0, scale=[float("nan")]), "not a positive, finite"),
        (_quantization(0, scale=[float("inf")]), "not a positive, finite"),
        (_quantization(0, scale=[0.0]), "not a positive, finite"),
        (_quantization(0, scale=[1e-44]), "not a positive, finite"),
        (_quantization(0, scale=[-1.0]), "not a positive, finite"),
        (_quantization(0, zeroPoint=[300]), "outside int8"),
        (_quantization(0, scale=[1.0, 2.0], zeroPoint=[0, 0], quantizedDimension=3), "by channel"),
        (_quantization(1, scale=[1.0, 2.0, 3.0]), "3 scales"),
        (_quantization(1, zeroPoint=[0]), "2 scales but 1 zero points"),
        (_quantization(1, zeroPoint=[0, 7]), "zero point other than 0"),
        (_quantization(1, quantizedDimension=3), "axis 3"),
        (_quantization(1, quantizedDimension=17), "2 scales"),
        (
            _quantization(1, detailsType=2, details=schema.BlockwiseQuantizationT()),
            "The weights 't1' have no scale",
        ),
        (_operator(inputs=[0, 1, 99]), "tensor 99"),
        (_operator(inputs=[0, 1, -7]), "tensor -7"),
        (_operator(inputs=[3, 1, 2]), "before anything has made it"),
        (_operator(inputs=[0]), "1 inputs"),
        (_operator(outputs=[]), "No operator makes"),
        (_operator(outputs=[0]), "a second time"),
        (_operator(opcodeIndex=4), "operator code 4"),
        (_operator(strideW=0), "from 1 to 65536"),
        (_operator(dilationHFactor=-1), "from 1 to 65536"),
        (_operator(padding=9), "neither SAME nor VALID"),
        (_operator(fusedActivationFunction=4), "Fused activation TANH"),
        (_operator(fusedActivationFunction=9), "fused activation 9"),
        (_operator(builtinOptions=schema.Pool2DOptionsT(), builtinOptionsType=5), "another operator's"),
        (lambda maker: maker.graph.operators.clear(), "no operators"),
        (lambda maker: maker.graph.inputs.clear(), "no inputs"),
        (lambda maker: maker.model.subgraphs.append(schema.SubGraphT()), "2 subgraphs"),
        (lambda maker: setattr(maker.model, "version", 2), "version 2"),
    ],
)
def test_broken_rules_are_sentences(change: Callable[[Maker], None], sentence: str) -> None:
    assert sentence in unsupported(conv_file(change))


def test_limits_of_the_compiler() -> None:
    maker = Maker()
    at = maker.input((1, 4), 1 / 256, -128)
    for _ in range(4097):
        at = maker.operator("SOFTMAX", [at], maker.tensor((1, 4), 1 / 256, -128), beta=1.0)
    many = maker.finish(at)
    assert len(read_file(many).operators) == 4097
    assert "more than 4,096" in unsupported(many)

    maker = Maker()
    at = maker.input((1, 512), 1.0, 0)
    weights = maker.constant(np.zeros((512, 512), np.int8), 1.0)
    for _ in range(513):  # 128 MiB and a little of weights, all in one buffer
        at = maker.operator("FULLY_CONNECTED", [at, weights], maker.tensor((1, 512), 1.0, 0))
    assert "more than 134,217,728 bytes of constants" in unsupported(maker.finish(at))


def test_overflow_is_refused_with_its_layer() -> None:
    def large_bias(maker: Maker) -> None:
        maker.model.buffers[2].data = np.frombuffer(np.full(2, 2**31 - 1, np.int32).tobytes(), np.uint8)

    model = read_model(conv_file(large_bias), "model.tflite")
    with pytest.raises(InnervateError, match=r"overflow its 32-bit accumulator .*operator 1 of 1, CONV_2D"):
        lower(model)
    assert "overflow" in inspect(conv_file(large_bias)).refusal


def harmless(data: bytes) -> None:
    """Read as a model or refused with a sentence; anything else escapes and fails the test."""
    message = ""
    try:
        lower(read_model(data))
    except InnervateError as error:
        message = str(error)
    assert message.isprintable()


def test_every_truncation(anchors: Path) -> None:
    data = conv_file()
    for length in range(len(data)):
        with pytest.raises(InnervateError):
            read_model(data[:length])
    whole = (anchors / "emg_cnn.tflite").read_bytes()
    for length in range(0, len(whole), 61):
        with pytest.raises(InnervateError):
            read_model(whole[:length])


def test_every_byte_of_a_small_file_changed() -> None:
    data = bytearray(conv_file())
    for position in range(len(data)):
        kept = data[position]
        for value in (0, 0x7F, 0xFF, kept ^ 1):
            data[position] = value
            harmless(bytes(data))
        data[position] = kept


def test_hostile_words() -> None:
    data = bytearray(random_graph(7))
    for position in range(0, len(data) - 4, 4):
        kept = data[position : position + 4]
        for word in (0xFFFFFFFF, 0x7FFFFFFF, 0x80000000, len(data), 0):
            data[position : position + 4] = struct.pack("<I", word)
            harmless(bytes(data))
        data[position : position + 4] = kept


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_arbitrary_bytes(content: bytes, identified: bool) -> None:
    harmless(content[:4] + b"TFL3" + content[4:] if identified else content)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, 50),
    st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=6),
)
def test_flipped_bytes_of_random_graphs(seed: int, flips: list[tuple[int, int]]) -> None:
    data = bytearray(random_graph(seed))
    for position, value in flips:
        data[position % len(data)] = value
    harmless(bytes(data))


def test_flipped_bytes_of_anchors(anchors: Path) -> None:
    rng = np.random.default_rng(3)
    for name in ANCHORS:
        data = bytearray((anchors / f"{name}.tflite").read_bytes())
        for position in rng.integers(0, len(data), 20):
            kept = data[position]
            data[position] ^= 1 << int(rng.integers(8))
            harmless(bytes(data))
            data[position] = kept


def test_inspection_adds_up(anchors: Path) -> None:
    found = inspect((anchors / "emg_cnn.tflite").read_bytes())
    # The published count of the anchor model.
    assert found.macs == 346_112
    assert [layer.operator for layer in found.layers][-3:] == ["MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert all(len(row) == len(found.columns) for row in found.rows)
    assert found.refusal == ""


def test_neither_torch_nor_tensorflow_is_imported() -> None:
    code = (
        "import sys, quantize.c99, quantize.tflite_reader, quantize.inspect, edge.engines.native;"
        "sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'scipy', 'brevitas')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_native_engine_needs_no_quantize() -> None:
    code = (
        "import sys, edge.engines.native; sys.exit(any(m.split('.')[0] == 'quantize' for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
