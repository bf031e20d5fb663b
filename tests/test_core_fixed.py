"""TensorFlow Lite's rounding, against the published definitions in Python's unbounded integers."""

from fractions import Fraction

import pytest
from edge._core import lib
from hypothesis import example, given, settings
from hypothesis import strategies as st

MIN, MAX = -(2**31), 2**31 - 1
int32 = st.integers(MIN, MAX)


def truncated(numerator: int, denominator: int) -> int:
    """C's integer division."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def high_mul(a: int, b: int) -> int:
    """gemmlowp, fixedpoint.h: SaturatingRoundingDoublingHighMul."""
    if a == b == MIN:
        return MAX
    nudge = 1 << 30 if a * b >= 0 else 1 - (1 << 30)
    return truncated(a * b + nudge, 1 << 31)


def divide_by_pot(x: int, exponent: int) -> int:
    """Round to nearest, halves away from zero."""
    magnitude = Fraction(abs(x), 1 << exponent) + Fraction(1, 2)
    rounded = magnitude.numerator // magnitude.denominator
    return rounded if x >= 0 else -rounded


def model(x: int, multiplier: int, shift: int) -> int:
    raised = max(MIN, min(MAX, x << max(shift, 0)))
    return divide_by_pot(high_mul(raised, multiplier), max(-shift, 0))


@settings(max_examples=1000)
@given(x=int32, multiplier=int32, shift=st.integers(-31, 30))
@example(MIN, MIN, 0)
@example(MIN, MAX, -31)
@example(MAX, MAX, 30)
@example(MIN, 1 << 30, 30)
def test_requantize(x: int, multiplier: int, shift: int) -> None:
    assert lib.nrv_call_requantize(x, multiplier, shift) == model(x, multiplier, shift)


@given(x=st.integers(-4096, 4096), shift=st.integers(-12, 0))
def test_requantize_near_ties(x: int, shift: int) -> None:
    """Multiplying by one half is exact or a tie, and shifts tie again."""
    assert lib.nrv_call_requantize(x, 1 << 30, shift) == model(x, 1 << 30, shift)


@pytest.mark.parametrize(
    ("x", "shift", "expected"),
    [
        # times 1/2: a tie goes upwards in the doubling high multiply ...
        (1, 0, 1),
        (-1, 0, 0),
        (3, 0, 2),
        (-3, 0, -1),
        # ... and away from zero in the rounding shift.
        (2, -1, 1),
        (-2, -1, -1),
        (6, -1, 2),
        (-6, -1, -2),
    ],
)
def test_ties(x: int, shift: int, expected: int) -> None:
    assert lib.nrv_call_requantize(x, 1 << 30, shift) == expected


@pytest.mark.parametrize("x", [MIN, -129, -128, -127, 0, 126, 127, 128, MAX])
def test_sat8(x: int) -> None:
    assert lib.nrv_call_sat8(x) == max(-128, min(127, x))
