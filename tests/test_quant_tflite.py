"""The file computes what the Brevitas network computes, in every kernel set, and holds what it should."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from brevitas.quant_tensor import IntQuantTensor
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from edge.model_file import ModelIo, read_io
from quantize.c99 import build_shared
from quantize.calibrate import calibrate
from quantize.extract import read_graph
from quantize.graph import QuantGraph
from quantize.lower import lower
from quantize.network import INPUT, Pool
from quantize.qat import QuantNetwork, average_pool
from quantize.tflite_writer import METADATA_NAME, write
from quantize.verify import run_all, softmax, to_int8
from tests.quant_models import (
    CHANNELS,
    CLASSES,
    LENGTH,
    SHAPE,
    as_input,
    file_of,
    networks,
    quantized,
    tensors,
    windows,
)

NETWORKS = networks()


def stored(network: QuantNetwork, graph: QuantGraph, x: NDArray[np.int8]) -> list[NDArray[np.int64]]:
    """What Brevitas computes for the input and every layer, as the integers a file would hold (NHWC)."""
    with torch.no_grad():
        values = network.values(as_input(x))
    result = []
    for value in values.values():
        integers = torch.round(value.value / value.scale).to(torch.int64).numpy()
        integers = integers - (0 if value.signed else 128)
        result.append(integers.transpose(0, 2, 3, 1) if integers.ndim == 4 else integers)
    return result


@pytest.mark.parametrize("name", NETWORKS)
def test_xnnpack_gives_the_integers_of_brevitas(name: str) -> None:
    """XNNPACK rounds to nearest even as torch does in training, so that nothing may differ, softmax apart."""
    network = quantized(NETWORKS[name])
    network.training = True  # of the rounding alone: the layers stay as they are
    graph, x = read_graph(network), windows(100, seed=2)
    with torch.no_grad():
        expected = to_int8(softmax(network(as_input(x)).numpy()))
    outputs = run_all(TfliteEngine(write(graph), "xnnpack"), x)
    distance = np.abs(outputs.astype(int) - expected)
    assert distance.max() <= 1
    assert (distance > 0).mean() < 0.04


@pytest.mark.parametrize("name", NETWORKS)
def test_each_layer_has_the_integers_of_the_reference_kernels(name: str) -> None:
    network = quantized(NETWORKS[name])
    graph, x = read_graph(network), windows(30, seed=3)
    ours = stored(network, graph, x)
    values = tensors(write(graph), x, "BUILTIN_REF")
    names = [tensor.name for tensor in graph.tensors]
    for index, layer in enumerate(network.network.layers):
        theirs = np.concatenate([value[names.index(layer.name)] for value in values]).astype(int)
        assert np.array_equal(theirs.reshape(ours[index + 1].shape), ours[index + 1]), layer.name


@pytest.mark.parametrize("runtime", ["tflite_runtime", "ai_edge_litert"])
@pytest.mark.parametrize("name", NETWORKS)
def test_both_runtimes_run_the_file_alike(name: str, runtime: str) -> None:
    tflite, x = file_of(NETWORKS[name]), windows(20, seed=4)
    reference = run_all(TfliteEngine(tflite, "reference"), x).astype(int)
    assert np.array_equal(run_all(TfliteEngine(tflite, "reference", runtime), x), reference)
    optimised = run_all(TfliteEngine(tflite, "optimised", runtime), x)
    assert np.abs(optimised - reference).max() <= 3
    assert (optimised.argmax(axis=1) == reference.argmax(axis=1)).mean() >= 0.95


@pytest.mark.parametrize("name", NETWORKS)
def test_generated_c_equals_the_reference_kernels(name: str) -> None:
    tflite, x = file_of(NETWORKS[name]), windows(50, seed=7)
    reference = run_all(TfliteEngine(tflite, "reference"), x)
    assert np.array_equal(run_all(NativeEngine(build_shared(tflite)), x), reference)


def test_xnnpack_is_refused_where_it_does_not_take_the_model() -> None:
    with pytest.raises(InnervateError, match="XNNPACK did not take the model"):
        TfliteEngine(file_of(NETWORKS["plain"]), "xnnpack", "tflite_runtime")


def test_a_file_that_is_no_model_is_refused() -> None:
    tflite = file_of(NETWORKS["plain"])
    for bad in (b"", b"PK\x03\x04", tflite[:200], b"\0" * 64):
        with pytest.raises(InnervateError, match=r"model\.tflite"):
            TfliteEngine(bad)


def test_the_same_network_gives_the_same_bytes() -> None:
    network = quantized(NETWORKS["depthwise"])
    metadata = {"b": 1, "a": [1.5, "é"]}
    assert write(read_graph(network), metadata) == write(
        read_graph(network), dict(reversed(metadata.items()))
    )


def operators(tflite: bytes) -> list[tuple[str, int]]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    codes = [(names[code.builtinCode], code.version) for code in model.operatorCodes]
    return [codes[operator.opcodeIndex] for operator in model.subgraphs[0].operators]


def test_no_layout_operators() -> None:
    kinds = {name: [kind for kind, _ in operators(file_of(model))] for name, model in NETWORKS.items()}
    assert kinds["plain"] == ["CONV_2D"] * 2 + ["AVERAGE_POOL_2D"] + ["FULLY_CONNECTED"] * 2 + ["SOFTMAX"]
    assert kinds["padded"][0:3] == ["PAD", "CONV_2D", "PAD"]
    assert not {"RESHAPE", "TRANSPOSE", "QUANTIZE", "DEQUANTIZE"} & {
        kind for made in kinds.values() for kind in made
    }


def test_what_the_file_says_of_itself() -> None:
    graph = read_graph(quantized(NETWORKS["depthwise"]))
    tflite = write(graph, {"task": "grasp", "labels": ["a", "b"]})
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    entries = {entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata}
    assert json.loads(entries[METADATA_NAME]) == {"task": "grasp", "labels": ["a", "b"]}
    signature = model.signatureDefs[0]
    assert (signature.inputs[0].name, signature.outputs[0].name) == (b"window", b"probabilities")
    assert read_io(tflite) == ModelIo(LENGTH, CHANNELS, CLASSES, 1 / 128, 0, 1 / 256, -128)
    by_name: dict[str, Any] = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    first = by_name["0.weight"]
    assert list(first.shape) == [1, 1, 7, 2 * CHANNELS]
    assert first.quantization.quantizedDimension == 3
    assert len(first.quantization.scale) == 2 * CHANNELS
    assert {tensor.name for tensor in graph.tensors} <= set(by_name)


def test_scales_are_the_trained_ones_to_the_bit() -> None:
    network = quantized(NETWORKS["plain"])
    tflite = write(read_graph(network))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    by_name = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    with torch.no_grad():
        values = network.values(as_input(windows(1)))
    source = np.float32(1 / 128)
    for index, layer in enumerate(network.network.layers):
        assert by_name[layer.name].quantization.scale[0] == float(values[index].scale)
        if str(index) in network.weighted:
            module: Any = network.weighted[str(index)]
            scales = module.quant_weight().scale.detach().reshape(-1).numpy()
            assert np.array_equal(by_name[f"{layer.name}.weight"].quantization.scale, scales)
            assert np.array_equal(by_name[f"{layer.name}.bias"].quantization.scale, source * scales)
        source = np.float32(values[index].scale)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), kernel=st.integers(1, 9), stride=st.integers(1, 4), signed=st.booleans())
def test_average_pool_is_exact(seed: int, kernel: int, stride: int, signed: bool) -> None:
    """Against integers: half away from zero on the stored values, TFLite's `AveragePool` for int8."""
    rng = np.random.default_rng(seed)
    stored_values = rng.integers(-128, 128, (3, 2, 1, 12))
    offset, scale = 0 if signed else 128, torch.tensor(0.0123)
    value = torch.from_numpy(stored_values + offset).float() * scale
    zero, bits = torch.tensor(0.0), torch.tensor(8.0)
    pool = Pool("pool", (0,), (2, 1, 0), "average", (1, kernel), (1, stride), (0, 0, 0, 0))
    pooled = average_pool(IntQuantTensor(value, scale, zero, bits, signed, False), pool)
    got = torch.round(pooled.value / scale).numpy().astype(int) - offset
    outputs = (12 - kernel) // stride + 1
    for position in range(outputs):
        total = stored_values[..., position * stride : position * stride + kernel].sum(axis=-1)
        half = kernel // 2
        expected = np.where(total > 0, (total + half) // kernel, -((-total + half) // kernel))
        assert np.array_equal(got[..., position], expected)


def test_channels_that_vanished_do_not_overflow_their_bias() -> None:
    model = nn.Sequential(
        nn.Conv2d(4, 6, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)
    ).eval()
    conv: Any = model[0]
    conv.weight.data[2] = 0.0
    conv.weight.data[3] = 1e-12
    conv.bias.data[2:4] = torch.tensor([0.7, -0.7])
    network = quantized(model)
    graph, x = read_graph(network), windows(20, seed=5)
    values = tensors(write(graph), x, "BUILTIN_REF")
    ours = stored(network, graph, x)
    theirs = np.concatenate([value[1] for value in values]).astype(int)
    assert np.abs(theirs - ours[1]).max() <= 1
    assert ours[1][..., 2].min() > -128
    assert np.array_equal(theirs[..., 3], np.full(theirs.shape[:-1], -128))


def test_a_layer_that_died_does_not_overflow_the_bias_of_the_next() -> None:
    model = nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(2 * LENGTH, CLASSES)).eval()
    conv: Any = model[0]
    conv.bias.data[:] = -100
    graph, x = read_graph(quantized(model)), windows(5, seed=6)
    assert graph.tensors[1].scale == 2**-17
    with torch.no_grad():
        expected = model(as_input(x)).numpy()
    values = tensors(write(graph), x, "BUILTIN_REF")
    logits = (np.concatenate([value[2] for value in values]) - graph.tensors[2].zero_point) * graph.tensors[
        2
    ].scale
    assert np.abs(logits - expected).max() <= graph.tensors[2].scale


def test_an_accumulator_that_could_overflow_is_refused() -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 5)).eval()
    conv: Any = model[0]
    conv.weight.data[1] = 1e-9
    conv.bias.data[1] = 1e6
    with pytest.raises(InnervateError, match=r"channel 1 can overflow.*\(0\)"):
        read_graph(quantized(model))


def test_an_int8_window_is_represented_exactly() -> None:
    network = QuantNetwork(lower(NETWORKS["plain"], SHAPE))
    calibrate(network, as_input(windows(64)))
    every = np.resize(np.arange(-128, 128, dtype=np.int8), (8, LENGTH, CHANNELS))
    with torch.no_grad():
        first = network.values(as_input(every))[INPUT]
    assert torch.equal(first.value, as_input(every))
    assert float(first.scale) == 1 / 128


@st.composite
def random_networks(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int, int]]:
    """Convolutions of any shape over images of any shape, pooled and flattened."""
    channels, height, width = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(6, 20))
    shape = (channels, height, width)
    torch.manual_seed(draw(st.integers(0, 1000)))
    layers: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 3))):
        kernel = (draw(st.integers(1, min(3, height))), draw(st.integers(1, 3)))
        stride, dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2))), (1, draw(st.integers(1, 2)))
        padding = (draw(st.integers(0, 1)), draw(st.integers(0, 3)))
        depthwise = draw(st.booleans()) and channels > 1
        out = channels * draw(st.integers(1, 2)) if depthwise else draw(st.integers(1, 9))
        groups = channels if depthwise else 1
        layers.append(nn.Conv2d(channels, out, kernel, stride, padding, dilation, groups))
        height = (height + 2 * padding[0] - kernel[0]) // stride[0] + 1
        width = (width + 2 * padding[1] - dilation[1] * (kernel[1] - 1) - 1) // stride[1] + 1
        channels = out
        layers += draw(
            st.sampled_from([[nn.ReLU()], [nn.BatchNorm2d(out), nn.ReLU()], [nn.BatchNorm2d(out)]])
        )
        pool = draw(st.sampled_from([None, nn.MaxPool2d, nn.AvgPool2d]))
        assume(height >= 1 and width >= 1)
        if pool and width >= 4:
            layers.append(pool((1, 2)))
            width //= 2
        if width < 4:
            break
    layers += [nn.Flatten(), nn.Linear(channels * height * width, CLASSES)]
    return nn.Sequential(*layers).eval(), shape


@settings(max_examples=30, deadline=None)
@given(random_networks(), st.integers(0, 1000))
def test_any_network_has_the_logits_of_the_reference_kernels(
    drawn: tuple[nn.Module, tuple[int, int, int]], seed: int
) -> None:
    """To the integer; and with the rounding of training those of XNNPACK, softmax apart."""
    model, shape = drawn
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(rng.integers(-128, 128, (64, *shape))).float() / 128
    network = QuantNetwork(lower(model, shape))
    calibrate(network, x)
    with torch.no_grad():
        logits = network.values(x[:16])[len(network.network.layers) - 1]
        network.training = True
        expected = to_int8(softmax(network(x[:16]).numpy()))
    inputs = torch.round(x[:16] * 128).to(torch.int8).permute(0, 2, 3, 1).contiguous().numpy()
    graph = read_graph(network)
    tflite = write(graph)
    reference = np.concatenate([v[len(graph.tensors) - 2] for v in tensors(tflite, inputs, "BUILTIN_REF")])
    assert np.array_equal(reference, torch.round(logits.value / logits.scale).flatten(1).numpy())
    outputs = run_all(TfliteEngine(tflite, "xnnpack"), inputs)
    assert np.abs(outputs.astype(int) - expected).max() <= 1
