"""Attention: the file holds and computes the integers of the fake-quantized module."""

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch.nn import functional as F

from edge.errors import InnervateError
from quantize.attention.module import QuantAttention
from quantize.attention.softmax import softmax
from quantize.distil import distil
from quantize.extract import read_graph
from quantize.graph import QuantGraph, QuantLayer, Tensor
from quantize.lower import lower
from quantize.qat import QuantNetwork
from quantize.tflite_writer import write
from tests.attention_models import CHANNELS, CLASSES, SHAPE, Bare, block, quantized, signals
from tests.quant_models import as_input, divergence, operators
from train.models import build

Integers = NDArray[np.int64]


def run(
    tflite: bytes,
    x: NDArray[np.int8],
    names: list[str],
    runtime: str = "ai_edge_litert",
    kernels: str = "BUILTIN_REF",
) -> dict[str, Integers]:
    """Tensors by name, for each window."""
    module: Any = importlib.import_module(f"{runtime}.interpreter")
    interpreter = module.Interpreter(
        model_content=tflite,
        num_threads=1,
        experimental_op_resolver_type=getattr(module.OpResolverType, kernels),
        experimental_preserve_all_tensors=kernels == "BUILTIN_REF",
    )
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]
    index = {d["name"]: d["index"] for d in interpreter.get_tensor_details()}
    outputs: dict[str, list[Any]] = {name: [] for name in names}
    for window in x:
        interpreter.set_tensor(source["index"], window.reshape(source["shape"]))
        interpreter.invoke()
        for name in names:
            outputs[name].append(interpreter.get_tensor(index[name])[0].astype(np.int64))
    return {name: np.array(values) for name, values in outputs.items()}


def tensor(name: str) -> str:
    """Name in the file of a value of the layer `attention`."""
    return "attention" if name == "mixed" else f"attention.{name}"


def integers(value: Any) -> Integers:
    with torch.no_grad():
        steps: Integers = torch.round(value.value / value.scale).to(torch.int64).numpy()
    return steps


def attention_values(network: QuantNetwork, x: NDArray[np.int8]) -> dict[str, Integers]:
    """Integers of all values of a network's first layer, [N, heads, ...]."""
    with torch.no_grad():
        source = network.values(as_input(x))[-1]
        module: Any = network.weighted["0"]
        return {name: integers(value) for name, value in module.values(source).items()}


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    heads=st.integers(1, 4),
    size=st.integers(1, 9),
    tokens=st.integers(1, 40),
    gain=st.floats(0.2, 6),
)
@example(seed=5015, heads=2, size=2, tokens=36, gain=0.2)  # two scales divided in float32 end a step apart
def test_any_attention_gives_the_integers_of_tflite(
    seed: int, heads: int, size: int, tokens: int, gain: float
) -> None:
    """Products and shares from spread out to all on one token."""
    channels = heads * size
    torch.manual_seed(seed)
    model = Bare(channels, heads, gain).eval()
    network = quantized(model, (channels, 1, tokens), seed)
    x = signals(20, seed + 1, (tokens, channels))
    ours = attention_values(network, x)
    theirs = run(write(read_graph(network)), x, [tensor(name) for name in ours])
    for name, value in ours.items():
        assert np.array_equal(theirs[tensor(name)], value), name


def test_biased_queries_are_the_integers_of_tflite() -> None:
    torch.manual_seed(0)
    model = Bare(12, 3, 3.0, bias=True).eval()
    network, x = quantized(model, (12, 1, 20)), signals(50, 2, (20, 12))
    ours = attention_values(network, x)
    theirs = run(write(read_graph(network)), x, [tensor(name) for name in ours])
    assert "biased" in ours
    for name, value in ours.items():
        assert np.array_equal(theirs[tensor(name)], value), name


@pytest.mark.parametrize("scale", [1e-4, 0.003, 0.02, 0.11, 0.7, 4.0])
@pytest.mark.parametrize("depth", [1, 3, 50, 400])
def test_shares_are_those_of_tflites_softmax(scale: float, depth: int) -> None:
    rng = np.random.default_rng(depth)
    x = rng.integers(-128, 128, (30, depth)).astype(np.int8)
    x[:5], x[5:10] = x[:5] // 20, np.sort(x[5:10])
    tensors = (Tensor("in", (1, depth), scale, 0), Tensor("out", (1, depth), 1 / 256, -128))
    file = write(QuantGraph(tensors, (QuantLayer("softmax", "softmax", (0,), 1),)))
    ours = softmax(torch.from_numpy(x).float(), float(np.float32(scale))).numpy() - 128
    assert np.array_equal(ours, run(file, x, ["out"])["out"])


def test_a_whole_network_gives_the_logits_of_the_file() -> None:
    model = block()
    network, x = quantized(model), signals(1000, 3)
    theirs = run(write(read_graph(network)), x, ["head", "probabilities"])
    with torch.no_grad():
        logits = network.values(as_input(x))[len(network.network.layers) - 1]
    assert np.array_equal(theirs["head"], integers(logits))
    shares = softmax(torch.from_numpy(integers(logits)).float(), float(logits.scale)).numpy() - 128
    assert np.array_equal(theirs["probabilities"], shares)
    assert np.bincount(shares.argmax(axis=1).astype(int)).max() < 500  # all classes are there


@pytest.mark.parametrize("runtime", ["ai_edge_litert", "tflite_runtime"])
@pytest.mark.parametrize("kernels", ["BUILTIN_REF", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN"])
def test_every_runtime_runs_the_file_alike(runtime: str, kernels: str) -> None:
    tflite, x = write(read_graph(quantized(block()))), signals(60, 4)
    reference = run(tflite, x, ["probabilities"])["probabilities"]
    outputs = run(tflite, x, ["probabilities"], runtime, kernels)["probabilities"]
    # The older runtime has another softmax; the optimised kernels round sums another way.
    assert np.abs(outputs - reference).max() <= (1 if kernels == "BUILTIN_REF" else 4)


def test_gradients_are_those_of_the_float_attention() -> None:
    """Within what rounding moves them: the rounding itself passes them straight through."""
    model, x = block(), as_input(signals(64, 5))
    network = quantized(model)
    target = torch.arange(64) % CLASSES
    F.cross_entropy(model(x), target).backward()
    network.train()
    F.cross_entropy(network(x), target).backward()
    (module,) = (part for part in network.modules() if isinstance(part, QuantAttention))
    assert model.attention.in_proj_weight.grad is not None
    wanted = list(model.attention.in_proj_weight.grad.chunk(3))
    wanted[0] = wanted[0] * module.size**0.5  # queries hold what scores are divided by
    for name, gradient in zip(("query", "key", "value"), wanted, strict=True):
        ours = module.kernels[name].weight.grad
        assert F.cosine_similarity(ours.flatten(), gradient.flatten(), dim=0) > 0.95, name
        assert ours.norm() == pytest.approx(float(gradient.norm()), rel=0.15), name


def test_distilling_brings_the_quantized_network_nearer() -> None:
    """From projections that were put out of place."""
    model, x = block(), signals(256, 6)
    with torch.no_grad():
        model.head.weight.mul_(10)
    network = quantized(model)
    (module,) = (part for part in network.modules() if isinstance(part, QuantAttention))
    with torch.no_grad():
        module.kernels["value"].weight += 0.3 * torch.randn(module.kernels["value"].weight.shape)
    before = divergence(network, model, x)
    distil(network, model, x, steps=25, batch_size=64, learning_rate=1e-2, seed=0)
    assert divergence(network, model, x) < before / 2


def test_the_file_is_small_and_moves_nothing() -> None:
    """4,774 parameters: other converters need 20 kB, 14 RESHAPE and 6 TRANSPOSE."""
    model = block()
    assert sum(parameter.numel() for parameter in model.parameters()) == 4774
    tflite = write(read_graph(quantized(model)), {"task": "test"})
    assert len(tflite) < 10_000
    attention = ["BATCH_MATMUL", "ADD", *["BATCH_MATMUL"] * 2, "SOFTMAX", *["BATCH_MATMUL"] * 2, "CONV_2D"]
    end = ["ADD", "AVERAGE_POOL_2D", "FULLY_CONNECTED", "SOFTMAX"]
    assert operators(tflite) == ["CONV_2D", *attention, *end]


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_tflm_runs_it_in_little_memory(heads: int) -> None:
    """Its arena with all that the interpreter keeps there; outputs are the reference kernels'."""
    micro = pytest.importorskip("tflite_micro").runtime
    tflite, x = write(read_graph(quantized(block(heads)))), signals(20, 7)
    arena = {1: 16, 2: 20, 4: 30}[heads] * 1024
    interpreter = micro.Interpreter.from_bytes(tflite, arena_size=arena)
    outputs = []
    for window in x:
        interpreter.set_input(window.reshape(1, 1, *window.shape), 0)
        interpreter.invoke()
        outputs.append(interpreter.get_output(0)[0].copy())
    reference = run(tflite, x, ["probabilities"])["probabilities"]
    assert np.abs(np.array(outputs) - reference).max() <= 1


def test_transformers_take_context() -> None:
    torch.manual_seed(2)
    model = build("transformer", CHANNELS, 50, CLASSES, {"blocks": 1}, context=2)
    assert model(torch.zeros(3, *SHAPE), torch.zeros(3, 2)).shape == (3, CLASSES)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"heads": 5}, "5 heads do not divide a width of 32"),
        ({"patch": 51}, "a window of 50 samples is shorter than a patch of 51"),
    ],
)
def test_transformers_that_cannot_be_are_a_sentence(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InnervateError, match=message):
        build("transformer", CHANNELS, 50, CLASSES, params)


@pytest.mark.parametrize(("window", "tokens"), [(50, 24), (1024, 23), (10, 9)])
def test_a_window_is_cut_into_about_as_many_tokens_as_asked_for(window: int, tokens: int) -> None:
    network = lower(build("transformer", CHANNELS, window, CLASSES, {}), (CHANNELS, 1, window))
    assert network.layers[0].shape == (32, 1, tokens)
