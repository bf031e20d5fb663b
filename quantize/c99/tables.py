"""Functions of one int8 value as tables of 256 outputs, as TFLite's reference kernels compute them.

For LOGISTIC and TANH these fill tables themselves, in float32 (LUTPopulate in kernels/internal/common.h), by
the C library's functions; tanh is the fdlibm formula of glibc before 2.41, which is not always the nearest.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arithmetic import (
    SOFTMAX_INTEGER_BITS,
    Multiplier,
    activation_range,
    multiplier_of,
    round_half_away,
)
from quantize.c99.fixed_point import divided, doubling_high, exp_of_negative, raised, requantized
from quantize.tflite_model import Activation, Tensor

_INT16_MAX, _INT32_MAX = (1 << 15) - 1, (1 << 31) - 1
_FAR = 30.0  # where both functions have reached their limits


def _logistic(x: np.float32) -> np.float32:
    one = np.float32(1)
    return one / (one + np.float32(math.exp(-max(float(x), -80.0))))


def _tanh(x: np.float32) -> np.float32:
    size, one, two = abs(float(x)), np.float32(1), np.float32(2)
    if size >= 1:
        value = one - two / (np.float32(math.expm1(2 * min(size, _FAR))) + two)
    else:
        t = np.float32(math.expm1(-2 * size))
        value = -t / (t + two)
    return value if x > 0 else -value


_SQUASHING: dict[str, Callable[[np.float32], np.float32]] = {"LOGISTIC": _logistic, "TANH": _tanh}


def table(function: Callable[[int], int]) -> NDArray[np.int8]:
    """Return a saturated function of -128 .. 127, in the order of those values as uint8."""
    values = [min(max(function(x), -128), 127) for x in (*range(128), *range(-128, 0))]
    return np.array(values, np.int8)


def squashing(name: str, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """Return the table of a LOGISTIC or TANH."""
    function, inverse = _SQUASHING[name], np.float32(1) / np.float32(target.scale)

    def value(x: int) -> int:
        scaled = float(function(np.float32(source.scale) * np.float32(x - source.zero_point)) * inverse)
        return round_half_away(scaled) + target.zero_point

    return table(value)


def rescaled(
    source: Tensor, target: Tensor, above: Multiplier, below: Multiplier, activation: Activation = "NONE"
) -> NDArray[np.int8]:
    """Return the table of one multiplier above the zero point and one below it, within an activation."""
    low, high = activation_range(activation, target)

    def value(x: int) -> int:
        x -= source.zero_point
        scale = above if x >= 0 else below
        return min(max(requantized(x, scale.value, scale.shift) + target.zero_point, low), high)

    return table(value)


def _int16(multiplier: Multiplier) -> int:
    """Return the upper half of a multiplier, rounded; it is not negative."""
    return min((multiplier.value + (1 << 15)) >> 16, _INT16_MAX)


def _high16(a: int, b: int) -> int:
    """Return round(a * b / 2^15) of int16, halves upwards; the one product that does not fit saturates."""
    return min((a * b + (1 << 14)) >> 15, _INT16_MAX)


def _saturated16(x: int) -> int:
    return min(max(x, -_INT16_MAX - 1), _INT16_MAX)


def hard_swish(source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """Return the table of a HARD_SWISH, in 16-bit steps as kernels/internal/reference/hard_swish.h has it."""
    fine = np.float32(1 / 128) * np.float32(source.scale)
    to_output = multiplier_of(float(fine / np.float32(target.scale)))
    # 3, where the function is x from there on, is 2^15 steps.
    to_ramp = multiplier_of(float(fine / (np.float32(3) / np.float32(32768))))

    def value(x: int) -> int:
        raised = (x - source.zero_point) << 7
        identity = _high16(raised, _int16(to_output))
        ramp = _high16(_saturated16(raised << max(to_ramp.shift - 1, 0)), _int16(to_ramp))
        ramp = _saturated16(ramp << 1) if to_ramp.shift > 0 else divided(ramp, -to_ramp.shift)
        ramp = (ramp + (1 << 15)) >> 1
        product = ramp * identity  # cut off towards zero below
        cut = product >> 15 if product >= 0 else -(-product >> 15)
        return divided(cut, -to_output.shift) + target.zero_point

    return table(value)


def exponentials(scale: Multiplier, diff_min: int) -> NDArray[np.int32]:
    """Return e^difference as Q0.31 of a softmax's differences 0, -1, ... to the maximum, int32."""
    differences = range(0, max(diff_min, -255) - 1, -1)
    scaled = (doubling_high(d << scale.shift, scale.value) for d in differences)
    return np.array([exp_of_negative(x, SOFTMAX_INTEGER_BITS) for x in scaled], np.int32)


_RSQRT_BITS = 20  # of the fraction of what RSQRT's root is brought to


def rsqrt(source: Tensor, target: Tensor, scale: Multiplier) -> NDArray[np.int8]:
    """Return the table of an RSQRT of values that are not below their zero point."""

    def value(x: int) -> int:
        x -= source.zero_point
        if x == 0:
            return 127
        root, shift = _inverse_root(x)
        fine = requantized(1, root, shift + _RSQRT_BITS)
        return requantized(fine, scale.value, scale.shift - _RSQRT_BITS) + target.zero_point

    return table(value)


def _inverse_root(x: int) -> tuple[int, int]:
    """Return 1 / sqrt(x) of 1 to 255 as multiplier and shift: Newton and Raphson with three integer bits."""
    if x == 1:
        return _INT32_MAX, 0
    pairs = (32 - x.bit_length() - 1) // 2 - 1
    shift = 11 - pairs
    half = divided(x << 2 * pairs >> 1, 1)
    root = 1 << 28
    for _ in range(5):
        cube = raised(doubling_high(doubling_high(root, root), root), 6)
        root = raised(doubling_high(3 << 27, root) - doubling_high(half, cube), 3)
    root = doubling_high(root, 1518500250)  # sqrt(1/2)
    return root << max(-shift, 0), -max(shift, 0)
