"""Scales to integers: against exact fractions and against the float64 rule of the reference."""

import ctypes
import subprocess
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest

from quantize.c99.arithmetic import multiplier_of, single_rounding_multiplier
from quantize.c99.kernels import CORE
from quantize.c99.shared import find_compiler


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


def test_dense_layers_of_16_bits_round_as_doubles_do(tmp_path: Path) -> None:
    """Products that lie on a half or an ulp or two beside one: what a float64 product makes of them."""
    source = CORE / "kernels" / "nrv_dense16.c"
    library = tmp_path / "dense16.so"
    flags = ["-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    command = [find_compiler(), *flags, f"-I{CORE}", f"-I{CORE / 'kernels'}", str(source)]
    subprocess.run([*command, "-o", str(library)], check=True)
    rng, count = np.random.default_rng(0), 100_000
    sums = np.floor(2.0 ** rng.uniform(0, 36, count)).astype(np.int64) * rng.choice([-1, 1], count)
    halves = np.floor(2.0 ** rng.uniform(-1, 14.9, count)) + 0.5
    scales = halves / np.abs(sums)
    for _ in range(3):
        scales = np.where(rng.random(count) < 0.3, np.nextafter(scales, 0), scales)
    mantissas, exponents = np.frexp(scales)
    usable = (exponents <= 24) & (exponents >= -34)
    assert usable.sum() > count // 2
    sums, scales, exponents = sums[usable], scales[usable], exponents[usable]
    whole = (mantissas[usable] * 2.0**53).astype(np.int64)
    units = len(sums)
    arrays = {
        "weights": np.zeros(units, np.int8),
        "bias": sums,
        "scale_high": (whole >> 27).astype(np.uint32),
        "scale_low": (whole & ((1 << 27) - 1)).astype(np.uint32),
        "shift": (53 - exponents).astype(np.int8),
    }

    class Dense16(ctypes.Structure):
        _fields_ = [
            *((name, ctypes.c_int32) for name in ("rows", "depth", "units", "act_min", "act_max")),
            *((name, ctypes.c_void_p) for name in arrays),
        ]

    pointers = (array.ctypes.data for array in arrays.values())
    layer = Dense16(1, 1, units, -32768, 32767, *pointers)
    value, output = np.zeros(1, np.int16), np.zeros(units, np.int16)
    run = ctypes.CDLL(str(library)).nrv_dense16
    run(ctypes.byref(layer), ctypes.c_void_p(value.ctypes.data), ctypes.c_void_p(output.ctypes.data))
    products = np.abs(sums.astype(np.float64) * scales)
    # np.round takes halves to even; a half more and cut off is exact for numbers this small.
    expected = np.sign(sums) * np.where(products % 1 >= 0.5, np.ceil(products), np.floor(products))
    assert np.array_equal(output, np.clip(expected, -32768, 32767))
    exact = [
        Fraction(int(abs(s))) * Fraction(float(scale)) % 1 for s, scale in zip(sums, scales, strict=True)
    ]
    nearly = sum(part < Fraction(1, 2) and p % 1 == 0.5 for part, p in zip(exact, products, strict=True))
    assert nearly > 1000  # products that only rounding to a double brings to a half
