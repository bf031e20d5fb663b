"""Sigmoid and tanh of 16-bit integers as TFLite's fused LSTM computes them, as tables.

The arithmetic is gemmlowp's (fixedpoint/fixedpoint.h, on int16): exp of a negative number as a Taylor series
on (-1/4, 0] times constants for the bits above, then 1 / (1 + x) by three steps of Newton and Raphson. It
ends up to 13 steps of 2^-15 from the exact value. With exact functions one hidden state in twenty would
differ from TFLite's by a step.
"""

from functools import lru_cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

Int16s = NDArray[np.int64]
"""16-bit values, in 64 bits so that products are exact."""

_MIN, _MAX = -(2**15), 2**15 - 1
_TWO_BITS_ONE: Final = 1 << 13
"""One, with two integer bits."""
_BARREL: Final = (
    (-2, 1672461947), (-1, 1302514674), (0, 790015084), (1, 290630308), (2, 39332535), (3, 720401), (4, 242),
)  # fmt: skip
"""Exponent k and e^(-2^k) in 31 fractional bits."""


@lru_cache
def sigmoid_table() -> torch.Tensor:
    """Sigmoid of -2^15 ... 2^15 - 1 with three integer bits, scale 2^-12: steps of 2^-15, float64 [65536]."""
    a = _all_values()
    positive = _half_reciprocal(_exp_of_negative(-np.abs(a), 3))
    positive = _times_power(positive, 1)
    result = np.where(a > 0, positive, _MAX - positive)
    return torch.from_numpy(np.where(a == 0, 1 << 14, result)).double()


@lru_cache
def tanh_table(integer_bits: int) -> torch.Tensor:
    """Tanh of -2^15 ... 2^15 - 1 with 0 to 6 integer bits: steps of 2^-15, float64 [65536]."""
    a = _all_values()
    # Twice the value is the same integer with one more integer bit.
    x = _half_reciprocal(_exp_of_negative(-np.abs(a), integer_bits + 1))
    size = _times_power(x - _TWO_BITS_ONE, 2)
    return torch.from_numpy(np.where(a == 0, 0, np.sign(a) * size)).double()


def _all_values() -> Int16s:
    return np.arange(_MIN, _MAX + 1, dtype=np.int64)


def _saturate(x: Int16s) -> Int16s:
    return np.clip(x, _MIN, _MAX)


def _times(x: Int16s, y: Int16s | int) -> Int16s:
    """High half of the doubled product, rounded half away from zero as gemmlowp's integer division does."""
    product = x * y
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return _saturate(np.where(nudged >= 0, nudged >> 15, -(-nudged >> 15)))


def _times_power(x: Int16s, exponent: int) -> Int16s:
    """Times 2^exponent: saturated, or rounded half away from zero."""
    if exponent >= 0:
        return _saturate(x << exponent)
    remainder, threshold = x & ((1 << -exponent) - 1), ((1 << -exponent) - 1) >> 1
    return (x >> -exponent) + (remainder > threshold + (x < 0))


def _constant(raw: int) -> int:
    """A constant of 31 fractional bits in 15."""
    return (raw + (1 << 15)) >> 16


def _exp_near_zero(a: Int16s) -> Int16s:
    """e^a for a in [-1/4, 0), no integer bits: Taylor about -1/8."""
    x = a + (1 << 12)
    x2 = _times(x, x)
    x3, x4 = _times(x2, x), _times(x2, x2)
    series = _times_power(_times(_times_power(x4, -2) + x3, _constant(715827883)) + x2, -1)
    middle = _constant(1895147668)
    return _saturate(middle + _times(x + series, middle))


def _exp_of_negative(a: Int16s, integer_bits: int) -> Int16s:
    """e^a for a <= 0 with `integer_bits`; no integer bits in the result."""
    fraction = 15 - integer_bits
    quarter = 1 << (fraction - 2)
    in_quarter = (a & (quarter - 1)) - quarter
    result = _exp_near_zero(_times_power(in_quarter, integer_bits))
    rest = in_quarter - a
    for exponent, raw in _BARREL:
        if integer_bits > exponent:
            result = np.where(rest & (1 << (fraction + exponent)), _times(result, _constant(raw)), result)
    if integer_bits > 5:
        result = np.where(a < -(32 << fraction), 0, result)
    return np.where(a == 0, _MAX, result)


def _half_reciprocal(a: Int16s) -> Int16s:
    """2 / (1 + a) for a in [0, 1], with two integer bits: 48/17 - 32/17 d, then Newton and Raphson."""
    half_denominator = (a + _MAX + 1) >> 1
    x = _constant(1515870810) + _times(half_denominator, _constant(-1010580540))
    for _ in range(3):
        x = x + _times_power(_times(x, _TWO_BITS_ONE - _times(half_denominator, x)), 2)
    return x
