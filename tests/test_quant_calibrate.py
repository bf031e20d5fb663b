"""Activation scales, equalized channels, and which windows they were chosen on."""

import copy
import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from quantize.calibrate import METHODS, best_scale, calibrate, in_float, limits, set_scale, trained_quantizers
from quantize.equalize import MAX_FACTOR, equalize
from quantize.lower import lower
from quantize.network import Network
from quantize.qat import QuantNetwork
from quantize.recipe import Recipe, calibration_set, chosen_windows, prepare
from tests.quant_models import CHANNELS, CLASSES, SHAPE, as_input, divergence, networks, window_set, windows

NETWORKS = networks()


def lowered(name: str) -> Network:
    network = lower(NETWORKS[name], SHAPE)
    assert isinstance(network, Network)
    return network


def squared_error(values: np.ndarray, scale: float, least: int, greatest: int) -> float:  # type: ignore[type-arg]
    return float(np.mean((np.clip(np.rint(values / scale), least, greatest) * scale - values) ** 2))


@pytest.mark.parametrize(("least", "greatest"), [(-128, 127), (0, 255)])
@pytest.mark.parametrize("heavy", [False, True])
def test_the_scale_has_the_least_squared_error(least: int, greatest: int, heavy: bool) -> None:
    rng = np.random.default_rng(1)
    values = rng.standard_t(2, 4000) if heavy else rng.normal(size=4000)
    values = np.maximum(values, 0) if least == 0 else values
    top = float(np.abs(values).max()) / min(greatest, -least or greatest)
    found = best_scale(torch.from_numpy(values), least, greatest)
    best = min(squared_error(values, scale, least, greatest) for scale in np.linspace(top / 200, top, 2000))
    assert squared_error(values, found, least, greatest) <= 1.1 * best
    assert squared_error(values, found, least, greatest) <= squared_error(values, top, least, greatest)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=50), st.floats(1e-3, 1e3))
def test_the_scale_grows_with_the_values(numbers: list[float], factor: float) -> None:
    values = torch.tensor(numbers, dtype=torch.float64)
    one, other = best_scale(values, -128, 127), best_scale(values * factor, -128, 127)
    assert other == pytest.approx(one * factor, rel=0.2 if one else None)


def test_of_nothing_but_zeros_there_is_no_scale() -> None:
    assert best_scale(torch.zeros(5), 0, 255) == 0


def test_a_scale_that_is_set_is_what_the_quantizer_rounds_with() -> None:
    network = QuantNetwork(lowered("plain"))
    calibrate(network, as_input(windows(64)))
    quantizers = list(trained_quantizers(network).values())
    assert {limits(quantizer) for quantizer in quantizers} == {(0, 255), (-128, 127)}
    for quantizer in quantizers:
        set_scale(quantizer, 0.125)
    with torch.no_grad():
        values = network.values(as_input(windows(4)))
    assert all(float(values[index].scale) == 0.125 for index in (0, 1, 3, 4))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", NETWORKS)
def test_both_methods_come_close_to_the_float_network(name: str, method: str) -> None:
    network = QuantNetwork(lowered(name))
    calibrate(network, as_input(windows(512, seed=1)), method=method)  # type: ignore[arg-type]
    assert divergence(network, NETWORKS[name], windows(200, seed=2)) < 1e-5


def test_outliers_move_the_least_squared_error_less_than_the_largest_value() -> None:
    """One window in 64 is a hundred times as large: no rounding error is worth all the others' resolution."""
    model = nn.Sequential(nn.Conv2d(CHANNELS, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = QuantNetwork(lower(model.eval(), SHAPE))
    x = as_input(windows(2560, seed=1)) / 100
    x[::640] *= 100
    calibrate(network, x, method="mse")
    (quantizer, *_) = trained_quantizers(network).values()
    with torch.no_grad():
        seen = model[0](x).reshape(-1).double().numpy()
    scale = float(quantizer.scaling_impl.value.detach()) / 128
    whole = float(np.abs(seen).max()) / 127
    others = [squared_error(seen, whole * share, -128, 127) for share in (0.25, 0.5, 1)]
    assert squared_error(seen, scale, -128, 127) <= 1.05 * min(others)


@pytest.mark.parametrize("name", NETWORKS)
def test_equalized_networks_compute_the_same(name: str) -> None:
    network, x = lowered(name), as_input(windows(200, seed=3))
    plain = QuantNetwork(network)
    with in_float(plain):
        equalized = QuantNetwork(equalize(network, plain.values(x)))
        with in_float(equalized):
            torch.testing.assert_close(equalized(x), plain(x), rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(plain(x), NETWORKS[name](x), rtol=1e-4, atol=1e-5)


def uneven() -> nn.Module:
    """A network whose channels span three decades, which the layers after them undo; one is always zero."""
    torch.manual_seed(0)
    c, wide = CHANNELS, 16
    model = nn.Sequential(
        nn.Conv2d(c, wide, (1, 3)), nn.ReLU(), nn.Conv2d(wide, wide, (1, 3), groups=wide), nn.ReLU(),
        nn.MaxPool2d((1, 2)), nn.Conv2d(wide, 8, 1), nn.ReLU(), nn.AvgPool2d((1, 4)), nn.Flatten(),
        nn.Linear(8 * 7, CLASSES),
    ).eval()  # fmt: skip
    first, second = model[0], model[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(second, nn.Conv2d)
    assert first.bias is not None
    factor = torch.logspace(0, -3, wide)
    with torch.no_grad():
        first.weight *= factor.reshape(-1, 1, 1, 1)
        first.bias *= factor
        second.weight /= factor.reshape(-1, 1, 1, 1)
        first.weight[3] = 0
        first.bias[3] = -1
    return model


def test_equalization_mends_channels_of_unlike_range() -> None:
    model, x = uneven(), as_input(windows(512, seed=1))
    network = lower(model, SHAPE)
    assert isinstance(network, Network)
    plain = QuantNetwork(network)
    with in_float(plain):
        values = plain.values(x)
    equalized = equalize(network, values)
    losses = {}
    for name, one in (("plain", network), ("equalized", equalized)):
        form = QuantNetwork(one)
        calibrate(form, x)
        losses[name] = divergence(form, model, windows(300, seed=2))
    assert losses["equalized"] < losses["plain"] / 20
    before, after = network.layers[0], equalized.layers[0]
    ratio = (after.bias / before.bias)[before.bias != 0]  # type: ignore[union-attr]
    assert (ratio <= 1.001 * MAX_FACTOR).all()
    assert (ratio >= 0.999 / MAX_FACTOR).all()


def test_a_value_with_two_readers_is_left_alone() -> None:
    network, x = lowered("residual"), as_input(windows(64))
    form = QuantNetwork(network)
    with in_float(form):
        equalized = equalize(network, form.values(x))
    for before, after in zip(network.layers, equalized.layers, strict=True):
        if before.name in ("0", "2.conv", "3.conv"):  # two read the first; sums follow the others
            assert torch.equal(before.weight, after.weight)  # type: ignore[union-attr]


def test_the_calibration_set_is_known_by_its_hash() -> None:
    x = windows(20, seed=4)
    context = np.array([[1.0, -0.5], [0.25, 3.96875]] * 10, np.float32)
    found = calibration_set(window_set(x, context))
    stored = np.array([[32, -16], [8, 127]] * 10, np.int64)
    assert found.windows == 20
    assert found.recordings == ("one",)
    assert calibration_set(window_set(x)).sha256 == hashlib.sha256(x.tobytes()).hexdigest()
    assert found.sha256 == hashlib.sha256(x.tobytes() + stored.astype(np.int8).tobytes()).hexdigest()


def test_preparing_draws_the_same_windows_for_the_same_seed() -> None:
    network, held = lowered("plain"), window_set(windows(5000, seed=5))
    one, same, other = (prepare(network, Recipe("ptq"), held, seed) for seed in (1, 1, 2))
    assert one.calibration == same.calibration
    assert one.calibration.sha256 != other.calibration.sha256
    assert one.calibration.windows == 4096
    form = copy.deepcopy(one.form)
    chosen = chosen_windows(held, form, 1)
    assert len(np.unique(chosen)) == len(chosen) == 4096
