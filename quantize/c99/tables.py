"""Functions of one int8 value as tables of 256 outputs, as TFLite's reference kernels compute them.

LOGISTIC and TANH are gemmlowp's (fixedpoint/fixedpoint.h, on int32): exp of a negative number as a Taylor
series about -1/8 on the last quarter, times exp(-2^k) for every bit above it; then three steps of Newton and
Raphson from 48/17 - 32/17 d. Qm.n below has m integer bits and n fractional ones.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arithmetic import multiplier_of
from quantize.tflite_model import Tensor

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
_INPUT_BITS = 4  # integer bits of the scaled input
# e^(-2^k), k = -2 .. 4, as Q0.31
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH, _THIRD = 1895147668, 715827883  # Q0.31
_48_17, _MINUS_32_17 = 1515870810, -1010580540  # Q2.29


def doubling_high(a: int, b: int) -> int:
    """Return round(a * b / 2^31), halves upwards; the one product that does not fit saturates."""
    return min((a * b + (1 << 30)) >> 31, _INT32_MAX)


def divided(x: int, exponent: int) -> int:
    """Return round(x / 2^exponent), halves away from zero."""
    size = (abs(x) + (1 << exponent >> 1)) >> exponent
    return size if x >= 0 else -size


def requantized(x: int, multiplier: int, shift: int) -> int:
    """Return x * multiplier * 2^(shift - 31), rounded twice as `MultiplyByQuantizedMultiplier` does."""
    return divided(doubling_high(x << max(shift, 0), multiplier), max(-shift, 0))


def _raised(x: int, exponent: int) -> int:
    return min(max(x << exponent, _INT32_MIN), _INT32_MAX)


def exp_of_negative(a: int, bits: int) -> int:
    """Return e^a as Q0.31 of a <= 0 with so many integer bits."""
    if a == 0:
        return _INT32_MAX
    quarter = 1 << (29 - bits)
    last = (a & (quarter - 1)) - quarter
    x = _raised(last, bits) + (1 << 28)
    x2 = doubling_high(x, x)
    x3, x4 = doubling_high(x2, x), doubling_high(x2, x2)
    series = divided(doubling_high(divided(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_MINUS_EIGHTH + doubling_high(_EXP_MINUS_EIGHTH, x + series)
    for k in range(bits + 2):
        if (last - a) & (quarter << k):
            result = doubling_high(result, _POWERS[k])
    return result


def _twice_reciprocal(a: int) -> int:
    """Return 2 / (1 + a) as Q2.29 of a in [0, 1) as Q0.31."""
    half_denominator = (a + _INT32_MAX + 1) // 2
    x = _48_17 + doubling_high(half_denominator, _MINUS_32_17)
    for _ in range(3):
        error = (1 << 29) - doubling_high(half_denominator, x)
        x += _raised(doubling_high(x, error), 2)
    return x


def _logistic(x: int) -> int:
    """Return the sigmoid as Q0.8 of Q4.27."""
    if x == 0:
        return 1 << 7
    size = _raised(_twice_reciprocal(exp_of_negative(-abs(x), _INPUT_BITS)), 1)
    return divided(size if x > 0 else _INT32_MAX - size, 23)


def _tanh(x: int) -> int:
    """Return tanh as Q0.7 of Q4.27."""
    if x == 0:
        return 0
    # Twice x is the same integer with one integer bit more.
    size = _raised(_twice_reciprocal(exp_of_negative(-abs(x), _INPUT_BITS + 1)) - (1 << 29), 2)
    return divided(size if x > 0 else -size, 24)


_SQUASHING: dict[str, Callable[[int], int]] = {"LOGISTIC": _logistic, "TANH": _tanh}


def table(function: Callable[[int], int]) -> NDArray[np.int8]:
    """Return a saturated function of -128 .. 127, in the order of those values as uint8."""
    values = [min(max(function(x), -128), 127) for x in (*range(128), *range(-128, 0))]
    return np.array(values, np.int8)


def squashing(name: str, source: Tensor, target: Tensor) -> NDArray[np.int8]:
    """Return the table of a LOGISTIC or TANH."""
    function = _SQUASHING[name]
    scale = multiplier_of(source.scale * (1 << (31 - _INPUT_BITS)))
    # Beyond 15 the result is taken to be the highest there is.
    radius = (((1 << _INPUT_BITS) - 1) << (31 - _INPUT_BITS)) >> scale.shift

    def value(x: int) -> int:
        x -= source.zero_point
        if abs(x) >= radius:
            return 127 if x > 0 else -128
        return function(requantized(x, scale.value, scale.shift)) + target.zero_point

    return table(value)
