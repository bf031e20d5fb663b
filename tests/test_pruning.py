"""What is removed goes with all that depends on it: pruned networks against smaller ones built by hand."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from edge.errors import InnervateError
from quantize import forms
from quantize.lower import lower
from quantize.pruning import Pruner, prune
from quantize.pruning.removal import remove
from quantize.pruning.units import find_units
from tests.quant_models import CHANNELS, CLASSES, LENGTH, SHAPE, as_input, networks, windows
from train import models

NETWORKS = networks()
KEPT = [1, 2, 4, 7]
"""Positions of eight that stay in the networks compared with ones built by hand."""


def without(model: nn.Module, layer: str, positions: Iterable[int], *inputs: torch.Tensor) -> Any:
    """The network without units of one layer, by position."""
    units = find_units(model, inputs)
    found = next(each for each in units.layers if each.name == layer)
    return remove(model, units, [int(found.units[position]) for position in positions]).eval()


def gone() -> list[int]:
    return [position for position in range(8) if position not in KEPT]


def signal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(5))


def rows(gates: int) -> torch.Tensor:
    """Rows of `gates` gates of eight units that stay."""
    return torch.tensor([gate * 8 + unit for gate in range(gates) for unit in KEPT])


class Memory(nn.Module):
    """A convolution, a memory over its outputs and a dense layer on where it ends."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU], inputs: int, units: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(CHANNELS, inputs, (1, 3))
        self.memory: Any = kind(inputs, units, batch_first=True)
        self.dense = nn.Linear(units, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, _ = self.memory(self.conv(x).squeeze(2).permute(0, 2, 1))
        logits: torch.Tensor = self.dense(output[:, -1])
        return logits


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_units_of_a_memory(kind: type[nn.LSTM] | type[nn.GRU], gates: int) -> None:
    torch.manual_seed(0)
    model, x = Memory(kind, 6, 8).eval(), signal(3, CHANNELS, 1, 20)
    built = Memory(kind, 6, 4).eval()
    old, new = dict(model.memory.named_parameters()), dict(built.memory.named_parameters())
    with torch.no_grad():
        built.conv.load_state_dict(model.conv.state_dict())
        for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
            new[name].copy_(old[name][rows(gates)])
        new["weight_hh_l0"].copy_(old["weight_hh_l0"][rows(gates)][:, KEPT])
        built.dense.weight.copy_(model.dense.weight[:, KEPT])
        built.dense.bias.copy_(model.dense.bias)
        pruned = without(model, "memory", gone(), x)
        torch.testing.assert_close(pruned(x), built(x), rtol=0, atol=1e-5)
    assert (pruned.memory.hidden_size, pruned.memory.input_size) == (4, 6)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
def test_channels_that_a_memory_reads(kind: type[nn.LSTM] | type[nn.GRU], gates: int) -> None:
    torch.manual_seed(1)
    model, x = Memory(kind, 8, 5).eval(), signal(3, CHANNELS, 1, 20)
    built = Memory(kind, 4, 5).eval()
    with torch.no_grad():
        built.conv.weight.copy_(model.conv.weight[KEPT])
        assert model.conv.bias is not None
        assert built.conv.bias is not None
        built.conv.bias.copy_(model.conv.bias[KEPT])
        state = model.memory.state_dict()
        built.memory.load_state_dict({**state, "weight_ih_l0": state["weight_ih_l0"][:, KEPT]})
        built.dense.load_state_dict(model.dense.state_dict())
        torch.testing.assert_close(without(model, "conv", gone(), x)(x), built(x), rtol=0, atol=1e-5)


class Attention(nn.Module):
    """Multi-head attention beside its input, then a mean over time."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.patch = nn.Conv2d(CHANNELS, width, (1, 5), (1, 5))
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.dense = nn.Linear(width, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).squeeze(2).permute(0, 2, 1)
        attended, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        logits: torch.Tensor = self.dense((tokens + attended).mean(1))
        return logits


def test_heads_of_attention() -> None:
    """A network with two of four heads is the sum over two heads, written out."""
    torch.manual_seed(2)
    width, heads = 16, 4
    size = width // heads
    model, x = Attention(width, heads).eval(), signal(3, CHANNELS, 1, 40)
    attention = model.attention
    assert attention.in_proj_weight is not None
    nn.init.normal_(attention.in_proj_bias)
    nn.init.normal_(attention.out_proj.bias)
    with torch.no_grad():
        tokens = model.patch(x).squeeze(2).permute(0, 2, 1)
        total = attention.out_proj.bias.expand_as(tokens)
        for head in (1, 2):
            own = torch.arange(head * size, (head + 1) * size)
            q, k, v = (
                tokens @ attention.in_proj_weight[part * width + own].T
                + attention.in_proj_bias[part * width + own]
                for part in range(3)
            )
            weights = (q @ k.transpose(1, 2) / size**0.5).softmax(-1)
            total = total + weights @ v @ attention.out_proj.weight[:, own].T
        expected = model.dense((tokens + total).mean(1))
        pruned = without(model, "attention", [0, 3], x)
        torch.testing.assert_close(pruned(x), expected, rtol=0, atol=1e-5)


def test_a_head_that_is_gone_stays_gone_in_training() -> None:
    torch.manual_seed(3)
    model, x = Attention(8, 4), signal(16, CHANNELS, 1, 40)
    pruned = without(model, "attention", [2], x).train()
    optimizer = torch.optim.AdamW(pruned.parameters(), 1e-2, weight_decay=0.1)
    before = pruned.attention.out_proj.weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        nn.functional.cross_entropy(pruned(x), torch.arange(16) % CLASSES).backward()
        optimizer.step()
    after = pruned.attention.out_proj.weight.detach()
    assert not torch.equal(after, before)
    assert not after[:, 4:6].any()
    assert not pruned.attention.in_proj_weight[[4, 5, 12, 13, 20, 21]].any()


@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_convolutions(multiplier: int) -> None:
    def network(width: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(CHANNELS, width, 1),
            nn.Conv2d(width, width * multiplier, (1, 5), groups=width),
            nn.BatchNorm2d(width * multiplier),
            nn.ReLU(),
            nn.AvgPool2d((1, 4)),
            nn.Flatten(),
            nn.Linear(width * multiplier * 14, CLASSES),
        )

    torch.manual_seed(4)
    model, built, x = network(8), network(4).eval(), signal(3, *SHAPE)
    model(x)  # moves the batch norm off its start
    model.eval()
    outputs = [unit * multiplier + part for unit in KEPT for part in range(multiplier)]
    columns = [channel * 14 + position for channel in outputs for position in range(14)]
    state = model.state_dict()
    kept = {"0.weight": KEPT, "0.bias": KEPT, "1.weight": outputs, "1.bias": outputs}
    kept |= {f"2.{name}": outputs for name in ("weight", "bias", "running_mean", "running_var")}
    chosen = {name: tensor[kept[name]] if name in kept else tensor for name, tensor in state.items()}
    built.load_state_dict({**chosen, "6.weight": state["6.weight"][:, columns]})
    with torch.no_grad():
        pruned = without(model, "0", gone(), x)
        torch.testing.assert_close(pruned(x), built(x), rtol=0, atol=1e-5)
        assert lower(pruned, SHAPE).macs == lower(built, SHAPE).macs


def test_channels_that_are_added_go_together() -> None:
    model = NETWORKS["residual"]
    units = find_units(model, [torch.zeros(2, *SHAPE)])
    assert [(layer.name, layer.size) for layer in units.layers] == [("0", 8)]
    pruned: Any = without(model, "0", gone(), torch.zeros(2, *SHAPE))
    assert {m.out_channels for m in pruned.modules() if isinstance(m, nn.Conv2d)} == {4}


@pytest.mark.parametrize("name", ["plain", "dilated, maximum, flat", "padded", "residual"])
def test_the_same_depends_on_each_layer_as_torch_pruning_finds(name: str) -> None:
    """torch-pruning traces gradients in place of operations; it has no GRU and no depthwise multiplier."""
    tp = pytest.importorskip("torch_pruning")
    model, x = NETWORKS[name], torch.zeros(2, *SHAPE)
    graph = tp.DependencyGraph().build_dependency(copy.deepcopy(model), x)
    names = {module: path for path, module in graph.model.named_modules()}
    units = find_units(model, [x])
    assert units.layers
    for layer in units.layers:
        root = graph.model.get_submodule(layer.name)
        fn = tp.prune_linear_out_channels if isinstance(root, nn.Linear) else tp.prune_conv_out_channels
        theirs = {
            (names[dep.target.module], "out" in dep.handler.__name__): sorted(positions)
            for dep, positions in graph.get_pruning_group(root, fn, [1])
            if isinstance(dep.target.module, nn.Conv2d | nn.Linear)
        }
        ours = {
            (axis.module, axis.axis == 0): np.flatnonzero(axis.units == layer.units[1]).tolist()
            for axis in units.axes
            if axis.tensor == "weight"
            and (axis.units == layer.units[1]).any()
            and not isinstance(model.get_submodule(axis.module), nn.BatchNorm2d)
        }
        assert ours == theirs


SMALL: dict[str, dict[str, Any]] = {
    "acharya13": {"layers": [[4, 5], [6, 4]], "hidden": [8]},
    "cnn1d": {"layers": [[8, 5, 2]], "hidden": [8]},
    "cnn_gru": {"steps": 4, "layers": [[8, 3, 1]], "features": 6, "units": 8},
    "eegnet": {"filters": 4, "kernel": 16, "separable_filters": 8, "separable_kernel": 7, "pools": [2, 4]},
    "gru": {"units": 8, "stride": 2},
    "lstm": {"units": 8},
    "recurrent_conv": {"steps": 4, "grid": 4, "filters": [8, 8], "units": 8},
    "tcn": {"blocks": [[8, 3, 1, 2], [8, 3, 2], [6, 2, 4, 3]]},
    "transformer": {"width": 8, "heads": 4, "blocks": 1, "tokens": 8},
}


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("name", SMALL)
def test_every_family_prunes_with_and_without_context(name: str, context: int) -> None:
    torch.manual_seed(6)
    model = models.build(name, CHANNELS, LENGTH, CLASSES, SMALL[name], context).eval()
    x, facts = as_input(windows(32)), signal(32, context) if context else None
    inputs = [x] if facts is None else [x, facts]
    y = torch.arange(32) % CLASSES
    state = copy.deepcopy(model.state_dict())
    same, pruned = prune(model, 0.0, x, y, facts), prune(model, 0.5, x, y, facts)
    with torch.no_grad():
        assert torch.equal(same(*inputs), model(*inputs))
        assert pruned(*inputs).shape == (32, CLASSES)
    whole, part = (forms.lower(network, SHAPE, context) for network in (same, pruned))
    assert part.parameters < 0.85 * whole.parameters
    assert part.macs < 0.85 * whole.macs
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    pruned.train()
    nn.functional.cross_entropy(pruned(*inputs), y).backward()
    trained = [p for p in pruned.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.shape == p.shape for p in trained)


@pytest.mark.parametrize("labels", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_pruned_networks_are_smaller_and_still_work(name: str, labels: bool) -> None:
    x = as_input(windows(64))
    y = torch.arange(64) % CLASSES if labels else None
    before = lower(NETWORKS[name], SHAPE)
    pruned = prune(NETWORKS[name], 0.5, x, y)
    after = lower(pruned, SHAPE)
    assert after.macs < before.macs
    assert after.parameters < before.parameters
    assert after.layers[-1].shape == before.layers[-1].shape
    assert pruned(x).shape[:2] == (64, CLASSES)


@pytest.mark.parametrize(
    ("width", "left"), [(64, [60, 56, 52]), (15, [12, 8, 4]), (10, [8, 6, 4]), (5, [4, 3, 2]), (2, [1])]
)
def test_widths_that_are_left_suit_the_kernels(width: int, left: list[int]) -> None:
    model = nn.Sequential(
        nn.Conv2d(CHANNELS, width, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES)
    )
    cuts = Pruner(model, as_input(windows(4))).evenly()
    widths = [width - sum(len(cut.units) for cut in cuts[: end + 1]) for end in range(len(cuts))]
    assert widths[: len(left)] == left
    assert [round(width * (1 - cut.share), 6) for cut in cuts] == widths
    assert widths[-1] >= 1


@pytest.mark.parametrize("labels", [False, True])
def test_what_does_nothing_goes_first(labels: bool) -> None:
    """Half the channels of the first layer are zero, so that removing half changes nothing."""
    torch.manual_seed(0)
    conv, dense = nn.Conv2d(CHANNELS, 16, (1, 3)), nn.Linear(16, CLASSES)
    model = nn.Sequential(conv, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense).eval()
    dead = torch.randperm(16)[:8]
    assert conv.bias is not None
    conv.weight.data[dead], conv.bias.data[dead], dense.weight.data[:, dead] = 0, 0, 0
    x = as_input(windows(16))
    pruned: Any = prune(model, 0.5, x, torch.arange(16) % CLASSES if labels else None)
    assert pruned[0].out_channels == 8
    with torch.no_grad():
        torch.testing.assert_close(pruned(x), model(x))


def test_importance_is_the_squared_derivative_of_a_gate() -> None:
    """Against autograd through gates written into the network, over the same batches of 16 windows."""

    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.dense = nn.Conv2d(CHANNELS, 6, (1, 3)), nn.Linear(6, CLASSES)

        def forward(self, x: torch.Tensor, gates: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = torch.relu(self.conv(x)).mean((2, 3))
            logits: torch.Tensor = self.dense(features * gates)
            return logits

    class Plain(Gated):
        def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            features: torch.Tensor = torch.relu(self.conv(x)).mean((2, 3))
            logits: torch.Tensor = self.dense(features)
            return logits

    torch.manual_seed(0)
    model, gated = Plain(), Gated()
    gated.load_state_dict(model.state_dict())
    x, y = as_input(windows(32)), torch.arange(32) % CLASSES
    expected = np.zeros(6)
    for start in (0, 16):
        gates = torch.ones(6, requires_grad=True)
        part = slice(start, start + 16)
        nn.functional.cross_entropy(gated(x[part], gates), y[part]).backward()
        assert gates.grad is not None
        expected += gates.grad.numpy() ** 2 / 2
    pruner = Pruner(model, x, y)
    found = [cut.importance for cut in pruner.cuts["conv"]]
    pairs = np.sort(expected)[:4].reshape(2, 2).mean(axis=1)
    np.testing.assert_allclose(found, pairs, rtol=1e-4)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_out_of_range_is_a_sentence(fraction: float) -> None:
    with pytest.raises(InnervateError, match=r"cannot prune .* Give 0 to 0\.95"):
        prune(NETWORKS["plain"], fraction, as_input(windows(4)))


def test_a_model_that_cannot_be_traced_is_a_sentence() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(InnervateError, match=r"cannot be traced for pruning.*Branching"):
        prune(Branching(), 0.5, as_input(windows(4)))


def test_what_no_rule_knows_stays_whole() -> None:
    """A layer norm over channels and a product of two values: nothing round them can be removed."""
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(CHANNELS * LENGTH, 8), nn.LayerNorm(8), nn.Linear(8, CLASSES)
    )
    pruned = prune(model, 0.5, as_input(windows(4)))
    assert [tuple(p.shape) for p in pruned.parameters()] == [tuple(p.shape) for p in model.parameters()]


@pytest.mark.parametrize(
    "memory", [nn.LSTM(8, 6, 2, batch_first=True), nn.GRU(8, 6, bidirectional=True, batch_first=True)]
)
def test_a_memory_of_several_layers_or_directions_stays_whole(memory: nn.LSTM | nn.GRU) -> None:
    class Deep(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.memory = nn.Conv2d(CHANNELS, 8, 1), memory
            self.wide, self.dense = nn.Linear(6 * (1 + memory.bidirectional), 8), nn.Linear(8, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            output, _ = self.memory(self.conv(x).flatten(2).transpose(1, 2))
            logits: torch.Tensor = self.dense(self.wide(output[:, -1]))
            return logits

    assert [layer.name for layer in find_units(Deep(), [torch.zeros(2, *SHAPE)]).layers] == ["wide"]


def test_a_width_written_into_forward_is_a_sentence() -> None:
    class Stated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.dense = nn.Conv2d(CHANNELS, 8, 1), nn.Linear(8 * LENGTH, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.dense(self.conv(x).reshape(-1, 8 * LENGTH))
            return logits

    with pytest.raises(InnervateError, match=r"does not run with narrower layers.*widths"):
        prune(Stated(), 0.5, as_input(windows(4)))
