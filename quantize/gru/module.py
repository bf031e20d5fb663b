"""The fake-quantized GRU network: trains like any module, computes what int8 TFLite operators will.

Gates in torch's convention (Cho 2014, reset after the product): r = sigmoid(W_r [x h] + b_r), z = sigmoid(W_z
[x h] + b_z), n = tanh(W x + b + r (U h + c)), h' = n + z (h - n). Samples and states share the scale 1/128,
so that one dense layer reads both; sigmoids have scale 1/256, tanh 1/128; every other value its own.
"""

from typing import Any, Final

import torch
import torch.nn.functional as F
from brevitas.function.ops_ste import round_ste
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from edge.errors import InnervateError
from quantize.lstm.rounding import straight_through, twice_rounded
from quantize.network import Dense
from quantize.quantizers import INPUT_SCALE, activation, input_activation, weighted

SIGMOID_SCALE: Final = 1 / 256
GATES: Final = ("reset_gate", "update_gate")
KERNELS: Final = (*GATES, "candidate", "recurrent")
ACTIVATIONS: Final = (*KERNELS, "gated", "sum", "difference", "share")
"""Values with a trained scale: the sums of r and z, W x + b, U h + c, r times it, the argument of tanh, h - n
and z (h - n)."""

Values = dict[str, Any]


class QuantGru(nn.Module):
    """GRU over windows float [N, C, 1, T], and a dense layer on its last state: logits [N, K].

    Args:
        gru: one layer, one direction, with biases; its weights are copied.
        head: from its state to logits.

    Raises:
        InnervateError: another variant.
    """

    def __init__(self, gru: nn.GRU, head: nn.Linear) -> None:
        super().__init__()
        if gru.num_layers != 1 or gru.bidirectional or not gru.bias:
            raise InnervateError(
                "only a GRU of one layer, one direction and with biases has an int8 form here",
                "gru",
                "Use nn.GRU(channels, units)",
            )
        if head.in_features != gru.hidden_size:
            raise InnervateError(
                f"a head of {head.in_features} inputs does not fit {gru.hidden_size} units",
                "head",
                "Use nn.Linear(units, classes)",
            )
        self.channels, self.units, self.classes = gru.input_size, gru.hidden_size, head.out_features
        weights = dict(gru.named_parameters())
        inputs, states = weights["weight_ih_l0"].chunk(3), weights["weight_hh_l0"].chunk(3)
        biases, state_biases = weights["bias_ih_l0"].chunk(3), weights["bias_hh_l0"].chunk(3)
        self.input_quant = input_activation()
        self.kernels = nn.ModuleDict(
            {
                "reset_gate": _dense(torch.cat([inputs[0], states[0]], 1), biases[0] + state_biases[0]),
                "update_gate": _dense(torch.cat([inputs[1], states[1]], 1), biases[1] + state_biases[1]),
                "candidate": _dense(inputs[2], biases[2]),
                "recurrent": _dense(states[2], state_biases[2]),
            }
        )
        self.activations = nn.ModuleDict({name: activation(relu=False) for name in ACTIVATIONS})
        self.head: Any = _dense(head.weight, torch.zeros(self.classes) if head.bias is None else head.bias)
        self.head_activation = activation(relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, K] of windows [N, C, 1, T]."""
        samples = self.input_quant(x)
        quantized = isinstance(samples, IntQuantTensor)
        steps = (samples.value if quantized else samples).squeeze(2).permute(2, 0, 1)
        state = steps.new_zeros(steps.shape[1], self.units)
        constants, seen = self.constants(samples), []
        for step in steps:
            values = self.step(step, state, constants, quantized)
            state = values["state"]
            seen.append(values)
        if not quantized:  # in calibration each quantizer sees all steps at once
            for name, module in self.activations.items():
                module(torch.stack([values[name] for values in seen]))
        logits = self.logits(samples.set(value=state) if quantized else state)
        result: torch.Tensor = logits.value if isinstance(logits, IntQuantTensor) else logits
        return result

    def logits(self, state: Any) -> Any:
        """Quantized logits [N, K] of a quantized state [N, units]."""
        return self.head_activation(self.head(state))

    def step(
        self, x: torch.Tensor, h: torch.Tensor, constants: dict[str, Any], quantized: bool = True
    ) -> Values:
        """All values of one step: those of `ACTIVATIONS`, and the next `state` [N, units].

        Args:
            x: samples [N, C].
            h: states [N, units].
            constants: weight and bias of each kernel.
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

        sums = {name: keep(name, F.linear(sources[name], *constants[name])) for name in KERNELS}
        r, z = (fixed(torch.sigmoid(sums[gate]), SIGMOID_SCALE, 0, 255) for gate in GATES)
        argument = keep("sum", sums["candidate"] + product("gated", r, "recurrent"))
        n = fixed(torch.tanh(argument), INPUT_SCALE, -128, 127)
        keep("difference", h - n)
        share = product("share", z, "difference")
        values["state"] = fixed(n + share, INPUT_SCALE, -128, 127)
        return values

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
        """Weight and bias of each kernel, quantized for a quantized source."""
        kernels: Any = self.kernels
        if not isinstance(source, IntQuantTensor):
            return {name: (kernel.weight, kernel.bias) for name, kernel in kernels.items()}
        quantized = {}
        for name, kernel in kernels.items():
            weight = kernel.quant_weight()
            quantized[name] = weight.value, kernel.bias_quant(kernel.bias, source, weight).value
        return quantized


def _dense(weight: torch.Tensor, bias: torch.Tensor) -> nn.Module:
    return weighted(Dense("", (), (len(weight),), weight.detach(), bias.detach()))
