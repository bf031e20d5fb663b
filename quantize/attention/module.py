"""The fake-quantized attention: computes what TFLite's BATCH_MATMUL and SOFTMAX compute, to the integer.

Integers are held in float32, which is exact below 2^24: for up to 512 tokens of up to 512 channels.
"""

from typing import Any, Final

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from brevitas.quant import Int8WeightPerTensorFloat
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.attention.softmax import PROBABILITY_SCALE, softmax
from quantize.kernel_rounding import addition
from quantize.lstm.rounding import straight_through, twice_rounded
from quantize.quantizers import MIN_WEIGHT_RANGE, activation

PROJECTIONS: Final = ("query", "key", "value")
VALUES: Final = (*PROJECTIONS, "scores", "mixed")
"""What has a trained scale; `biased` queries too, where they have a bias."""


class QuantAttention(nn.Module):
    """Heads of self-attention over tokens [N, C, 1, T]: mixed values [N, size, heads, T].

    Args:
        weights: of queries, keys and values, float32 [heads, size, C] each; copied.
        bias: of queries, float32 [heads, size], or None; copied.
        percentile: calibration percentile of the activations.
    """

    def __init__(
        self, weights: dict[str, torch.Tensor], bias: torch.Tensor | None, percentile: float
    ) -> None:
        super().__init__()
        self.heads, self.size, _ = weights["query"].shape
        self.kernels: Any = nn.ModuleDict(
            {name: _kernel(weights[name].flatten(0, 1)) for name in PROJECTIONS}
        )
        self.bias = None if bias is None else nn.Parameter(bias[:, None].clone())
        names = VALUES if bias is None else (*VALUES, "biased")
        self.activations: Any = nn.ModuleDict({name: activation(False, percentile) for name in names})

    def forward(self, x: Any) -> Any:
        """Mixed values [N, size, heads, T]; of a plain tensor, as in calibration, without rounding."""
        values = self.values(x) if isinstance(x, IntQuantTensor) else self._calibrate(x)
        mixed = values["mixed"]
        result = (mixed.value if isinstance(mixed, IntQuantTensor) else mixed).permute(0, 3, 1, 2)
        return mixed.set(value=result) if isinstance(mixed, IntQuantTensor) else result

    def bias_integers(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Bias of the queries [heads, 1, size] as int8 values, and the scale of one step."""
        assert self.bias is not None
        scale = self.bias.detach().abs().amax() / 127
        return straight_through(self.bias / scale, torch.round(self.bias / scale)), scale

    def values(self, x: IntQuantTensor) -> dict[str, Any]:
        """All of `VALUES` of quantized tokens: queries, keys, values and their mix [N, heads, T, size]."""
        tokens, made = _integers(x).squeeze(2).transpose(1, 2), {}
        for name in PROJECTIONS:
            weight = self.kernels[name].quant_weight()
            sums = self._by_head(F.linear(tokens, _integers(weight)))
            made[name] = self._product(name, sums, x.scale * weight.scale)
        query, key, value = (made[name] for name in PROJECTIONS)
        if self.bias is not None:
            steps, scale = self.bias_integers()
            total = addition(query.value / query.scale, query.scale, steps, scale, self.activations["biased"])
            query = made["biased"] = self.activations["biased"](total)
        sums = _integers(query) @ _integers(key).transpose(2, 3)
        scores = made["scores"] = self._product("scores", sums, query.scale * key.scale)
        shares = softmax(_integers(scores), float(scores.scale.detach()))
        sums = shares @ _integers(value)
        made["mixed"] = self._product("mixed", sums, PROBABILITY_SCALE * value.scale)
        return made

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        """[N, T, heads * size] -> [N, heads, T, size]."""
        return x.reshape(*x.shape[:2], self.heads, self.size).transpose(1, 2)

    def _product(self, name: str, sums: torch.Tensor, scale: torch.Tensor) -> Any:
        """Quantized product of integer sums in steps of `scale`."""
        activation = self.activations[name]
        step = activation.act_quant.scale()
        # BATCH_MATMUL's own widths: the product of two scales in float32, its quotient in float64.
        steps = twice_rounded(sums, (scale.double() / step.double()).reshape(1))
        return activation((steps * step).to(sums.dtype))

    def _calibrate(self, x: torch.Tensor) -> dict[str, Any]:
        """Run in float and let the quantizers see the range of every product."""
        tokens = x.squeeze(2).transpose(1, 2)
        made = {
            name: self.activations[name](self._by_head(F.linear(tokens, self.kernels[name].weight)))
            for name in PROJECTIONS
        }
        query = made["query"]
        if self.bias is not None:
            query = self.activations["biased"](query + self.bias)
        made["scores"] = self.activations["scores"](query @ made["key"].transpose(2, 3))
        shares = torch.softmax(made["scores"], dim=-1)
        made["mixed"] = self.activations["mixed"](shares @ made["value"])
        return made


def _kernel(weight: torch.Tensor) -> nn.Module:
    """Weights and their quantizer, with one scale as BATCH_MATMUL has; what it computes is not used."""
    outputs, inputs = weight.shape
    kernel = qnn.QuantLinear(
        inputs,
        outputs,
        bias=False,
        weight_quant=Int8WeightPerTensorFloat,
        weight_scaling_min_val=MIN_WEIGHT_RANGE,
    )
    kernel.weight.data.copy_(weight)
    result: nn.Module = kernel
    return result


def _integers(x: IntQuantTensor) -> torch.Tensor:
    return straight_through(x.value / x.scale, torch.round(x.value / x.scale))
