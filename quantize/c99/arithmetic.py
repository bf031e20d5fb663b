"""Real scales to integer multipliers, exactly as TFLite's reference kernels derive them.

A multiplier m and shift s stand for m * 2^(s - 31), with m in [2^30, 2^31). Expressions keep the kernels' own
order and width (float32 or float64) of operations: another order would round differently in the last bit.
"""

from dataclasses import dataclass
from math import floor, frexp

import numpy as np

from quantize.tflite_model import Activation, Tensor

INT8_MIN, INT8_MAX = -128, 127
INT16_MIN, INT16_MAX = -(1 << 15), (1 << 15) - 1
SOFTMAX_INTEGER_BITS = 5  # of the scaled difference to the row's maximum, Q5.26
_ADD_HEADROOM_BITS = {"INT8": 20, "INT16": 15}


@dataclass(frozen=True)
class Multiplier:
    """value * 2^(shift - 31)."""

    value: int
    shift: int


def round_half_away(x: float) -> int:
    """Return the nearest integer; of two, the one further from zero."""
    return floor(abs(x) + 0.5) * (1 if x >= 0 else -1)


def multiplier_of(real: float) -> Multiplier:
    """Return the integer multiplier nearest to a positive real one; below about 2^-32 it is zero."""
    fraction, shift = frexp(real)
    value = round_half_away(fraction * (1 << 31))
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


def output_scales(source: Tensor, weights: Tensor, target: Tensor, units: int) -> list[float]:
    """Return input scale * weight scale / output scale for each output channel, in float64."""
    assert weights.quantization is not None
    scales = weights.quantization.scale
    if len(scales) == 1:
        scales = scales * units
    return [source.scale * scale / target.scale for scale in scales]


def single_rounding_multiplier(scale: float, bound: int) -> Multiplier | None:
    """Find m, s such that (|acc| * m + 2^(s-1)) >> s equals round(acc * scale) wherever that is within int8.

    LiteRT's reference FULLY_CONNECTED (from version 2 on) multiplies the accumulator by the scale in float64
    and rounds halves away from zero. Both sides are step functions of |acc|, so they agree for every
    |acc| <= bound if each of the at most 255 steps comes at the same |acc|; that leaves an interval for m,
    computed here exactly.

    Returns:
        The multiplier (a plain factor: value / 2^shift), or None if no m that fits 63-bit products will do.
    """

    def reference(acc: int) -> int:
        return round_half_away(acc * scale)

    steps = []  # the smallest |acc| that gives level or more; one beyond the bound stands for "never"
    for level in range(1, INT8_MAX - INT8_MIN + 1):
        first = max(1, min(floor((level - 0.5) / scale), bound))
        while first > 1 and reference(first - 1) >= level:
            first -= 1
        while first <= bound and reference(first) < level:
            first += 1
        steps.append(first)
        if first > bound:
            break
    shift = min(62, max(1, 61 - frexp(bound * scale)[1]))
    half = 1 << (shift - 1)
    targets = [(level << shift) - half for level in range(1, len(steps) + 1)]
    lowest = max((-(-t // a) for t, a in zip(targets, steps, strict=True) if a <= bound), default=0)
    highest = min(
        (-(-t // (a - 1)) - 1 for t, a in zip(targets, steps, strict=True) if a > 1), default=lowest
    )
    if lowest > highest or bound * lowest + half >= 1 << 63:
        return None
    return Multiplier(lowest, shift)


def activation_range(activation: Activation, target: Tensor) -> tuple[int, int]:
    """Return the lowest and highest quantized output that a fused activation allows."""

    def quantized(real: float) -> int:
        return target.zero_point + round_half_away(float(np.float32(real) / np.float32(target.scale)))

    lowest, highest = (INT16_MIN, INT16_MAX) if target.dtype == "INT16" else (INT8_MIN, INT8_MAX)
    low, high = {
        "NONE": (lowest, highest),
        "RELU": (quantized(0.0), highest),
        "RELU6": (quantized(0.0), quantized(6.0)),
        "RELU_N1_TO_1": (quantized(-1.0), quantized(1.0)),
    }[activation]
    return max(low, lowest), min(high, highest)


def mean_multiplier(source: Tensor, target: Tensor, count: int) -> Multiplier:
    """Return input scale / output scale / count; the integer multiplier is divided by count, cut off."""
    scale = multiplier_of(source.scale / target.scale)
    shift = min(count.bit_length() - 1, 32, 31 + scale.shift)
    return Multiplier((scale.value << shift) // count, scale.shift - shift)


def softmax_parameters(source: Tensor, beta: float) -> tuple[Multiplier, int]:
    """Return (beta * input scale as Q5.26, the lowest difference to the maximum that still counts)."""
    fraction_bits = 31 - SOFTMAX_INTEGER_BITS
    scale = multiplier_of(min(beta * source.scale * (1 << fraction_bits), (1 << 31) - 1.0))
    radius = ((1 << SOFTMAX_INTEGER_BITS) - 1) * (1 << fraction_bits) / (1 << scale.shift)
    return scale, -floor(radius)


def _to_common_scale(first: Tensor, second: Tensor) -> tuple[Multiplier, Multiplier]:
    """Return what brings two inputs to twice the larger one's scale."""
    twice_larger = 2 * max(first.scale, second.scale)
    return multiplier_of(first.scale / twice_larger), multiplier_of(second.scale / twice_larger)


def add_multipliers(
    first: Tensor, second: Tensor, target: Tensor
) -> tuple[Multiplier, Multiplier, Multiplier]:
    """Return what scales the two inputs to a common scale, and their sum to the output's."""
    twice_larger = 2 * max(first.scale, second.scale)
    to_output = multiplier_of(twice_larger / ((1 << _ADD_HEADROOM_BITS[target.dtype]) * target.scale))
    return *_to_common_scale(first, second), to_output


def product_multiplier(
    first: Tensor, second: Tensor, target: Tensor, division_in_float64: bool = False
) -> Multiplier:
    """Return both input scales / output scale; their product in float32, as in the reference.

    MUL divides in float32 as well, BATCH_MATMUL in float64.
    """
    product = np.float32(first.scale) * np.float32(second.scale)
    if division_in_float64:
        return multiplier_of(float(product) / target.scale)
    return multiplier_of(float(product / np.float32(target.scale)))


def squared_difference_multipliers(
    first: Tensor, second: Tensor, target: Tensor
) -> tuple[Multiplier, Multiplier, Multiplier]:
    """Return what scales the two inputs to a common scale, and the square of their difference."""
    twice_larger = 2 * max(first.scale, second.scale)
    to_output = multiplier_of(twice_larger * twice_larger / ((1 << 14) * target.scale))
    return *_to_common_scale(first, second), to_output


def gate_multiplier(source: Tensor, weights: Tensor) -> Multiplier:
    """Return input scale * weight scale / 2^-12 for a gate of an LSTM; in float32, as in the reference."""
    return multiplier_of(float(np.float32(source.scale) * np.float32(weights.scale) / np.float32(2.0**-12)))


def gated_multiplier(hidden: Tensor) -> Multiplier:
    """Return 2^-30 / scale of the hidden state; in float32."""
    unit = np.float32(2.0**-15)
    return multiplier_of(float(unit / np.float32(hidden.scale) * unit))
