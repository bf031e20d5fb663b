"""Features against float64, exact fractions and scipy, within the bounds that core/feature_set.h states."""

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from edge._core import ffi, lib
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import periodogram

from edge.core import sine_table
from edge.errors import InnervateError
from edge.features import EEG_BANDS_HZ, Feature, FeatureSet, band_bins

Window = NDArray[np.int16]
SHAPES: dict[str, Callable[[int, np.random.Generator], NDArray[np.float64]]] = {
    "noise": lambda n, r: r.normal(size=n) / 4,
    "extremes": lambda n, r: r.choice([-1.0, 1.0], n),
    "constant": lambda n, r: np.full(n, r.uniform(-1, 1)),
    "silence": lambda n, r: np.zeros(n),
    "alternating": lambda n, r: np.resize([1.0, -1.0], n),
    "impulse": lambda n, r: np.eye(1, n, r.integers(n))[0],
    "first and last": lambda n, r: np.eye(1, n)[0] - np.eye(1, n, n - 1)[0],
    "ramp": lambda n, r: np.linspace(-1, 1, n),
    "bump": lambda n, r: np.sin(np.pi * np.arange(n) / n) ** 6,
    "sine": lambda n, r: np.sin(r.uniform(0, np.pi) * np.arange(n) + r.uniform(0, 6)),
    "step": lambda n, r: np.sign(np.arange(n) - r.integers(n)),
    "drift and noise": lambda n, r: np.cumsum(r.normal(size=n)) / (4 * math.sqrt(n)),
}


@st.composite
def windows(draw: st.DrawFn) -> Window:
    n = draw(st.one_of(st.integers(1, 4), st.integers(5, 256), st.sampled_from([1000, 2048, 4095, 4096])))
    shape = SHAPES[draw(st.sampled_from(list(SHAPES)))](n, np.random.default_rng(draw(st.integers(0, 2**32))))
    size = draw(st.sampled_from([1, 3, 50, 2000, 32768]))
    window: Window = np.clip(np.round(shape * size), -32768, 32767).astype(np.int16)
    return window


def run(window: Window, *features: Feature, spectrum_length: int = 0) -> list[int]:
    result: list[int] = FeatureSet(features, spectrum_length).extract(window[:, None])[0].tolist()
    return result


def nearest(value: Fraction) -> int:
    return math.floor(value + Fraction(1, 2))


# ---- helpers


@settings(max_examples=500)
@given(st.one_of(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1).map(lambda k: k * k + k)))
@example(0)
@example(2**64 - 1)
@example((2**32 - 1) ** 2 + 2**32 - 1)  # the last below a half
@example((2**32 - 1) ** 2 + 2**32)
def test_isqrt_is_rounded_to_nearest(x: int) -> None:
    root = lib.nrv_isqrt(x)
    # (root - 1/2)^2 <= x <= (root + 1/2)^2, times 4
    assert (2 * root - 1) ** 2 <= 4 * x <= (2 * root + 1) ** 2 or x == root == 0


@settings(max_examples=500)
@given(st.one_of(st.integers(1, 2**64 - 1), st.integers(0, 63).map(lambda k: 2**k)))
@example(1)
@example(2**64 - 1)
@example(2**33 - 1)  # rounds up to a 33rd bit
def test_log2_is_within_half_an_lsb(x: int) -> None:
    assert abs(lib.nrv_log2(x) - math.log2(x) * 65536) < 0.5 + 2**-12


def test_log2_of_nothing_is_zero() -> None:
    assert lib.nrv_log2(0) == 0


@given(st.integers(0, 2**63), st.integers(1, 2**63))
@example(2**63, 1)
@example(1, 2)
@example(2**63 - 1, 2**63)
def test_divide_rounds_halves_up(numerator: int, denominator: int) -> None:
    assert lib.nrv_divide(numerator, denominator) == nearest(Fraction(numerator, denominator))


def exact(scaled: ffi.CData) -> Fraction:
    assert scaled.mantissa == 0 or scaled.mantissa >= 2**31
    return int(scaled.mantissa) * Fraction(2) ** int(scaled.exponent)


@settings(max_examples=300)
@given(st.integers(1, 2**64 - 1), st.integers(1, 2**64 - 1))
@example(2**64 - 1, 1)
@example(2**32 - 1, 2**31)
@example(2**31, 2**32 - 1)
def test_scaled_numbers_lose_less_than_2_to_the_minus_31(a: int, b: int) -> None:
    tolerance = Fraction(1, 2**31)
    x, y = lib.nrv_scaled(a), lib.nrv_scaled(b)
    assert abs(exact(x) / a - 1) < tolerance
    assert abs(exact(lib.nrv_scaled_multiply(x, y)) / (exact(x) * exact(y)) - 1) < tolerance
    assert abs(exact(lib.nrv_scaled_divide(x, y)) / (exact(x) / exact(y)) - 1) < tolerance
    assert abs(exact(lib.nrv_scaled_sqrt(x)) ** 2 / exact(x) - 1) < 2 * tolerance


@given(st.integers(0, 2**64 - 1), st.integers(-80, 80))
@example(2**32 - 1, -32)
@example(2**31, -32)
@example(2**31 - 1, 0)
@example(2**31, 0)
@example(1, 62)
def test_scaled_to_fixed_rounds_and_saturates(x: int, bits: int) -> None:
    scaled = lib.nrv_scaled(x)
    assert lib.nrv_scaled_fixed(scaled, bits) == min(nearest(exact(scaled) * Fraction(2) ** bits), 2**31 - 1)


def test_nothing_scaled_stays_nothing() -> None:
    nothing = lib.nrv_scaled(0)
    assert exact(nothing) == exact(lib.nrv_scaled_divide(lib.nrv_scaled(5), nothing)) == 0
    assert (
        exact(lib.nrv_scaled_multiply(nothing, lib.nrv_scaled(5))) == exact(lib.nrv_scaled_sqrt(nothing)) == 0
    )


@given(st.integers(-(2**30), 2**31))
@example(0)
@example(-1)
@example(15 * 2**26)
def test_exp2_is_within_its_bound(x: int) -> None:
    value = 2.0 ** (x / 2**26 + 8)
    assert abs(lib.nrv_exp2_fixed(x, 8) - min(value, 2**31 - 1)) <= 0.5 + value * 2**-28


def test_the_sine_table_is_the_sine_and_what_its_script_writes() -> None:
    angle = (
        np.arange(1025, dtype=np.longdouble)
        / 1024
        * (np.longdouble(np.pi) + np.longdouble(1.2246468e-16))
        / 2
    )
    table = np.array(list(lib.nrv_sine))
    assert np.abs(table - np.sin(angle) * 2**30).max() <= 0.5 + 1e-6
    assert sine_table.TARGET.read_text() == sine_table.source()


# ---- time domain


@settings(max_examples=300, deadline=None)
@given(windows())
@example(np.full(4096, -32768, np.int16))
@example(np.resize(np.array([-32768, 32767], np.int16), 4096))
@example(np.array([-32768, 32767], np.int16))
def test_sizes_are_rounded_to_nearest(window: Window) -> None:
    x, n = [int(v) for v in window], len(window)
    length = sum(abs(b - a) for a, b in pairwise(x))
    spread = sum(v * v for v in x) - Fraction(sum(x) ** 2, n)
    kinds = ("mav", "variance", "activity", "waveform_length", "line_length", "rms", "log_detector")
    *exactly, rms, log = run(window, *(Feature(kind) for kind in kinds))  # type: ignore[arg-type]
    assert exactly == [
        nearest(Fraction(256 * sum(map(abs, x)), n)),
        nearest(spread / (n - 1)) if n > 1 else 0,
        nearest(spread / n),
        length,
        nearest(Fraction(256 * length, n - 1)) if n > 1 else 0,
    ]
    floats = window.astype(np.float64)
    assert abs(rms - 256 * math.sqrt((floats**2).mean())) < 0.6
    assert abs(log - 256 * math.exp(np.log(np.maximum(np.abs(floats), 1)).mean())) < 0.7


@settings(max_examples=200, deadline=None)
@given(windows(), st.sampled_from([0, 1, 2, 10, 3000, 65535]))
def test_counts_are_exact(window: Window, threshold: int) -> None:
    x = window.astype(np.int64)
    d = np.diff(x)
    big = np.abs(d) >= threshold
    expected = [
        int(((x[1:] * x[:-1] < 0) & big).sum()),
        int(((d[1:] * d[:-1] < 0) & (big[1:] | big[:-1])).sum()),
        int(big.sum()),
    ]
    kinds = ("zero_crossings", "slope_sign_changes", "willison_amplitude")
    assert run(window, *(Feature(kind, threshold=threshold) for kind in kinds)) == expected  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(windows())
@example(np.array([0, 1, 0], np.int16))
@example(np.array([-32768, 32767, -32768], np.int16))
@example(np.concatenate([np.arange(-32768, 32752, 16), [32767]]).astype(np.int16))  # complexity saturates
def test_hjorth_is_within_its_bounds(window: Window) -> None:
    def variance(x: list[int]) -> Fraction:
        return sum(v * v for v in x) / Fraction(len(x)) - Fraction(sum(x), len(x)) ** 2 if x else Fraction(0)

    x = [int(v) for v in window]
    d = [b - a for a, b in pairwise(x)]
    e = [b - a for a, b in pairwise(d)]
    of_x, of_d, of_e = variance(x), variance(d), variance(e)
    mobility, complexity = run(window, Feature("mobility"), Feature("complexity"))
    assert abs(mobility - 65536 * math.sqrt(of_d / of_x if of_x else 0)) < 0.6
    value = 65536 * math.sqrt(of_e * of_x / of_d**2 if of_d else 0)
    assert abs(complexity - min(value, 2**31 - 1)) < max(0.6, 0.5 + value * 2**-28)


def solve(matrix: list[list[Fraction]], right: list[Fraction]) -> list[Fraction]:
    """Gauss; no pivoting is needed for a positive definite matrix."""
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for i, pivot in enumerate(rows):
        for row in rows[i + 1 :]:
            factor = row[i] / pivot[i]
            row[i:] = [a - factor * b for a, b in zip(row[i:], pivot[i:], strict=True)]
    out: list[Fraction] = []
    for row in reversed(rows):
        known = sum((a * b for a, b in zip(reversed(row[:-1]), out, strict=False)), Fraction(0))
        out.append((row[-1] - known) / row[len(rows) - 1 - len(out)])
    return out[::-1]


@settings(max_examples=150, deadline=None)
@given(windows(), st.integers(1, 8))
@example(np.full(4096, -32768, np.int16), 8)
@example(np.resize(np.array([-32768, 32767], np.int16), 4096), 8)
@example(np.array([math.comb(16, k) for k in range(17)], np.int16), 8)  # next to no power at high frequencies
@example(np.round(32767 * np.sin(np.pi * np.arange(4096) / 4096) ** 8).astype(np.int16), 8)
@example(np.array([5], np.int16), 8)
def test_autoregression_solves_the_equations(window: Window, order: int) -> None:
    x = [int(v) for v in window]
    r = [Fraction(sum(a * b for a, b in zip(x[k:], x, strict=False))) for k in range(order + 1)]
    computed = run(window, Feature("autoregression", order=order))
    if r[0] == 0:
        assert computed == [0] * order
        return
    matrix = [[r[abs(i - j)] + (r[0] / 2**20 if i == j else 0) for j in range(order)] for i in range(order)]
    expected = solve(matrix, r[1:])
    assert max(abs(c - e * 2**20) for c, e in zip(computed, expected, strict=True)) < 0.52


# ---- spectrum


def bound(power: float, total: float) -> float:
    """Of a computed power, as core/features_spectrum.h states it."""
    r = 2.0**-17 * math.sqrt(total) + 2.0**-12
    return 2 * r * math.sqrt(power) + r * r + total * 2.0**-27


def true_powers(window: Window, length: int) -> NDArray[np.float64]:
    if len(window) == 1:
        return np.zeros(length // 2 + 1)  # nothing but its mean
    powers: NDArray[np.float64] = periodogram(window.astype(np.float64), 1.0, "hann", length)[1] / length
    return powers


@st.composite
def spectra(draw: st.DrawFn) -> tuple[Window, int, int, int]:
    """A window, a length, and a band of bins."""
    window = draw(windows())
    shortest = max(6, (len(window) - 1).bit_length())
    length = 1 << draw(st.integers(shortest, min(12, shortest + 2)))
    first, last = sorted(draw(st.tuples(*[st.integers(0, length // 2)] * 2)))
    return window, length, first, last


@settings(max_examples=400, deadline=None)
@given(spectra(), st.sampled_from([1 / 65536, 0.1, 0.5, 0.95, 65535 / 65536]))
@example((np.full(4096, -32768, np.int16), 4096, 0, 2048), 0.5)
@example((np.resize(np.array([-32768, 32767], np.int16), 4096), 4096, 0, 2048), 0.95)
@example((np.resize(np.array([-32768, 32767], np.int16), 4096), 4096, 1, 2000), 0.95)
@example((np.array([32767, -32768, 32767], np.int16), 64, 0, 32), 0.5)
@example((np.array([-1, 1], np.int16), 64, 1, 31), 0.5)
def test_the_spectrum_is_within_its_bounds(case: tuple[Window, int, int, int], share: float) -> None:
    window, length, first, last = case
    powers = true_powers(window, length)
    total, band = float(powers.sum()), float(powers[first : last + 1].sum())
    off = bound(band, total)
    bins = (first, last)
    power, log, edge, mean = run(
        window,
        Feature("band_power", bins=bins),
        Feature("log_band_power", bins=bins),
        Feature("spectral_edge", bins=bins, share=share),
        Feature("mean_frequency", bins=bins),
        spectrum_length=length,
    )
    assert abs(power - band) <= off + 0.5
    lowest, highest = (max(-16.0, math.log2(max(p, 1e-9))) for p in (band - off, band + off))
    assert lowest * 65536 - 1 <= log <= highest * 65536 + 1
    if not powers.any():
        assert (power, log, edge, mean) == (0, -16 * 65536, 0, 0)
    if band <= 2 * off:
        return  # next to nothing in the band: its frequency means nothing
    assert (
        abs(mean / 65536 - np.arange(first, last + 1) @ powers[bins[0] : bins[1] + 1] / band)
        <= (last - first) * off / (band - off) + 1 / 65536
    )
    at = math.floor(edge / 65536 + 0.5)
    assert first - 0.5 <= edge / 65536 <= last + 0.5
    part = edge / 65536 + 0.5 - at
    below = powers[first:at].sum() + (part * powers[at] if at <= last else 0)
    # One LSB of the frequency is 2^-16 of its bin's power.
    assert abs(below - share * band) <= 2 * off + powers[min(at, last)] / 65536


def test_band_powers_of_known_tones() -> None:
    """0.5 A^2 in the band of a sine of whole cycles, nothing elsewhere; log2 of it; its frequency."""
    fs_hz, n = 256.0, 512
    t = np.arange(n) / fs_hz
    window = np.round(1000 * np.sin(2 * np.pi * 10 * t) + 100 * np.sin(2 * np.pi * 20 * t)).astype(np.int16)
    bands = [band_bins(low, high, fs_hz, n) for low, high in EEG_BANDS_HZ.values()]
    everything = band_bins(0.5, 45, fs_hz, n)
    features = FeatureSet(
        (
            *(Feature("band_power", bins=bins) for bins in bands),
            Feature("log_band_power", bins=bands[2]),
            Feature("mean_frequency", bins=everything),
            Feature("spectral_edge", bins=everything),
        ),
        n,
    )
    delta, theta, alpha, beta, gamma, log, mean, median = (
        features.extract(window[:, None])[0] * features.scale
    )
    assert (delta, theta, gamma) == (0, 0, 0)
    assert alpha == pytest.approx(500_000, rel=1e-4)
    assert beta == pytest.approx(5_000, rel=1e-3)
    assert log == pytest.approx(math.log2(500_000), abs=1e-3)
    assert mean * fs_hz == pytest.approx((10 * 1 + 20 * 0.01) / 1.01, abs=1e-2)
    assert median * fs_hz == pytest.approx(10, abs=0.5)


# ---- the set


ALL = FeatureSet(
    (
        Feature("mav"),
        Feature("autoregression", order=3),
        Feature("zero_crossings", threshold=5),
        Feature("log_band_power", bins=(2, 9)),
        Feature("spectral_edge", bins=(1, 32), share=0.95),
        Feature("complexity"),
    ),
    64,
)


def test_channels_and_windows_do_not_touch() -> None:
    windows = np.random.default_rng(1).integers(-500, 500, (3, 50, 4)).astype(np.int16)
    together = ALL.extract(windows)
    assert together.shape == (3, 4, 8)
    assert together.dtype == np.int32
    for k, channel in np.ndindex(3, 4):
        alone = ALL.extract(np.ascontiguousarray(windows[k, :, channel : channel + 1]))
        np.testing.assert_array_equal(together[k, channel], alone[0])
    np.testing.assert_array_equal(
        ALL.extract(windows[:, ::-1, ::2]), ALL.extract(windows[:, ::-1, ::2].copy())
    )


def test_names_and_scale_follow_the_values() -> None:
    assert ALL.names == [
        "mav",
        *(f"autoregression[{i}]" for i in (1, 2, 3)),
        "zero_crossings[5]",
        "log_band_power[2-9]",
        "spectral_edge[0.95,1-32]",
        "complexity",
    ]
    assert ALL.scale.tolist() == [2**-8, *[2**-20] * 3, 1, 2**-16, 2**-22, 2**-16]


def test_a_set_survives_json() -> None:
    assert msgspec.json.decode(msgspec.json.encode(ALL), type=FeatureSet) == ALL


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (FeatureSet(()), "there is no feature"),
        (FeatureSet((Feature("max"),)), "no such feature"),  # type: ignore[arg-type]
        (FeatureSet((Feature("mav"), Feature("zero_crossings", threshold=-1))), r"features\[1\], zero"),
        (FeatureSet((Feature("autoregression", order=9),)), "order is 9"),
        (FeatureSet((Feature("band_power"),)), "spectrum_length is 0"),
        (FeatureSet((Feature("mav"),), 100), "spectrum_length is 100"),
        (FeatureSet((Feature("band_power", bins=(3, 33)),), 64), "bins are 3 to 33"),
        (FeatureSet((Feature("band_power", bins=(4, 3)),), 64), "bins are 4 to 3"),
        (FeatureSet((Feature("spectral_edge", bins=(0, 3), share=1.0),), 64), "share is 1"),
        (FeatureSet((Feature("spectral_edge", bins=(0, 3), share=math.nan),), 64), "share is nan"),
    ],
)
def test_a_bad_set_is_refused(features: FeatureSet, sentence: str) -> None:
    with pytest.raises(InnervateError, match=sentence):
        features.extract(np.zeros((8, 1), np.int16))


@pytest.mark.parametrize(
    ("window", "sentence"),
    [
        (np.zeros((8, 1), np.int32), "int32"),
        (np.zeros(8, np.int16), "shape"),
        (np.zeros((0, 1), np.int16), "shape"),
        (np.zeros((8, 0), np.int16), "shape"),
        (np.zeros((65, 1), np.int16), "1 to 64 samples"),
    ],
)
def test_a_bad_window_is_refused(window: NDArray[np.int16], sentence: str) -> None:
    with pytest.raises(InnervateError, match=sentence):
        ALL.extract(window)


def test_bands_share_no_bin_and_empty_ones_are_refused() -> None:
    bands = [band_bins(low, high, 250.0, 256) for low, high in EEG_BANDS_HZ.values()]
    assert bands == [(1, 4), (5, 8), (9, 13), (14, 30), (31, 46)]
    with pytest.raises(InnervateError, match="no bin from 1 to 2 Hz"):
        band_bins(1, 2, 1000.0, 64)
    with pytest.raises(InnervateError, match="Choose one within 0 to 50 Hz"):
        band_bins(30, 60, 100.0, 64)
