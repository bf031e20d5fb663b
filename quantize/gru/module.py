"""The fake-quantized step of a GRU: trains like any module, computes what int8 TFLite operators will.

Gates in torch's convention (Cho 2014, reset after the product): r = sigmoid(W_r [x h] + b_r), z = sigmoid(W_z
[x h] + b_z), n = tanh(W x + b + r (U h + c)), h' = n + z (h - n). Features and states share the scale 1/128,
so that one dense layer reads both; sigmoids have scale 1/256, tanh 1/128; every other value its own.
"""

from typing import Any, Final

import torch
import torch.nn.functional as F
from brevitas.function.ops_ste import round_ste
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.gru.network import StepwiseNetwork
from quantize.lstm.rounding import half_away, straight_through, twice_rounded
from quantize.network import Dense
from quantize.quantizers import PERCENTILE, activation, weighted
from train.models import INPUT_SCALE

SIGMOID_SCALE: Final = 1 / 256
GATES: Final = ("reset_gate", "update_gate")
KERNELS: Final = (*GATES, "candidate", "recurrent")
ACTIVATIONS: Final = (*KERNELS, "gated", "sum", "difference", "share")
"""Values with a trained scale: the sums of r and z, W x + b, U h + c, r times it, the argument of tanh, h - n
and z (h - n)."""

Values = dict[str, Any]


class QuantGru(nn.Module):
    """One step at a time, from features [N, features] and states [N, units].

    Args:
        network: its weights are copied.
        percentile: of the values of a step, the share that calibration does not clip, in percent.
    """

    def __init__(self, network: StepwiseNetwork, percentile: float = PERCENTILE) -> None:
        super().__init__()
        inputs, states = network.weight.chunk(3), network.recurrent_weight.chunk(3)
        biases, state_biases = network.bias.chunk(3), network.recurrent_bias.chunk(3)
        self.kernels = nn.ModuleDict(
            {
                "reset_gate": dense(torch.cat([inputs[0], states[0]], 1), biases[0] + state_biases[0]),
                "update_gate": dense(torch.cat([inputs[1], states[1]], 1), biases[1] + state_biases[1]),
                "candidate": dense(inputs[2], biases[2]),
                "recurrent": dense(states[2], state_biases[2]),
            }
        )
        self.activations = nn.ModuleDict({name: activation(False, percentile) for name in ACTIVATIONS})

    def calibrate(self, seen: list[Values]) -> None:
        """Show each quantizer its values in all steps at once."""
        for name, module in self.activations.items():
            module(torch.stack([values[name] for values in seen]))

    def step(
        self, x: torch.Tensor, h: torch.Tensor, constants: dict[str, Any], quantized: bool = True
    ) -> Values:
        """All values of one step: those of `ACTIVATIONS`, and the next `state` [N, units].

        Args:
            x: features [N, features].
            h: states [N, units].
            constants: of each kernel, as `constants` gives them.
            quantized: round and saturate; else all is computed in float.
        """
        both = torch.cat([x, h], dim=1)
        sources = {"reset_gate": both, "update_gate": both, "candidate": x, "recurrent": h}
        values: Values = {}

        def keep(name: str, value: torch.Tensor) -> torch.Tensor:
            values[name] = self.activations[name](value) if quantized else value
            result: torch.Tensor = values[name].value if quantized else value
            return result

        def fixed(value: torch.Tensor, scale: float, least: int, most: int) -> torch.Tensor:
            rounded: torch.Tensor = round_ste(value / scale)
            return rounded.clamp(least, most) * scale if quantized else value

        def product(name: str, gate: torch.Tensor, factor: str) -> torch.Tensor:
            exact = gate * (values[factor].value if quantized else values[factor])
            return keep(name, self._product(name, gate, values[factor], exact) if quantized else exact)

        sums = {name: keep(name, self._sum(name, sources[name], *constants[name])) for name in KERNELS}
        r, z = (fixed(torch.sigmoid(sums[gate]), SIGMOID_SCALE, 0, 255) for gate in GATES)
        argument = keep("sum", sums["candidate"] + product("gated", r, "recurrent"))
        n = fixed(torch.tanh(argument), INPUT_SCALE, -128, 127)
        keep("difference", h - n)
        share = product("share", z, "difference")
        values["state"] = fixed(n + share, INPUT_SCALE, -128, 127)
        return values

    def _sum(
        self,
        name: str,
        source: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor,
        scales: torch.Tensor | None,
    ) -> torch.Tensor:
        """Sum of a kernel; with scales on the very steps of TFLite's kernel, which float32 may just miss."""
        total = F.linear(source, weight, bias)
        if scales is None:
            return total
        quantizers: Any = self.activations
        step = quantizers[name].act_quant.scale().double()
        steps = half_away(torch.round(total.double() / scales) * (scales / step))
        exact: torch.Tensor = (steps * step).to(total.dtype)
        return exact

    def _product(
        self, name: str, gate: torch.Tensor, factor: IntQuantTensor, exact: torch.Tensor
    ) -> torch.Tensor:
        """Product of a gate and a quantized factor, rounded as TFLite's MUL does."""
        quantizers: Any = self.activations
        scale = quantizers[name].act_quant.scale()
        integers = (gate / SIGMOID_SCALE).round() * (factor.value / factor.scale).round()
        multiplier = (SIGMOID_SCALE * factor.scale / scale).double()
        return straight_through(exact, (twice_rounded(integers.detach(), multiplier) * scale).to(exact.dtype))

    def constants(self, source: Any) -> dict[str, Any]:
        """Weight, bias and scales of the sums of each kernel, quantized for a quantized source.

        There are scales for sums that are to be exact: not in training, where the quantizer's own rounding
        will do.
        """
        kernels: Any = self.kernels
        if not isinstance(source, IntQuantTensor):
            return {name: (kernel.weight, kernel.bias, None) for name, kernel in kernels.items()}
        quantized = {}
        for name, kernel in kernels.items():
            weight = kernel.quant_weight()
            scales = None if self.training else weight.scale.reshape(-1).double() * source.scale.double()
            quantized[name] = weight.value, kernel.bias_quant(kernel.bias, source, weight).value, scales
        return quantized


def dense(weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    """Brevitas layer of weights [out, in] and a bias [out]."""
    return weighted(Dense("", (), (len(weight),), weight, bias))
