"""The fake-quantized LSTM: computes what TFLite's fused int8 operator with 16-bit cell state computes.

The arithmetic is that of TFLite's `EvalInteger8x8_16` (tensorflow/lite/kernels/lstm_eval.cc): the sums of a
gate are rounded to 16 bits of scale 2^-12, for the input and for the hidden state apart; sigmoid and tanh
give 16 bits of scale 2^-15; the cell state has 16 bits of a scale that is a power of two; the hidden state
has 8. Integers are held in floats: sums in float32, exact below 2^24, what scales and rounds them in float64.
"""

import math
from typing import Any, Final

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from brevitas.quant import Int8WeightPerTensorFloat, Int32Bias
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.lstm.activations import sigmoid_table, tanh_table
from quantize.lstm.rounding import half_away, straight_through, twice_rounded
from quantize.quantizers import MIN_WEIGHT_RANGE, activation

GATE_SCALE: Final = 2.0**-12
GATED_SCALE: Final = 2.0**-15
"""Of what sigmoid and tanh give."""
NUDGE: Final = 1 + 2.0**-40
"""Brevitas rounds halves to even, TFLite away from zero."""
INT16_MAX: Final = 2**15 - 1
MIN_CELL_BITS: Final = 3
"""Integer bits of the cell state: with fewer its scale would be finer than anything that reads it."""
MAX_CELL_BITS: Final = 6
"""The most that TFLite's tanh takes."""


class QuantLstm(nn.Module):
    """LSTM from [N, C, 1, T] to the hidden states [N, units, 1, T].

    Args:
        weight: float32 [4 * units, inputs], gates input, forget, cell, output; copied, like the others.
        recurrent_weight: float32 [4 * units, units].
        bias: float32 [4 * units].
        percentile: calibration percentile of the hidden state.

    Attributes:
        carried: hidden state and cell state [N, units] that the next call goes on from, and then leaves;
            zeros where empty. None begins each call with zeros.
    """

    def __init__(
        self, weight: torch.Tensor, recurrent_weight: torch.Tensor, bias: torch.Tensor, percentile: float
    ) -> None:
        super().__init__()
        self.kernels: Any = nn.ModuleList()
        self.recurrent_kernels: Any = nn.ModuleList()
        self.hidden = activation(relu=False, percentile=percentile)
        self.carried: list[torch.Tensor] | None = None
        self.cell_range: torch.Tensor
        self.register_buffer("cell_range", torch.zeros(()))
        for kernel, recurrent, offset in zip(
            weight.chunk(4), recurrent_weight.chunk(4), bias.chunk(4), strict=True
        ):
            self.kernels.append(_kernel(kernel, offset))
            self.recurrent_kernels.append(_kernel(recurrent, None))

    @property
    def cell_bits(self) -> int:
        """Integer bits of the cell state: enough for what calibration saw."""
        seen = float(self.cell_range)
        return min(max(math.ceil(math.log2(seen)) if seen else 0, MIN_CELL_BITS), MAX_CELL_BITS)

    @property
    def cell_scale(self) -> float:
        """Real value of one step of the cell state."""
        return float(2.0 ** (self.cell_bits - 15))

    def forward(self, x: Any) -> Any:
        """Hidden states [N, units, 1, T]; of a plain tensor, as in calibration, without rounding."""
        if not isinstance(x, IntQuantTensor):
            return self._calibrate(x.squeeze(2).permute(2, 0, 1))
        weights = [kernel.quant_weight() for kernel in self.kernels]
        biases = [
            kernel.bias_quant(kernel.bias, x, weight)
            for kernel, weight in zip(self.kernels, weights, strict=True)
        ]
        steps = _integers(x).squeeze(2).permute(2, 0, 1)
        sums = F.linear(steps, _joined(weights), _joined(biases))
        from_input = _saturated(twice_rounded(sums, _multipliers(weights, x.scale)))
        recurrent = [kernel.quant_weight() for kernel in self.recurrent_kernels]
        recurrent_weight = _joined(recurrent)
        zeros = steps.new_zeros(steps.shape[1], recurrent_weight.shape[1])
        before, cell = self.carried or (zeros, zeros.double())
        hidden = self.hidden(before)
        multipliers = _multipliers(recurrent, hidden.scale)
        outputs = []
        for step in from_input:
            sums = F.linear(_integers(hidden).to(steps.dtype), recurrent_weight)
            from_hidden = _saturated(twice_rounded(sums, multipliers))
            i, f, g, o = _saturated(step + from_hidden).chunk(4, dim=1)
            kept = _rounded(self._sigmoid(f) * cell * GATED_SCALE)
            new = _rounded(self._sigmoid(i) * self._tanh(g, GATE_SCALE) * (GATED_SCALE**2 / self.cell_scale))
            cell = (kept + new).clamp(-INT16_MAX, INT16_MAX)
            shown = self._sigmoid(o) * self._tanh(cell, self.cell_scale)
            hidden = self.hidden(shown * (GATED_SCALE**2 * NUDGE))
            outputs.append(hidden.value.to(steps.dtype))
        if self.carried is not None:
            self.carried = [hidden.value, cell]
        return hidden.set(value=torch.stack(outputs, dim=2).unsqueeze(2))

    def _sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return _looked_up(x, torch.sigmoid(x * GATE_SCALE), sigmoid_table())

    def _tanh(self, x: torch.Tensor, scale: float) -> torch.Tensor:
        bits = 15 + round(math.log2(scale))
        return _looked_up(x, torch.tanh(x * scale), tanh_table(bits))

    def _calibrate(self, steps: torch.Tensor) -> torch.Tensor:
        """Run in float [T, N, C] and let the quantizers see the range of both states."""
        weight = torch.cat([kernel.weight for kernel in self.kernels])
        bias = torch.cat([kernel.bias for kernel in self.kernels])
        recurrent = torch.cat([kernel.weight for kernel in self.recurrent_kernels])
        zeros = steps.new_zeros(steps.shape[1], recurrent.shape[1])
        hidden, cell = self.carried or (zeros, zeros)
        outputs = []
        for step in F.linear(steps, weight, bias):
            i, f, g, o = (step + F.linear(hidden, recurrent)).chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            self.cell_range.copy_(torch.maximum(self.cell_range, cell.detach().abs().max()))
            outputs.append(hidden)
        if self.carried is not None:
            self.carried = [hidden, cell]
        # All at once: the states of the first steps alone are smaller than those to come.
        result: torch.Tensor = self.hidden(torch.stack(outputs, dim=2).unsqueeze(2))
        return result


def _kernel(weight: torch.Tensor, bias: torch.Tensor | None) -> nn.Module:
    """Weights of a gate and their quantizer; what it computes as a layer is not used."""
    units, inputs = weight.shape
    kernel = qnn.QuantLinear(
        inputs,
        units,
        bias=bias is not None,
        weight_quant=Int8WeightPerTensorFloat,
        weight_scaling_min_val=MIN_WEIGHT_RANGE,
        bias_quant=None if bias is None else Int32Bias,
    )
    kernel.weight.data.copy_(weight)
    if bias is not None:
        kernel.bias.data.copy_(bias)
    result: nn.Module = kernel
    return result


def _joined(parts: list[IntQuantTensor]) -> torch.Tensor:
    """Integers of the four gates."""
    return torch.cat([_integers(part) for part in parts])


def _integers(x: IntQuantTensor) -> torch.Tensor:
    return straight_through(x.value / x.scale, torch.round(x.value / x.scale))


def _multipliers(weights: list[IntQuantTensor], scale: torch.Tensor) -> torch.Tensor:
    """What turns sums into steps of 2^-12, float64 [4 * units]; the product is float32 in TFLite too."""
    scales = [weight.scale.reshape(1) * scale / GATE_SCALE for weight in weights]
    return torch.cat([s.expand(len(w.value)) for s, w in zip(scales, weights, strict=True)]).double()


def _looked_up(x: torch.Tensor, exact: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """Entries of a table for 16-bit `x`, with the gradient of the exact function."""
    return straight_through(exact / GATED_SCALE, table[x.detach().round().long() + INT16_MAX + 1])


def _rounded(x: torch.Tensor) -> torch.Tensor:
    return straight_through(x, half_away(x.detach()))


def _saturated(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(-INT16_MAX - 1, INT16_MAX)
