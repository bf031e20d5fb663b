"""Ratios of signal to quantization noise, against the integers that TFLite's reference kernels compute."""

import numpy as np
import pytest
import torch
from torch import nn

from quantize import forms
from quantize.calibrate import calibrate, set_scale, trained_quantizers
from quantize.forms import read_graph
from quantize.lower import lower
from quantize.noise import Noise, measure_noise
from quantize.qat import QuantNetwork
from quantize.tflite_writer import write
from tests.quant_models import SHAPE, as_input, networks, quantized, tensors, windows
from train.models import build

NETWORKS = networks()
X = windows(200, seed=6)


def noise_of(model: nn.Module, form: QuantNetwork) -> Noise:
    return measure_noise(QuantNetwork(lower(model, SHAPE)), form, as_input(X))


def decibels(exact: np.ndarray, rounded: np.ndarray) -> float:  # type: ignore[type-arg]
    exact = exact.astype(np.float64)
    return float(10 * np.log10((exact**2).sum() / ((exact - rounded) ** 2).sum()))


def test_ratios_at_the_outputs_are_those_of_the_file() -> None:
    """A plain chain, ReLU fused: torch's own values against what the kernels' integers stand for."""
    model = NETWORKS["plain"]
    form = quantized(model)
    graph = read_graph(form)
    places = {tensor.name: place for place, tensor in enumerate(graph.tensors)}
    runs = tensors(write(graph), X, "BUILTIN_REF")
    found = {one.layer: one.output_db for one in noise_of(model, form).layers}
    with torch.no_grad():
        value, exact = as_input(X), {}
        for name, module in model.named_children():
            value = module(value)
            exact[name] = value.numpy()
    for layer, after in (("0", "2"), ("3", "5"), ("9", "10"), ("11", "11")):
        tensor = graph.tensors[places[layer]]
        integers = np.stack([run[places[layer]][0] for run in runs]).astype(np.float64)
        rounded = tensor.scale * (integers - tensor.zero_point)
        if rounded.ndim == 4:
            rounded = rounded.transpose(0, 3, 1, 2)
        ratio = decibels(exact[after].reshape(rounded.shape), rounded)
        assert found[layer] == pytest.approx(ratio, abs=0.05)
        assert 30 < ratio < 60


@pytest.mark.parametrize("hurt", ["0", "1", "4"])
def test_the_layer_that_hurts_is_named_and_no_other_blamed(hurt: str) -> None:
    """An output of 11 steps; no average stands after it, which would round with the same coarse steps."""
    model = NETWORKS["dilated, maximum, flat"]
    form = quantized(model)
    before = {one.layer: one.alone_db for one in noise_of(model, form).layers}
    index = next(i for i, layer in enumerate(form.network.layers) if layer.name == hurt)
    path = f"activations.{index}.act_quant.fused_activation_quant_proxy.tensor_quant"
    quantizer = trained_quantizers(form)[path]
    with torch.no_grad():
        scale = float(form.values(as_input(X))[index].scale)
    set_scale(quantizer, scale * 24)
    noise = noise_of(model, form)
    after = {one.layer: one.alone_db for one in noise.layers}
    assert noise.ranked[0].layer == hurt
    for layer, ratio in after.items():
        if layer == hurt:
            assert ratio < before[layer] - 12  # type: ignore[operator]
        else:
            assert ratio == pytest.approx(before[layer], abs=1.0)


def test_the_last_layer_alone_is_all_its_own_noise() -> None:
    """With all else in float, the logits of a network of one layer differ by that layer's noise only."""
    torch.manual_seed(1)
    model = nn.Sequential(nn.Flatten(), nn.Linear(240, 5)).eval()
    form = quantized(model)
    (only,) = noise_of(model, form).layers
    assert only.alone_db == pytest.approx(only.output_db, abs=0.3)


def test_pooling_of_the_largest_adds_no_noise() -> None:
    noise = noise_of(NETWORKS["padded"], quantized(NETWORKS["padded"]))
    by_name = {one.layer: one.alone_db for one in noise.layers}
    assert by_name["5"] is None
    assert noise.ranked[-1].layer == "5"


@pytest.mark.parametrize("context", [0, 2])
@pytest.mark.parametrize("family", ["lstm", "gru", "cnn_gru", "transformer", "tcn", "eegnet"])
def test_every_family_has_a_table(family: str, context: int) -> None:
    torch.manual_seed(2)
    model = build(family, 4, 64, 3, {}, context).eval()
    network = forms.lower(model, (4, 1, 64), context)
    form, trained = forms.quantized(network), forms.quantized(network)
    given = [as_input(windows(64, 7, (64, 4)))]
    if context:
        given.append((torch.arange(128).reshape(64, 2) % 96 - 48) / 32)
    calibrate(form, *given)
    noise = measure_noise(trained, form, *given)
    assert len({one.layer for one in noise.layers}) == len(noise.layers) > 1
    last = noise.layers[-1]
    assert last.output_db is not None
    assert last.output_db > 20
    with torch.no_grad():
        wanted, said = model(*given).numpy(), form(*given).numpy()
    assert last.output_db == pytest.approx(decibels(wanted, said), abs=0.1)


def test_measuring_changes_nothing() -> None:
    model = NETWORKS["plain"]
    form = quantized(model)
    state = {name: value.clone() for name, value in form.state_dict().items()}
    first, second = noise_of(model, form), noise_of(model, form)
    assert first == second
    assert all(torch.equal(value, state[name]) for name, value in form.state_dict().items())
