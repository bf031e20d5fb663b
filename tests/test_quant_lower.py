"""Lowering: the layer list computes what the module computes, and what has no int8 form is named."""

import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from edge.errors import InnervateError
from quantize.images import is_same
from quantize.lower import lower
from quantize.network import INPUT, Add, Conv, Dense, Network, Pool
from tests.quant_models import CHANNELS, CLASSES, SHAPE, as_input, networks, windows

NETWORKS = networks()


def run_float(network: Network, x: torch.Tensor) -> torch.Tensor:
    """Compute a lowered network in float with torch's own operators."""
    values = [x]
    for layer in network.layers:
        first = values[layer.inputs[0] - INPUT]
        if isinstance(layer, Conv):
            top, bottom, left, right = layer.padding
            padded = F.pad(first, (left, right, top, bottom))
            y = F.conv2d(padded, layer.weight, layer.bias, layer.stride, 0, layer.dilation, layer.groups)
        elif isinstance(layer, Dense):
            y = F.linear(first.flatten(1), layer.weight, layer.bias)
        elif isinstance(layer, Add):
            y = first + values[layer.inputs[1] - INPUT]
        elif isinstance(layer, Pool) and layer.kind == "average":
            y = F.avg_pool2d(first, layer.kernel, layer.stride)
        else:
            assert isinstance(layer, Pool)
            top, bottom, left, right = layer.padding
            y = F.max_pool2d(F.pad(first, (left, right, top, bottom), value=-1e9), layer.kernel, layer.stride)
        values.append(F.relu(y) if getattr(layer, "relu", False) else y)
    return values[-1].flatten(1)


@pytest.mark.parametrize("name", NETWORKS)
def test_layers_compute_what_the_module_computes(name: str) -> None:
    x = as_input(windows(20))
    network = lower(NETWORKS[name], SHAPE)
    with torch.no_grad():
        torch.testing.assert_close(run_float(network, x), NETWORKS[name](x), rtol=1e-4, atol=1e-5)


def test_lowering_folds_and_fuses() -> None:
    network = lower(NETWORKS["plain"], SHAPE)
    assert [type(layer).__name__ for layer in network.layers] == ["Conv", "Conv", "Pool", "Dense", "Dense"]
    assert [getattr(layer, "relu", None) for layer in network.layers] == [True, True, None, True, False]


def test_a_module_stays_in_its_mode() -> None:
    model = NETWORKS["plain"].train()
    lower(model, SHAPE)
    assert model.training
    model.eval()


def test_macs_and_parameters_are_those_of_the_formula() -> None:
    network = lower(nn.Sequential(nn.Conv2d(4, 6, (1, 3)), nn.Flatten(), nn.Linear(6 * 58, 5)), SHAPE)
    assert network.macs == 58 * 6 * 4 * 3 + 6 * 58 * 5
    assert network.parameters == 6 * 4 * 3 + 6 + 6 * 58 * 5 + 5


def head(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(CLASSES))


class Branching(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


class Multiplying(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * 2).flatten(1)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (head(nn.Sequential(nn.Conv2d(4, 4, 1), nn.GELU())), r"GELU .*\(0\.1\)\. Use ReLU"),
        (head(nn.Conv2d(4, 4, 1), nn.Sigmoid()), r"Sigmoid .*\(1\)\. Use ReLU inside"),
        (head(nn.GroupNorm(2, 4)), r"GroupNorm .*\(0\)\. Use BatchNorm2d"),
        (head(nn.Conv2d(4, 4, 1, groups=2)), r"2 groups .*\(0\)"),
        (head(nn.Conv2d(4, 4, (1, 3), padding=(0, 1), padding_mode="circular")), r"circular .*\(0\)"),
        (head(nn.MaxPool2d((1, 3), ceil_mode=True)), r"ceil_mode .*\(0\)"),
        (head(nn.MaxPool2d((1, 3), stride=(1, 2), padding=(0, 1))), r"SAME .*\(0\)"),
        (head(nn.AvgPool2d((1, 3), padding=(0, 1))), r"average pooling with padding.*\(0\)"),
        (head(nn.AdaptiveAvgPool2d((1, 2))), r"adaptive pooling .*\(0\)"),
        (head(nn.ReLU()), r"ReLU without a layer"),
        (head(nn.AvgPool2d((1, 2)), nn.ReLU()), r"ReLU without a layer"),
        (head(nn.ZeroPad2d((1, 1, 0, 0)), nn.MaxPool2d((1, 2))), r"padding without a convolution .*\(0\)"),
        (nn.Sequential(nn.Conv2d(4, 5, 1), nn.Flatten()), r"not one value a class"),
        (nn.Sequential(nn.Flatten(), nn.Linear(240, 5), nn.Softmax(dim=1)), r"Softmax .*\(2\)\. Use nothing"),
        (Branching(), r"cannot be traced.*Branching"),
        (Multiplying(), r"operation mul"),
        (nn.Linear(7, 5), r"cannot be traced.*\[N, 4, 1, 60\]"),
    ],
)  # fmt: skip
def test_what_has_no_int8_form_is_named(model: nn.Module, message: str) -> None:
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.LazyLinear):
                model(torch.zeros(1, *SHAPE))
                break
    with pytest.raises(InnervateError) as raised:
        lower(model, SHAPE)
    assert re.search(message, str(raised.value)), str(raised.value)


@given(
    n=st.integers(1, 40), k=st.integers(1, 9), s=st.integers(1, 4), d=st.integers(1, 3),
    before=st.integers(0, 12), after=st.integers(0, 12),
)  # fmt: skip
def test_same_padding_is_the_one_of_the_specification(
    n: int, k: int, s: int, d: int, before: int, after: int
) -> None:
    """Against the outputs themselves: which input each tap of each output reads."""
    span = d * (k - 1) + 1
    if n + before + after < span:
        return
    ours = [[o * s + t * d - before for t in range(k)] for o in range((n + before + after - span) // s + 1)]
    outputs = -(-n // s)
    total = max((outputs - 1) * s + span - n, 0)
    theirs = [[o * s + t * d - total // 2 for t in range(k)] for o in range(outputs)]
    assert is_same((1, n), (1, k), (1, s), (1, d), (0, 0, before, after)) == (ours == theirs)


def test_channels_of_the_input_are_checked() -> None:
    with pytest.raises(InnervateError, match="cannot be traced"):
        lower(NETWORKS["plain"], (CHANNELS + 1, 1, 60))
