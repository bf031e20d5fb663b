"""LSTM: layers that compute what torch's module computes, and what has no int8 form is named."""

import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from edge.errors import InnervateError
from quantize.axes import IMAGE, SEQUENCE, after_view
from quantize.lower import lower
from quantize.lstm.layer import Lstm
from quantize.network import Dense, Last
from tests.lstm_models import CHANNELS, CLASSES, FORMS, SHAPE, STEPS, UNITS, image, made, sequence, signals
from tests.quant_models import as_input
from train.models import build

REFUSED_FORMS: dict[str, tuple[Any, str]] = {
    "not a sequence": (
        lambda m, x: m.head(m.lstm(x.transpose(1, 3).squeeze(2).transpose(0, 1))[0][:, -1]),
        r"the input of LSTM is not [N, T, C] (lstm). Give it x.squeeze(2).permute(0, 2, 1)",
    ),
    "initial state": (
        lambda m, x: m.head(m.lstm(sequence(x), (torch.zeros(1, 2, UNITS),) * 2)[0][:, -1]),
        "LSTM with more than its input has no int8 form here (lstm)",
    ),
    "cell state": (
        lambda m, x: m.head(m.lstm(sequence(x))[1][1][-1]),
        "the cell state of an LSTM has no int8 form here",
    ),
    "a step in the middle": (
        lambda m, x: m.head(m.lstm(sequence(x))[0][:, 3]),
        "the operation getitem has no int8 form here",
    ),
    "all outputs, steps first": (
        lambda m, x: m.head(m.lstm(sequence(x))[0].flatten(1)[:, :UNITS]),
        "axes in another order than [N, C, 1, T] have no int8 form here",
    ),
}


def float_lstm(layer: Lstm, x: torch.Tensor) -> torch.Tensor:
    """Torch's own, with the weights that lowering kept."""
    oracle = nn.LSTM(layer.weight.shape[1], layer.shape[0], batch_first=True)
    with torch.no_grad():
        oracle.get_parameter("weight_ih_l0").copy_(layer.weight)
        oracle.get_parameter("weight_hh_l0").copy_(layer.recurrent_weight)
        oracle.get_parameter("bias_ih_l0").copy_(layer.bias)
        oracle.get_parameter("bias_hh_l0").zero_()
    return image(oracle(sequence(x))[0])


@pytest.mark.parametrize("form", FORMS)
def test_layers_compute_what_the_module_computes(form: str) -> None:
    model, values = made(form), [as_input(signals(20))]
    with torch.no_grad():
        for layer in lower(model, SHAPE).layers:
            source = values[layer.inputs[0] + 1]
            if isinstance(layer, Lstm):
                values.append(float_lstm(layer, source))
            elif isinstance(layer, Last):
                values.append(source[:, :, 0, -1])
            elif isinstance(layer, Dense):
                values.append(F.linear(source.flatten(1), layer.weight, layer.bias))
            else:
                values.append(model.pool(source) if layer.name == "pool" else torch.relu(model.conv(source)))
            assert values[-1].shape[1:] == layer.shape
        torch.testing.assert_close(values[-1], model(values[0]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", REFUSED_FORMS)
def test_what_has_no_int8_form_is_refused(form: str) -> None:
    forward, message = REFUSED_FORMS[form]
    FORMS[form] = forward
    try:
        with pytest.raises(InnervateError, match=re.escape(message)):
            lower(made(form), (CHANNELS, 1, CHANNELS))
    finally:
        del FORMS[form]


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"num_layers": 2}, "an LSTM of 2 layers has no int8 form here (lstm). Use num_layers=1"),
        ({"bidirectional": True}, "a bidirectional LSTM has no int8 form here (lstm)"),
        ({"batch_first": False}, "an LSTM with time first has no int8 form here (lstm)"),
    ],
)
def test_variants_are_refused_by_their_path(setting: dict[str, Any], message: str) -> None:
    model = made(**setting)
    model.head = nn.Linear(UNITS * (2 if "bidirectional" in setting else 1), CLASSES)
    with pytest.raises(InnervateError, match=re.escape(message)):
        lower(model, SHAPE)


class Gru(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.memory = nn.GRU(CHANNELS, UNITS, batch_first=True)
        self.head = nn.Linear(UNITS, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.head(self.memory(sequence(x))[0][:, -1])
        return result


def test_another_memory_is_refused_with_what_to_use() -> None:
    with pytest.raises(InnervateError, match=r"GRU has no int8 form here \(memory\)\. Use LSTM"):
        lower(Gru().eval(), SHAPE)


def test_macs_and_parameters_are_those_of_the_formula() -> None:
    network = lower(build("lstm", CHANNELS, STEPS, CLASSES, {}), SHAPE)
    assert network.macs == STEPS * 4 * UNITS * (CHANNELS + UNITS) + UNITS * CLASSES
    assert network.parameters == 4 * UNITS * (CHANNELS + UNITS + 1) + (UNITS + 1) * CLASSES


@given(st.permutations(range(4)), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_views_name_the_axes_that_torch_gives(order: list[int], n: int, c: int, w: int) -> None:
    """Each axis has its own extent, by which torch's result tells which it is."""
    sizes = {"N": n + 1, "C": c + 10, "H": 1, "W": w + 20}
    x = torch.zeros([sizes[name] for name in IMAGE])
    axes = after_view("permute", order, IMAGE, x.shape)
    assert axes is not None
    moved = x.permute(order)
    assert [sizes[name] for name in axes] == list(moved.shape)
    squeezed = after_view("squeeze", [axes.index("H") - 4], axes, moved.shape)
    assert squeezed is not None
    assert [sizes[name] for name in squeezed] == list(moved.squeeze(axes.index("H")).shape)
    swapped = after_view("transpose", [0, -1], squeezed, moved.squeeze(axes.index("H")).shape)
    assert swapped == (squeezed[2], squeezed[1], squeezed[0])


def test_no_axis_of_more_than_one_value_is_dropped() -> None:
    assert after_view("squeeze", [1], SEQUENCE, (2, 50, 8)) is None
    assert after_view("getitem", [(slice(None), 3)], SEQUENCE, (2, 50, 8)) is None
    assert after_view("getitem", [(slice(None), slice(0, 3))], SEQUENCE, (2, 50, 8)) is None
    assert after_view("unsqueeze", [2], IMAGE, (2, 8, 1, 50)) is None


def test_the_network_refuses_a_step_longer_than_its_window() -> None:
    with pytest.raises(InnervateError, match="cannot be built: a window of 8 samples has no step of 9"):
        build("lstm", CHANNELS, 8, CLASSES, {"stride": 9})
