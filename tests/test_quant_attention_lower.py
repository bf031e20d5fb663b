"""What nn.MultiheadAttention becomes in a lowered network, and what is refused."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from quantize.attention.layer import Attention
from quantize.attention.lowering import attention_layers
from quantize.c99 import build_shared
from quantize.calibrate import calibrate
from quantize.extract import read_graph
from quantize.lower import lower
from quantize.network import Add, Conv, Dense, Network, Pool
from quantize.offset import Offset
from quantize.qat import QuantNetwork
from quantize.tflite_writer import write
from quantize.verify import run_all
from tests.attention_models import (
    CHANNELS,
    CLASSES,
    SHAPE,
    TOKENS,
    WIDTH,
    Block,
    block,
    image,
    quantized,
    sequence,
    signals,
)
from tests.quant_models import as_input, tensors
from train.models import build


def heads_of(layer: Attention, x: torch.Tensor) -> torch.Tensor:
    """What the heads give for tokens [N, C, 1, T], by torch's own attention on the weights lowering kept."""
    tokens = sequence(x)
    query, key, value = (
        torch.einsum("ntc,hsc->nhts", tokens, weight) for weight in (layer.query, layer.key, layer.value)
    )
    if layer.bias is not None:
        query = query + layer.bias[:, None]
    mixed = nn.functional.scaled_dot_product_attention(query, key, value, scale=1.0)
    return mixed.permute(0, 3, 1, 2)


def attention_of(network: Network) -> tuple[Attention, Conv]:
    index = next(i for i, layer in enumerate(network.layers) if isinstance(layer, Attention))
    heads, project = network.layers[index], network.layers[index + 1]
    assert isinstance(heads, Attention)
    assert isinstance(project, Conv)
    return heads, project


class Whole(nn.Module):
    """Attention alone, with a mean after it."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(CHANNELS, 4, **{"batch_first": True, **settings})
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = sequence(x)
        logits: torch.Tensor = self.pool(image(self.attention(tokens, tokens, tokens)[0])).flatten(1)
        return logits


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("unread", [(), (1,), (0, 3)])
def test_heads_and_projection_compute_what_the_module_computes(bias: bool, unread: tuple[int, ...]) -> None:
    """Biases of keys and values have gone where they belong; heads that are not read are not there."""
    torch.manual_seed(0)
    model = Whole(bias=bias).eval()
    with torch.no_grad():
        model.attention.in_proj_weight.mul_(3)
        if bias:
            model.attention.in_proj_bias.normal_()
            model.attention.out_proj.bias.normal_()
        for head in unread:
            model.attention.out_proj.weight.reshape(CHANNELS, 4, 2)[:, head] = 0
    heads, project = attention_of(lower(model, SHAPE))
    assert heads.shape == (2, 4 - len(unread), TOKENS)
    assert (heads.bias is not None) == bias
    x = as_input(signals(20))
    mixed = heads_of(heads, x)
    ours = nn.functional.conv2d(mixed, project.weight, project.bias)
    with torch.no_grad():
        tokens = sequence(x)
        wanted = image(model.attention(tokens, tokens, tokens)[0])
    torch.testing.assert_close(ours, wanted, rtol=1e-4, atol=1e-5)


def test_every_multiply_and_parameter_is_counted() -> None:
    network = lower(block(heads=2), SHAPE)
    tokens, width = TOKENS, WIDTH
    attention = 4 * tokens * width**2 + 2 * tokens**2 * width
    assert network.macs == tokens * CHANNELS * width + attention + width * CLASSES
    folded = 2 * width + 2 * width  # biases of keys and values, and the norm
    assert network.parameters == 4774 - folded


def test_a_norm_after_attention_folds_into_its_projection() -> None:
    network = lower(block(), SHAPE)
    kinds = [type(layer).__name__ for layer in network.layers]
    assert kinds == ["Conv", "Attention", "Conv", "Add", "Pool", "Dense"]


@pytest.mark.parametrize("context", [0, 3])
def test_transformers_lower_to_what_they_compute(context: int) -> None:
    """The float network and its lowered form before it is calibrated, on windows that int8 holds."""
    torch.manual_seed(3)
    model = build("transformer", CHANNELS, TOKENS, CLASSES, {"tokens": 12}, context=context).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.1, 0.5)
    network = lower(model, SHAPE, context)
    assert sum(isinstance(layer, Attention) for layer in network.layers) == 2
    inputs = [as_input(signals(30))] + [torch.randint(-64, 64, (30, context)) / 32] * (context > 0)
    form = QuantNetwork(network)
    calibrate(form, *inputs)
    with torch.no_grad():
        wanted, ours = model(*inputs), form(*inputs)
    assert (ours - wanted).abs().max() < 0.15 * wanted.std()
    graph = read_graph(form)
    assert [graph.tensors[index].name for index in graph.inputs] == ["window", "context"][: 1 + (context > 0)]
    assert {layer.kind for layer in graph.layers}.isdisjoint({"reshape", "pad", "concat"})


REFUSED: dict[str, tuple[dict[str, Any], Any, str]] = {
    "time first": (
        {"batch_first": False},
        None,
        "attention with time first has no int8 form here (attention)",
    ),
    "bias of its own": ({"add_bias_kv": True}, None, "attention with add_bias_kv has no int8 form here"),
    "zero token": ({"add_zero_attn": True}, None, "attention with add_zero_attn has no int8 form here"),
    "other keys": (
        {},
        lambda m, x: m.attention(x, m.second(x), x)[0],
        "MultiheadAttention with more than its input has no int8 form here (attention). Call it",
    ),
    "mask": (
        {},
        lambda m, x: m.attention(x, x, x, attn_mask=torch.zeros(TOKENS, TOKENS, dtype=torch.bool))[0],
        "MultiheadAttention with more than its input has no int8 form here (attention)",
    ),
    "weights": (
        {},
        lambda m, x: m.attention(x, x, x)[1] @ x,
        "the weights of an attention have no int8 form here (attention). Use its output",
    ),
    "encoder layer": (
        {},
        lambda m, x: m.encoder(x),
        "TransformerEncoderLayer has no int8 form here (encoder)",
    ),
    "layer norm": (
        {},
        lambda m, x: m.layer_norm(x),
        "LayerNorm has no int8 form here (layer_norm). Use BatchNorm2d",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_int8_form_is_refused_by_its_path(name: str) -> None:
    settings, forward, message = REFUSED[name]

    class Other(Block):
        def __init__(self) -> None:
            super().__init__(**settings)
            self.layer_norm = nn.LayerNorm(WIDTH)
            self.second = nn.Linear(WIDTH, WIDTH)
            self.encoder = nn.TransformerEncoderLayer(WIDTH, 4, batch_first=True)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            if forward is None:
                return super().forward(x)
            logits: torch.Tensor = self.head(forward(self, self.embed(sequence(x))).mean(1))
            return logits

    with pytest.raises(InnervateError, match=re.escape(message)):
        lower(Other().eval(), SHAPE)


def test_keys_of_another_width_are_refused() -> None:
    module = nn.MultiheadAttention(WIDTH, 4, kdim=8, batch_first=True)
    with pytest.raises(
        InnervateError, match="attention with keys or values of other widths has no int8 form"
    ):
        attention_layers(module, "attention", (WIDTH, 1, TOKENS))


def test_a_projection_of_zeros_is_refused() -> None:
    model = block()
    nn.init.zeros_(model.attention.out_proj.weight)
    with pytest.raises(InnervateError, match=r"a projection of zeros has no int8 form \(attention\)"):
        lower(model, SHAPE)


class Positioned(Block):
    """A constant for each token is added, as vision transformers and BERT do."""

    def __init__(self, form: str) -> None:
        super().__init__()
        shape = {"sequence": (1, TOKENS, WIDTH), "two axes": (TOKENS, WIDTH), "image": (1, WIDTH, 1, TOKENS)}
        self.form = form
        self.position = nn.Parameter(torch.randn(shape.get(form, (1, TOKENS + 1, WIDTH))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(sequence(x))
        if self.form == "image":
            tokens = sequence(self.position + image(tokens))
        else:
            tokens = tokens + (self.position if self.form != "sliced" else self.position[:, :TOKENS])
        logits: torch.Tensor = self.head((tokens + self.attention(tokens, tokens, tokens)[0]).mean(1))
        return logits


@pytest.mark.parametrize("form", ["sequence", "two axes", "image"])
def test_positions_are_added_to_the_integer(form: str) -> None:
    torch.manual_seed(4)
    model, x = Positioned(form).eval(), signals(40, 2)
    network = quantized(model)
    offset = network.network.layers[1]
    assert isinstance(offset, Offset)
    held = sequence(model.position) if form == "image" else model.position
    assert torch.equal(offset.constant[:, 0].T, held.reshape(TOKENS, WIDTH))
    graph = read_graph(network)
    names = [tensor.name for tensor in graph.tensors]
    assert graph.tensors[names.index("add.constant")].shape == (1, 1, TOKENS, WIDTH)
    with torch.no_grad():
        values = network.values(as_input(x))
    ran = tensors(write(graph), x, "BUILTIN_REF")
    for index in (1, len(network.network.layers) - 1):
        ours = torch.round(values[index].value / values[index].scale).numpy()
        ours = ours.transpose(0, 2, 3, 1) if ours.ndim == 4 else ours
        theirs = np.concatenate([value[names.index(network.network.layers[index].name)] for value in ran])
        assert np.array_equal(theirs, ours)
    reference = run_all(TfliteEngine(write(graph), "reference"), x)
    assert np.array_equal(run_all(NativeEngine(build_shared(write(graph))), x), reference)


def test_a_part_of_a_constant_is_refused() -> None:
    with pytest.raises(InnervateError, match="a constant has no int8 form here but in a sum: position"):
        lower(Positioned("sliced").eval(), SHAPE)


def test_a_perceptron_on_tokens_lowers_as_convolutions_of_one_step() -> None:
    torch.manual_seed(5)

    class Perceptron(Block):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.back = nn.Linear(WIDTH, 40), nn.Linear(40, WIDTH)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            tokens = self.embed(sequence(x))
            tokens = tokens + self.back(torch.relu(self.hidden(tokens)))
            logits: torch.Tensor = self.head(torch.relu(tokens).mean(dim=1))
            return logits

    model, x = Perceptron().eval(), as_input(signals(20))
    network = lower(model, SHAPE)
    values: dict[int, torch.Tensor] = {-1: x}
    for index, layer in enumerate(network.layers):
        source = values[layer.inputs[0]]
        match layer:
            case Conv():
                total = nn.functional.conv2d(source, layer.weight, layer.bias)
            case Add():
                total = source + values[layer.inputs[1]]
            case Pool():
                total = nn.functional.avg_pool2d(source, layer.kernel)
            case Dense():
                total = nn.functional.linear(source.flatten(1), layer.weight, layer.bias)
        values[index] = torch.relu(total) if getattr(layer, "relu", False) else total
    with torch.no_grad():
        torch.testing.assert_close(values[len(network.layers) - 1], model(x), rtol=1e-4, atol=1e-5)
