"""Real scales to integer multipliers, exactly as TFLite's reference kernels derive them.

A multiplier m and shift s stand for m * 2^(s - 31), with m in [2^30, 2^31). Expressions keep the kernels' own
order and width (float32 or float64) of operations: another order would round differently in the last bit.
"""

from dataclasses import dataclass
from math import floor, frexp

import numpy as np

from quantize.tflite_model import Activation, Tensor

INT8_MIN, INT8_MAX = -128, 127
_SOFTMAX_INTEGER_BITS = 5  # of the scaled difference to the row's maximum, Q5.26
_ADD_HEADROOM_BITS = 20


@dataclass(frozen=True)
class Multiplier:
    """value * 2^(shift - 31)."""

    value: int
    shift: int


def _round_half_away(x: float) -> int:
    return floor(abs(x) + 0.5) * (1 if x >= 0 else -1)


def multiplier_of(real: float) -> Multiplier:
    """Return the integer multiplier nearest to a positive real one; below about 2^-32 it is zero."""
    fraction, shift = frexp(real)
    value = _round_half_away(fraction * (1 << 31))
    if value == 1 << 31:
        value, shift = value // 2, shift + 1
    if shift < -31:
        return Multiplier(0, 0)
    return Multiplier(value, shift)


def channel_multipliers(source: Tensor, weights: Tensor, target: Tensor, channels: int) -> list[Multiplier]:
    """Return input scale * weight scale / output scale for each of a convolution's output channels."""
    assert weights.quantization is not None
    scales = weights.quantization.scale
    if len(scales) == 1:
        scales = scales * channels
    return [multiplier_of(source.scale * scale / target.scale) for scale in scales]


def dense_multipliers(source: Tensor, weights: Tensor, target: Tensor, units: int) -> list[Multiplier]:
    """Return the same for FULLY_CONNECTED, which multiplies in float32 where weights have a single scale."""
    assert weights.quantization is not None
    if len(weights.quantization.scale) > 1:
        return channel_multipliers(source, weights, target, units)
    product = float(np.float32(source.scale) * np.float32(weights.scale))
    return [multiplier_of(product / target.scale)] * units


def activation_range(activation: Activation, target: Tensor) -> tuple[int, int]:
    """Return the lowest and highest quantized output that a fused activation allows."""

    def quantized(real: float) -> int:
        return target.zero_point + _round_half_away(float(np.float32(real) / np.float32(target.scale)))

    low, high = {
        "NONE": (INT8_MIN, INT8_MAX),
        "RELU": (quantized(0.0), INT8_MAX),
        "RELU6": (quantized(0.0), quantized(6.0)),
        "RELU_N1_TO_1": (quantized(-1.0), quantized(1.0)),
    }[activation]
    return max(low, INT8_MIN), min(high, INT8_MAX)


def mean_multiplier(source: Tensor, target: Tensor, count: int) -> Multiplier:
    """Return input scale / output scale / count; the integer multiplier is divided by count, cut off."""
    scale = multiplier_of(source.scale / target.scale)
    shift = min(count.bit_length() - 1, 32, 31 + scale.shift)
    return Multiplier((scale.value << shift) // count, scale.shift - shift)


def softmax_parameters(source: Tensor, beta: float) -> tuple[Multiplier, int]:
    """Return (beta * input scale as Q5.26, the lowest difference to the maximum that still counts)."""
    fraction_bits = 31 - _SOFTMAX_INTEGER_BITS
    scale = multiplier_of(min(beta * source.scale * (1 << fraction_bits), (1 << 31) - 1.0))
    radius = ((1 << _SOFTMAX_INTEGER_BITS) - 1) * (1 << fraction_bits) / (1 << scale.shift)
    return scale, -floor(radius)


def add_multipliers(
    first: Tensor, second: Tensor, target: Tensor
) -> tuple[Multiplier, Multiplier, Multiplier]:
    """Return what scales the two inputs to a common scale, and their sum to the output's."""
    twice_larger = 2 * max(first.scale, second.scale)
    return (
        multiplier_of(first.scale / twice_larger),
        multiplier_of(second.scale / twice_larger),
        multiplier_of(twice_larger / ((1 << _ADD_HEADROOM_BITS) * target.scale)),
    )
