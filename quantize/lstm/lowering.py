"""nn.LSTM as a layer of a lowered network, or why it cannot be one."""

from typing import Any

import torch

from edge.errors import InnervateError
from quantize.lstm.layer import Lstm
from quantize.network import Shape


def lstm_layers(module: Any, path: str, shape: Shape) -> tuple[Lstm]:
    """Copy the weights of an LSTM over an input of `shape` (channels, 1, steps)."""
    refusals = (
        (
            module.num_layers != 1,
            f"an LSTM of {module.num_layers} layers",
            "Use num_layers=1, and one nn.LSTM after another",
        ),
        (module.bidirectional, "a bidirectional LSTM", "Use bidirectional=False, with more units"),
        (module.proj_size > 0, "an LSTM with a projection", "Use proj_size=0, and Linear after it"),
        (not module.batch_first, "an LSTM with time first", "Use batch_first=True on [N, T, C]"),
    )
    for refused, what, fix in refusals:
        if refused:
            raise InnervateError(f"{what} has no int8 form here", path, fix)
    units, steps = module.hidden_size, shape[2]
    bias = module.bias_ih_l0 + module.bias_hh_l0 if module.bias else torch.zeros(4 * units)
    weight, recurrent_weight = module.weight_ih_l0.detach().clone(), module.weight_hh_l0.detach().clone()
    return (Lstm(path, (), (units, 1, steps), weight, recurrent_weight, bias.detach().clone()),)
