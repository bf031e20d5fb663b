"""The networks: what the papers say, and the same integers from Brevitas, TFLite and generated C."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from quantize.c99 import build_shared
from quantize.distil import distil
from quantize.extract import read_graph
from quantize.lower import lower
from quantize.pruning import prune
from quantize.tflite_writer import write
from quantize.verify import run_all, softmax, to_int8
from tests.quant_models import as_input, quantized, tensors, windows
from tests.test_quant_tflite import stored
from train import models

CHANNELS, LENGTH, CLASSES = 3, 64, 4
SHAPE = (CHANNELS, 1, LENGTH)
SMALL: dict[str, dict[str, Any]] = {
    "acharya13": {"layers": [[4, 5], [6, 4]], "hidden": [8]},
    "eegnet": {"filters": 4, "kernel": 16, "separable_filters": 8, "separable_kernel": 7, "pools": [2, 4]},
    "tcn": {"blocks": [[8, 3, 1, 2], [8, 3, 2], [6, 2, 4, 3]]},
    "transformer": {"width": 16, "heads": 4, "blocks": 1, "tokens": 16},
}


def loud_and_quiet(count: int, seed: int) -> NDArray[np.int8]:
    """Random windows [count, LENGTH, CHANNELS] that networks tell apart."""
    loudness = np.linspace(0.02, 1.5, count)[:, None, None]
    noise = windows(count, seed, (LENGTH, CHANNELS))
    return np.clip(np.rint(noise * loudness), -128, 127).astype(np.int8)


def network(name: str, seed: int = 0) -> nn.Module:
    """A small one; its batch norms have seen windows, so that folding matters and outputs differ."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = models.build(name, CHANNELS, LENGTH, CLASSES, SMALL[name])
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.data.uniform_(0.5, 1.5)
                module.bias.data.uniform_(-0.3, 0.3)
        with torch.no_grad():
            for _ in range(30):
                model.train()(as_input(loud_and_quiet(64, seed)))
            assert isinstance(model, nn.Sequential)
            assert isinstance(model[-1], nn.Linear)
            model[-1].weight.mul_(8)
    return model.eval()


@pytest.mark.parametrize("name", SMALL)
def test_each_layer_has_the_integers_of_the_reference_kernels(name: str) -> None:
    net = quantized(network(name), SHAPE)
    graph, x = read_graph(net), loud_and_quiet(60, 3)
    ours, values = stored(net, graph, x), tensors(write(graph), x, "BUILTIN_REF")
    index = {tensor.name: number for number, tensor in enumerate(graph.tensors)}
    for number, layer in enumerate(net.network.layers):
        theirs = np.concatenate([value[index[layer.name]] for value in values]).astype(int)
        assert np.array_equal(theirs.reshape(ours[number + 1].shape), ours[number + 1]), layer.name


@pytest.mark.parametrize("name", SMALL)
def test_kernel_sets_and_generated_c_agree_after_training(name: str) -> None:
    teacher = network(name)
    net = quantized(teacher, SHAPE)
    x = loud_and_quiet(60, 5)
    distil(net, teacher, loud_and_quiet(128, 6), 20, 32, 1e-3, 0)
    tflite = write(read_graph(net))
    reference = run_all(TfliteEngine(tflite, "reference"), x)
    np.testing.assert_array_equal(run_all(NativeEngine(build_shared(tflite)), x), reference)
    with torch.no_grad():
        fake = to_int8(softmax(net(as_input(x)).numpy()))
        exact = softmax(teacher(as_input(x)).numpy())
    assert np.abs(reference.astype(int) - fake).max() <= 2  # steps of the softmax alone
    assert np.abs((reference.astype(int) + 128) / 256 - exact).max() < 0.1
    assert exact.std(axis=0).max() > 0.02  # the outputs do depend on the window


@pytest.mark.parametrize("name", SMALL)
def test_channels_can_be_pruned(name: str) -> None:
    before = network(name)
    x = as_input(loud_and_quiet(16, 7))
    after = prune(before, 0.4, x, torch.arange(16) % CLASSES)
    assert lower(after, SHAPE).macs < lower(before, SHAPE).macs
    assert after(x).shape == (16, CLASSES)


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("acharya13", "conv max conv max dense dense softmax"),
        ("eegnet", "conv depthwise average depthwise conv average dense softmax"),
    ],
)
def test_no_operator_is_there_for_layout_or_padding(name: str, kinds: str) -> None:
    graph = read_graph(quantized(network(name), SHAPE))
    assert " ".join(layer.kind for layer in graph.layers) == kinds


def test_acharya13_is_the_table_of_the_paper() -> None:
    layers = lower(models.build("acharya13", 1, 4097, 3, {}), (1, 1, 4097)).layers
    assert [(layer.shape[0], layer.shape[-1]) for layer in layers[:10]] == [
        (4, 4092), (4, 2046), (4, 2042), (4, 1021), (10, 1018),
        (10, 509), (10, 506), (10, 253), (15, 250), (15, 125),
    ]  # fmt: skip
    assert [layer.shape for layer in layers[10:]] == [(50,), (20,), (3,)]


class PaperEegnet(nn.Module):
    """EEGNet-8,2 as Lawhern et al. draw it, on [N, 1, C, T]; ReLU for ELU."""

    def __init__(self, channels: int, length: int, classes: int) -> None:
        super().__init__()
        self.temporal = nn.Conv2d(1, 8, (1, 64), bias=False)
        self.spatial = nn.Conv2d(8, 16, (channels, 1), groups=8, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(8), nn.BatchNorm2d(16), nn.BatchNorm2d(16)])
        self.depthwise = nn.Conv2d(16, 16, (1, 16), groups=16, bias=False)
        self.pointwise = nn.Conv2d(16, 16, 1, bias=False)
        self.dense = nn.Linear(16 * (length // 32), classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norms[0](self.temporal(nn.functional.pad(x, (31, 32))))
        x = nn.functional.avg_pool2d(torch.relu(self.norms[1](self.spatial(x))), (1, 4))
        x = self.pointwise(self.depthwise(nn.functional.pad(x, (7, 8))))
        x = nn.functional.avg_pool2d(torch.relu(self.norms[2](x)), (1, 8))
        logits: torch.Tensor = self.dense(x.flatten(1))
        return logits


def test_eegnet_holds_the_network_of_the_paper() -> None:
    """With its weights, and equal temporal filters for the two sums of each: the same logits."""
    torch.manual_seed(0)
    paper = PaperEegnet(5, 128, 4).eval()
    ours = models.build("eegnet", 5, 128, 4, {})
    convolutions = [module for module in ours.modules() if isinstance(module, nn.Conv2d)]
    norms = [module for module in ours.modules() if isinstance(module, nn.BatchNorm2d)]
    spatial, temporal, depthwise, pointwise = convolutions
    first = paper.norms[0]
    assert isinstance(first, nn.BatchNorm2d)
    assert first.running_var is not None
    first.running_var.uniform_(0.5, 2.0)
    gain = torch.rsqrt(first.running_var + first.eps)
    with torch.no_grad():
        spatial.weight.copy_(paper.spatial.weight[:, 0, :, 0, None, None])
        temporal.weight.copy_((paper.temporal.weight * gain[:, None, None, None]).repeat_interleave(2, dim=0))
        depthwise.weight.copy_(paper.depthwise.weight)
        pointwise.weight.copy_(paper.pointwise.weight)
    for norm, theirs in zip(norms, paper.norms[1:], strict=True):
        assert norm.running_mean is not None
        norm.running_mean.normal_(0, 0.1)
        theirs.load_state_dict(norm.state_dict())
    assert isinstance(ours, nn.Sequential)
    ours[-1].load_state_dict(paper.dense.state_dict())
    x = torch.randn(6, 5, 1, 128)
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(x), paper(x.transpose(1, 2)), rtol=1e-4, atol=1e-5)


def test_eegnet_counts_its_multiplications() -> None:
    eegnet = lower(models.build("eegnet", 8, 256, 4, {}), (8, 1, 256))
    assert eegnet.macs == 256 * 16 * (8 + 64) + 64 * 16 * (16 + 16) + 16 * 8 * 4


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_tcn_looks_back_as_far_as_it_says_and_never_ahead(blocks: int) -> None:
    model = models.build("tcn", 2, 40, 3, {"blocks": [[4, 3, 2**n] for n in range(blocks)]})
    x = torch.randn(1, 2, 1, 40, dtype=torch.float64, requires_grad=True)
    at = 30
    assert isinstance(model, nn.Sequential)
    for block in model.double().modules():
        if isinstance(block, nn.Conv2d):
            nn.init.uniform_(block.weight, 0.1, 1.0)  # so that ReLU stops nothing on the way
            nn.init.ones_(block.bias) if block.bias is not None else None
    positive = nn.functional.softplus(x)
    model[:blocks](positive)[0, :, 0, at].sum().backward()
    assert x.grad is not None
    reached = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 2))).flatten().tolist()
    back = sum(2 * 2**n * 2 for n in range(blocks))
    assert reached == list(range(at - back, at + 1))


@pytest.mark.parametrize(
    ("name", "params"), [("acharya13", {}), ("eegnet", {}), ("tcn", {"blocks": [[4, 3, 1, 20]]})]
)
def test_a_window_that_is_too_short_is_a_sentence(name: str, params: dict[str, object]) -> None:
    with pytest.raises(InnervateError, match="is too short for its"):
        models.build(name, 2, 15, 3, params)
