"""Integer arithmetic of TFLite's reference kernels, in Python: gemmlowp's (fixedpoint/fixedpoint.h) on int32.

The same as `edge/core/fixed.h`, for what is computed once: tables, and the exponential of the softmax.
"""

_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
# e^(-2^k), k = -2 .. 4, as Q0.31
_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_EXP_MINUS_EIGHTH, _THIRD = 1895147668, 715827883  # Q0.31


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


def raised(x: int, exponent: int) -> int:
    """Return x * 2^exponent, saturated to int32."""
    return min(max(x << exponent, _INT32_MIN), _INT32_MAX)


def exp_of_negative(a: int, bits: int) -> int:
    """Return e^a as Q0.31 of a <= 0 with so many integer bits.

    A Taylor series about -1/8 on the last quarter, times exp(-2^k) for every bit above it.
    """
    if a == 0:
        return _INT32_MAX
    quarter = 1 << (29 - bits)
    last = (a & (quarter - 1)) - quarter
    x = raised(last, bits) + (1 << 28)
    x2 = doubling_high(x, x)
    x3, x4 = doubling_high(x2, x), doubling_high(x2, x2)
    series = divided(doubling_high(divided(x4, 2) + x3, _THIRD) + x2, 1)
    result = _EXP_MINUS_EIGHTH + doubling_high(_EXP_MINUS_EIGHTH, x + series)
    for k in range(bits + 2):
        if (last - a) & (quarter << k):
            result = doubling_high(result, _POWERS[k])
    return result
