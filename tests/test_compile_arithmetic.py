"""Scales to integers: against exact fractions and against the float64 rule of the reference."""

from fractions import Fraction
from math import floor

import numpy as np
import pytest

from quantize.c99.arithmetic import multiplier_of, single_rounding_multiplier


def test_multiplier_is_the_nearest() -> None:
    rng = np.random.default_rng(0)
    for real in 2.0 ** rng.uniform(-31, 20, 500):
        m = multiplier_of(float(real))
        assert 1 << 30 <= m.value < 1 << 31
        exact = Fraction(float(real)) / Fraction(2) ** (m.shift - 31)
        assert abs(exact - m.value) <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("real", "value", "shift"), [(0.5, 1 << 30, 0), (1.0, 1 << 30, 1), (1 - 2**-40, 1 << 30, 1)]
)
def test_multiplier_at_the_edges(real: float, value: int, shift: int) -> None:
    m = multiplier_of(real)
    assert (m.value, m.shift) == (value, shift)


def test_multipliers_too_small_for_a_shift_are_zero() -> None:
    assert multiplier_of(2.0**-33).value == 0
    assert multiplier_of(2.0**-32).value == 1 << 30


def reference(acc: int, scale: float) -> int:
    """What LiteRT's dense layer does: a float64 product, rounded half away from zero (for acc >= 0)."""
    return floor(acc * scale + 0.5) if acc * scale < 2**51 else round(acc * scale)


@pytest.mark.parametrize("seed", range(40))
def test_single_rounding_is_exact_for_every_sum(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Powers of two give exact halves, the hardest case.
    scale = float(2.0 ** (rng.integers(-12, 0) if seed % 4 == 0 else rng.uniform(-14, 1)))
    bound = int(rng.integers(1, 60_000))
    m = single_rounding_multiplier(scale, bound)
    assert m is not None
    for acc in range(bound + 1):
        expected = reference(acc, scale)
        value = (acc * m.value + (1 << (m.shift - 1))) >> m.shift
        assert value == expected or (value > 254 and expected > 254)


@pytest.mark.parametrize("bound", [1, 2**20, 2**26, 2**31 - 200])
def test_single_rounding_fits_its_integers(bound: int) -> None:
    rng = np.random.default_rng(bound)
    for scale in 2.0 ** rng.uniform(-40, min(0, 30 - np.log2(bound)), 50):
        m = single_rounding_multiplier(float(scale), bound)
        if m is not None:
            assert 0 <= m.value * bound + (1 << (m.shift - 1)) < 1 << 63
            assert 1 <= m.shift <= 62
