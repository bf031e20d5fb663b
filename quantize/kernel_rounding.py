"""Sums rounded as LiteRT's reference kernels round them.

A quantizer rounds a real sum to the nearest step, halves to even. The kernels of CONV_2D and ADD multiply an
integer sum by an integer and round twice; that of FULLY_CONNECTED rounds halves away from zero (before
version 2 it rounded twice too). So one value in some hundreds ends a step apart, some layers later one in
ten, and a decision on a narrow margin falls the other way.
"""

from typing import Any, Final

import torch
from torch import nn

from quantize.lstm.rounding import half_away, straight_through, twice_rounded

_HEADROOM: Final = 2.0**20
"""What the kernel of ADD multiplies its inputs by."""


def weighted_sum(
    total: torch.Tensor, source: Any, module: Any, quantizer: nn.Module, twice: bool
) -> torch.Tensor:
    """Sums of a convolution or a dense layer, on the steps of its output.

    Args:
        total: real sums [N, C, ...].
        source: quantized input.
        module: Brevitas layer that made them.
        quantizer: of the output.
        twice: whether it is a convolution.
    """
    scales = module.quant_weight().scale.reshape(-1).double() * source.scale.double()
    scales = scales.expand(total.shape[1]).reshape(-1, *[1] * (total.ndim - 2))
    step = _step(quantizer)
    sums, multipliers = torch.round(total.double() / scales), scales / step.double()
    steps = twice_rounded(sums, multipliers) if twice else half_away(sums * multipliers)
    return (steps * step.double()).to(total.dtype)


def addition(
    first: torch.Tensor,
    first_scale: torch.Tensor,
    second: torch.Tensor,
    second_scale: torch.Tensor,
    quantizer: nn.Module,
) -> torch.Tensor:
    """Sum of two values, on the steps of its output; gradients pass straight through.

    Args:
        first: integers, held in floats.
        first_scale: of one of them.
        second: integers, of a shape that broadcasts.
        second_scale: of one of them.
        quantizer: of the sum.
    """
    step = _step(quantizer)
    scales = [scale.double().reshape(()) for scale in (first_scale, second_scale)]
    larger = 2 * torch.maximum(*scales)
    parts = [
        twice_rounded(torch.round(part.detach().double()) * _HEADROOM, scale / larger)
        for part, scale in zip((first, second), scales, strict=True)
    ]
    steps = twice_rounded(parts[0] + parts[1], larger / (_HEADROOM * step.double().reshape(())))
    exact = first * first_scale + second * second_scale
    return straight_through(exact, (steps * step.double()).to(exact.dtype).detach())


def _step(quantizer: Any) -> torch.Tensor:
    step: torch.Tensor = quantizer.act_quant.scale()
    return step
