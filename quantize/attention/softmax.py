"""Softmax of int8 values as TFLite's reference kernel computes it, with the gradient of the exact function.

The arithmetic is gemmlowp's (fixedpoint/fixedpoint.h, on int32; `quantize.c99.fixed_point`): exp of each
difference to the maximum as Q0.31, their sum as Q12.19, its reciprocal by three steps of Newton and Raphson.
"""

from functools import lru_cache
from math import floor
from typing import Final

import torch

from quantize.c99.arithmetic import multiplier_of
from quantize.c99.fixed_point import exp_of_negative, requantized
from quantize.lstm.rounding import straight_through

PROBABILITY_SCALE: Final = 1 / 256
_INPUT_BITS: Final = 5
"""Integer bits of a difference."""
_SUM_BITS: Final = 12
_INT32_MAX: Final = (1 << 31) - 1
_48_17, _MINUS_32_17 = 1515870810, -1010580540  # Q2.29


def softmax(x: torch.Tensor, scale: float) -> torch.Tensor:
    """Probabilities in steps of 1/256, 0 to 255, along the last axis.

    Args:
        x: integers of -128 to 127, held in floats.
        scale: of one of them.
    """
    with torch.no_grad():
        integers = x.detach().round().long()
        exponentials = _table(scale)[integers - integers.amax(dim=-1, keepdim=True) + 255]
        total = _divided(exponentials, _SUM_BITS).sum(dim=-1, keepdim=True)
        # Leading zeros of the sum in 32 bits.
        zeros = 32 - torch.frexp(total.double())[1].long()
        reciprocal = _reciprocal((total << zeros) - (1 << 31))
        shift = _SUM_BITS - zeros + 31 - 8
        probabilities = _divided(_high(reciprocal, exponentials), shift).clamp(max=255)
    exact = torch.softmax(x * scale, dim=-1) / PROBABILITY_SCALE
    return straight_through(exact, probabilities.to(x.dtype))


@lru_cache(maxsize=64)
def _table(scale: float) -> torch.Tensor:
    """Exponentials of differences -255 to 0 as Q0.31, int64 [256]; 0 where one is too large."""
    multiplier = multiplier_of(min(scale * (1 << (31 - _INPUT_BITS)), float(_INT32_MAX)))
    radius = ((1 << _INPUT_BITS) - 1) * 2.0 ** (31 - _INPUT_BITS - multiplier.shift)
    lowest = -floor(radius)
    values = [
        exp_of_negative(requantized(difference, multiplier.value, multiplier.shift), _INPUT_BITS)
        if difference >= lowest
        else 0
        for difference in range(-255, 1)
    ]
    return torch.tensor(values)


def _high(x: torch.Tensor, y: torch.Tensor | int) -> torch.Tensor:
    """High half of the doubled product, halves upwards."""
    return (x * y + (1 << 30)) >> 31


def _divided(x: torch.Tensor, exponent: torch.Tensor | int) -> torch.Tensor:
    """Nonnegative values by a power of two, halves upwards."""
    half = torch.ones_like(x) << exponent >> 1
    return (x + half) >> exponent


def _reciprocal(x: torch.Tensor) -> torch.Tensor:
    """1 / (1 + x) as Q0.31 of x in [0, 1) as Q0.31."""
    half_denominator = (x + _INT32_MAX + 1) >> 1
    estimate = _48_17 + _high(half_denominator, _MINUS_32_17)
    for _ in range(3):
        error = (1 << 29) - _high(half_denominator, estimate)
        estimate = estimate + (_high(estimate, error) << 2)
    return (estimate << 1).clamp(max=_INT32_MAX)
