"""Functions of one int8 value as tables of 256 outputs, as TFLite's reference kernels compute them.

For LOGISTIC and TANH these fill tables themselves, in float32 (LUTPopulate in kernels/internal/common.h), with
the C library's functions; tanh is the fdlibm formula of glibc before 2.41, which is not always the nearest.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arithmetic import round_half_away
from quantize.tflite_model import Tensor

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
