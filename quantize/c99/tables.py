"""Functions of one int8 value as tables of 256 outputs, as TFLite's reference kernels compute them.

For LOGISTIC and TANH these fill tables themselves, in float32 (kernels/internal/common.h, LUTPopulate), with the
C library's functions; tanh is the fdlibm formula of glibc before 2.41, whose rounding is not always the nearest.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arithmetic import round_half_away
from quantize.tflite_model import Tensor

_INT32_MAX = (1 << 31) - 1
_FAR = 30.0  # where both functions have reached their limits


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
