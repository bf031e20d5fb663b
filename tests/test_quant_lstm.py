"""LSTM: the file holds and computes the integers of the fake-quantized module."""

import importlib
import math
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.model_file import ModelIo, read_io
from quantize.c99 import build_shared
from quantize.distil import distil
from quantize.extract import read_graph
from quantize.lower import lower
from quantize.lstm.activations import sigmoid_table, tanh_table
from quantize.lstm.layer import Lstm
from quantize.qat import QuantNetwork
from quantize.tflite_writer import write
from tests.lstm_models import CHANNELS, CLASSES, FORMS, STEPS, UNITS, made, quantized, signals
from tests.quant_models import as_input, divergence, operators
from train.models import build
from train.models import lstm as lstm_model

RUNTIMES = [
    ("ai_edge_litert", "BUILTIN_REF"),
    ("ai_edge_litert", "BUILTIN"),
    ("tflite_runtime", "BUILTIN_REF"),
    ("tflite_runtime", "BUILTIN"),
]


def hidden_states(network: QuantNetwork, x: NDArray[np.int8], index: int = 0) -> NDArray[np.int64]:
    """Integers of the LSTM that is layer `index`: [N, steps, units]."""
    with torch.no_grad():
        value = network.values(as_input(x))[index]
    integers: NDArray[np.int64] = torch.round(value.value / value.scale).to(torch.int64).numpy()
    return integers[:, :, 0].transpose(0, 2, 1)


def run(
    tflite: bytes, x: NDArray[np.int8], runtime: str, kernels: str, tensor: str = "probabilities"
) -> NDArray[np.int64]:
    """A tensor for each window, its state set to zero before each."""
    module: Any = importlib.import_module(f"{runtime}.interpreter")
    interpreter = module.Interpreter(
        model_content=tflite,
        num_threads=1,
        experimental_op_resolver_type=getattr(module.OpResolverType, kernels),
        experimental_preserve_all_tensors=kernels == "BUILTIN_REF",
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    index = {d["name"]: d["index"] for d in interpreter.get_tensor_details()}[tensor]
    outputs = []
    for window in x:
        interpreter.reset_all_variables()
        interpreter.set_tensor(source["index"], window.reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(index)[0].astype(np.int64))
    return np.array(outputs)


@pytest.mark.parametrize("form", FORMS)
def test_hidden_states_are_the_integers_of_tflite(form: str) -> None:
    """The kernel of the fused operator is the same in both kernel sets."""
    network, x = quantized(made(form)), signals(40, seed=2)
    tflite = write(read_graph(network))
    with torch.no_grad():
        source = network.values(as_input(x))
    for index, layer in enumerate(network.network.layers):
        if not isinstance(layer, Lstm):
            continue
        theirs = run(tflite, x, "ai_edge_litert", "BUILTIN_REF", layer.name)
        ours = hidden_states(network, x, index)
        same = np.ones(len(x), bool)
        if layer.inputs[0] >= 0:  # only where the layer before agreed
            before = source[layer.inputs[0]]
            name = network.network.layers[layer.inputs[0]].name
            name = f"{layer.name}.steps" if form == "after a convolution" else name
            got = run(tflite, x, "ai_edge_litert", "BUILTIN_REF", name)
            offset = 0 if before.signed else 128
            wanted = torch.round(before.value / before.scale).numpy()[:, :, 0].transpose(0, 2, 1) - offset
            same = (got == wanted).all(axis=(1, 2))
        assert same.any()
        assert np.array_equal(theirs[same], ours[same])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    channels=st.integers(1, 9),
    units=st.integers(1, 20),
    steps=st.integers(1, 40),
    gain=st.floats(0.1, 6),
)
def test_any_lstm_gives_the_integers_of_tflite(
    seed: int, channels: int, units: int, steps: int, gain: float
) -> None:
    """Small and large weights, the large ones with gates that saturate."""
    torch.manual_seed(seed)
    model = build("lstm", channels, steps, 3, {"units": units})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(gain)
    shape = (channels, 1, steps)
    network, x = quantized(model, shape, seed), signals(20, seed + 1, (steps, channels))
    theirs = run(write(read_graph(network)), x, "ai_edge_litert", "BUILTIN_REF", "lstm")
    difference = np.abs(theirs - hidden_states(network, x))
    # Rounding of ties is the only freedom left: not one value in ten thousand.
    assert difference.max() <= 1
    assert (difference > 0).sum() <= max(1, difference.size // 10_000)


def test_cells_of_every_range_are_those_of_tflite() -> None:
    """A forget gate held open adds up what the cell gate says."""
    for gain, bits in ((0.05, 3), (0.25, 4), (0.5, 5), (1.2, 6)):
        model = made()
        with torch.no_grad():
            for parameter in model.lstm.parameters():
                parameter.zero_()
            gates = model.lstm.get_parameter("bias_ih_l0").view(4, UNITS)
            gates[0], gates[1], gates[3] = 6.0, 8.0, 0.0
            gates[2] = torch.linspace(-gain, gain, UNITS)
        network, x = quantized(model), signals(2)
        module: Any = network.weighted["0"]
        assert module.cell_bits == bits
        assert module.cell_scale == 2.0 ** (bits - 15)
        theirs = run(write(read_graph(network)), x, "ai_edge_litert", "BUILTIN_REF", "lstm")
        assert np.array_equal(theirs, hidden_states(network, x))


@pytest.mark.parametrize(("runtime", "kernels"), RUNTIMES)
def test_every_runtime_runs_the_file_alike(runtime: str, kernels: str) -> None:
    tflite, x = write(read_graph(quantized(made()))), signals(60, seed=4)
    reference = run(tflite, x, "ai_edge_litert", "BUILTIN_REF")
    outputs = run(tflite, x, runtime, kernels)
    assert np.abs(outputs - reference).max() <= 1


def test_tables_are_near_the_exact_functions() -> None:
    values = np.arange(-(2**15), 2**15)
    sigmoid = 2**15 / (1 + np.exp(-values / 2**12))
    assert np.abs(sigmoid_table().numpy() - sigmoid).max() < 8
    for bits in range(7):
        table = tanh_table(bits).numpy()
        assert np.abs(table - 2**15 * np.tanh(values * 2.0 ** (bits - 15))).max() < 13
        assert np.array_equal(table[1:], -table[:0:-1])


def test_gradients_are_those_of_the_float_lstm() -> None:
    """Within what rounding moves them: the rounding itself passes them straight through."""
    model, x = made(), as_input(signals(64, seed=5))
    network = quantized(model)
    module: Any = network.weighted["0"]
    target = torch.arange(64) % CLASSES
    F.cross_entropy(model(x), target).backward()
    network.train()
    F.cross_entropy(network(x), target).backward()
    for kernels, name in ((module.kernels, "weight_ih_l0"), (module.recurrent_kernels, "weight_hh_l0")):
        ours = torch.cat([kernel.weight.grad for kernel in kernels]).flatten()
        wanted = model.lstm.get_parameter(name).grad
        assert wanted is not None
        assert F.cosine_similarity(ours, wanted.flatten(), dim=0) > 0.98
        assert ours.norm() == pytest.approx(float(wanted.norm()), rel=0.1)


def test_distilling_brings_the_quantized_network_nearer() -> None:
    """From biases that were put out of place."""
    model, x = made(), signals(256, seed=6)
    with torch.no_grad():
        model.head.weight.mul_(10)
    network = quantized(model)
    module: Any = network.weighted["0"]
    with torch.no_grad():
        for kernel in module.kernels:
            kernel.bias += torch.linspace(-1, 1, UNITS)

    before = divergence(network, model, x)
    distil(network, model, x, steps=25, batch_size=64, learning_rate=1e-2, seed=0)
    assert divergence(network, model, x) < before / 4


def test_the_file_is_small_and_needs_no_layout_operators() -> None:
    tflite = write(read_graph(quantized(made())), {"task": "test"})
    assert len(tflite) < 12_000
    fused = "UNIDIRECTIONAL_SEQUENCE_LSTM"
    assert operators(tflite) == [fused, "STRIDED_SLICE", "FULLY_CONNECTED", "SOFTMAX"]
    assert read_io(tflite) == ModelIo(STEPS, CHANNELS, CLASSES, 1 / 128, 0, 1 / 256, -128)
    kinds = {form: operators(write(read_graph(quantized(made(form))))) for form in FORMS}
    assert kinds["two LSTMs"] == [fused, fused, "STRIDED_SLICE", "FULLY_CONNECTED", "SOFTMAX"]
    assert kinds["mean of outputs"][:3] == [fused, "RESHAPE", "AVERAGE_POOL_2D"]
    assert kinds["after a convolution"][:3] == ["CONV_2D", "RESHAPE", fused]
    assert not {"TRANSPOSE", "QUANTIZE"} & {kind for kind_list in kinds.values() for kind in kind_list}


def test_the_operator_is_laid_out_as_the_kernels_want_it() -> None:
    """24 inputs in the order of TFLite's lstm_shared.h, states as variables, five intermediates."""
    model = made()
    network = quantized(model)
    tflite = write(read_graph(network))
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    graph = file.subgraphs[0]
    operator = graph.operators[0]
    inputs: list[Any] = [None if index == -1 else graph.tensors[index] for index in operator.inputs]
    assert len(inputs) == 24
    assert [place for place, tensor in enumerate(inputs) if tensor is None] == [
        *(9, 10, 11), *(16, 17), *(20, 21, 22, 23)
    ]  # fmt: skip
    hidden, cell = inputs[18], inputs[19]
    assert (hidden.isVariable, cell.isVariable) == (True, True)
    assert (hidden.type, cell.type) == (schema.TensorType.INT8, schema.TensorType.INT16)
    assert math.log2(cell.quantization.scale[0]).is_integer()
    output = graph.tensors[operator.outputs[0]]
    assert hidden.quantization.scale[0] == output.quantization.scale[0]
    assert graph.tensors[operator.intermediates[4]].quantization.scale[0] == output.quantization.scale[0]
    assert len(operator.intermediates) == 5
    parameters = dict(model.lstm.named_parameters())
    for gate in range(4):
        rows = slice(gate * UNITS, (gate + 1) * UNITS)
        for place, parameter in ((1 + gate, "weight_ih_l0"), (5 + gate, "weight_hh_l0")):
            tensor = inputs[place]
            weights = np.frombuffer(bytes(file.buffers[tensor.buffer].data), np.int8).reshape(UNITS, -1)
            wanted = parameters[parameter].detach().numpy()[rows]
            scale = tensor.quantization.scale[0]
            assert np.abs(weights * scale - wanted).max() <= scale * 0.5001
            assert scale == pytest.approx(np.abs(wanted).max() / 127, rel=1e-5)
        bias = inputs[12 + gate]
        stored = np.frombuffer(bytes(file.buffers[bias.buffer].data), np.int32)
        wanted = (parameters["bias_ih_l0"] + parameters["bias_hh_l0"]).detach().numpy()[rows]
        assert np.abs(stored * bias.quantization.scale[0] - wanted).max() <= bias.quantization.scale[0]


def test_a_sequence_in_two_calls_is_the_sequence_in_one() -> None:
    """The file keeps its state until it is reset, as a stream would want; the network here wants resets."""
    half, x = STEPS // 2, signals(1, seed=8)
    network = quantized(made())
    whole = hidden_states(network, x)[0]
    shorter = QuantNetwork(lower(made(), (CHANNELS, 1, half)))
    shorter.load_state_dict(network.state_dict())
    module: Any = importlib.import_module("ai_edge_litert.interpreter")
    interpreter = module.Interpreter(
        model_content=write(read_graph(shorter)),
        experimental_op_resolver_type=module.OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    index = {d["name"]: d["index"] for d in interpreter.get_tensor_details()}

    def call(part: NDArray[np.int8]) -> NDArray[np.int8]:
        interpreter.set_tensor(index["window"], part)
        interpreter.invoke()
        states: NDArray[np.int8] = interpreter.get_tensor(index["lstm"])[0]
        return states

    assert np.array_equal(call(x[:, :half]), whole[:half])
    assert np.array_equal(call(x[:, half:]), whole[half:])
    interpreter.reset_all_variables()
    assert np.array_equal(call(x[:, :half]), whole[:half])
    assert lstm_model.RECURRENT


def test_a_bias_beside_vanished_weights_is_refused() -> None:
    model = made()
    with torch.no_grad():
        model.lstm.get_parameter("weight_ih_l0")[:UNITS] = 0
        model.lstm.get_parameter("bias_ih_l0")[:UNITS] = 1e6
    with pytest.raises(InnervateError, match=r"the bias of the input gate is too large .* \(lstm\)"):
        read_graph(quantized(model))


def test_engines_begin_every_window_with_a_state_of_zero() -> None:
    """Windows overlap, so a state kept from one would see samples twice: any order gives the same outputs."""
    tflite = write(read_graph(quantized(made())))
    x = signals(12, 5)
    alone = run(tflite, x, "ai_edge_litert", "BUILTIN_REF")
    assert len(np.unique(alone, axis=0)) > 6  # outputs that depend on the window
    engines: list[Engine] = [
        TfliteEngine(tflite, "reference", "ai_edge_litert"),
        NativeEngine(build_shared(tflite)),
    ]
    for engine in engines:
        for order in (range(12), range(11, -1, -1)):
            np.testing.assert_array_equal(
                [engine.run(x[i]) for i in order], alone.reshape(12, -1)[list(order)]
            )
