"""An LSTM as a layer of a lowered network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from quantize.graph import QuantLayer, Tensor
from quantize.lstm.integers import read_lstm
from quantize.lstm.module import QuantLstm
from quantize.network import Fused

if TYPE_CHECKING:
    from quantize.builder import GraphBuilder


@dataclass(frozen=True)
class Lstm(Fused):
    """Long short-term memory along W, from a state of zero; its output is the hidden state of each step.

    Gates are in torch's order input, forget, cell, output: `weight` float32 [4 * units, inputs],
    `recurrent_weight` float32 [4 * units, units], `bias` float32 [4 * units]. `shape` is (units, 1, steps).
    """

    weight: torch.Tensor
    recurrent_weight: torch.Tensor
    bias: torch.Tensor

    sequence: ClassVar[bool] = True

    @property
    def macs(self) -> int:
        """Of all steps."""
        return self.shape[2] * (self.weight.numel() + self.recurrent_weight.numel())

    @property
    def parameters(self) -> int:
        """Of the four gates."""
        return self.weight.numel() + self.recurrent_weight.numel() + self.bias.numel()

    def module(self, percentile: float) -> nn.Module:
        """Make the fake-quantized LSTM."""
        return QuantLstm(self.weight, self.recurrent_weight, self.bias, percentile)

    def write(self, graph: "GraphBuilder", module: Any, tensor: int, source: Any, output: Any) -> int:
        """Add the fused operator with its two states."""
        lstm = read_lstm(module, self.name, source)
        steps = graph.value(self.name, (1, self.shape[2], self.shape[0]), output)
        shown, state = graph.tensors[steps], (1, self.shape[0])
        hidden = graph.add(Tensor(f"{self.name}.hidden", state, shown.scale, shown.zero_point, variable=True))
        cell = graph.add(Tensor(f"{self.name}.cell", state, lstm.cell_scale, 0, "int16", variable=True))
        graph.layers.append(QuantLayer("lstm", self.name, (tensor, hidden, cell), steps, lstm=lstm))
        return steps
