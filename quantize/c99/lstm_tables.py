"""The LSTM's sigmoid as the tables of `nrv_dsp_sigmoid.h`: lines, and how far above them each value lies."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from quantize.c99.program import Value

Integers = NDArray[np.int64]
Words = NDArray[np.uint32]

_FAR, _FLAT = 1 << 14, 37464  # NRV_SIGMOID_FAR and NRV_SIGMOID_FLAT
_BLOCK = 256  # arguments of one line
_SPREAD = 512  # by which the slopes tried differ from the chord's


def _times(x: Integers, y: Integers | int) -> Integers:
    return (x * y + (1 << 14)) >> 15


def _halved(x: Integers, times: int) -> Integers:
    rounded: Integers = np.sign(x) * ((np.abs(x) + (1 << times >> 1)) >> times)
    return rounded


def _exponentials(count: int, bits: int) -> Integers:
    """Return e^-v of v = 0 ... count - 1 steps of 2^(bits - 15) as gemmlowp gives it, in steps of 2^-15."""
    middle, third = 28918, 10923  # e^(-1/8), 1/3
    quarter = 1 << (13 - bits)
    before = np.arange(count - 1)
    x = (1 << 12) - (before % quarter + 1) * (1 << bits)  # from the middle of the last quarter
    x2 = _times(x, x)
    series = _halved(_times(_halved(_times(x2, x2), 2) + _times(x2, x), third) + x2, 1)
    result = middle + _times(x + series, middle)
    for bit, factor in enumerate((25520, 19875, 12055, 4435, 600, 11)):  # e^-(2^bit / 4)
        result = np.where(before // quarter >> bit & 1, _times(result, factor), result)
    return np.concatenate([[(1 << 15) - 1], result])


def _twice_reciprocal(a: Integers) -> Integers:
    """Return 2 / (1 + a) in steps of 2^-13: Newton and Raphson's three steps from 48/17 - 32/17 d."""
    d = (a + (1 << 15)) >> 1
    x = 23130 + _times(d, -15420)
    for _ in range(3):
        x = x + 4 * _times(x, (1 << 13) - _times(x, d))
    return x


def _twice_sigmoid(count: int, bits: int) -> Integers:
    """Return 2 / (1 + e^-v) in steps of 2^-13; 0 has a branch of its own."""
    return np.concatenate([[1 << 13], _twice_reciprocal(_exponentials(count, bits)[1:])])


def _line(y: Integers, limit: int, steps: int, even: bool) -> tuple[int, Integers]:
    """Return a line's word and how far above it its values lie, at most `limit`."""
    k = np.arange(len(y))
    chord = round(float(y[-1] - y[0]) / max(len(y) - 1, 1) * (1 << steps))
    best = limit + 1
    word, above = 0, y
    for slope in range(max(chord - _SPREAD, -(1 << 15)), min(chord + _SPREAD, (1 << 15) - 1) + 1, 8):
        rest = y - ((slope * k + slope % (1 << 16)) >> steps)
        start = int(rest.min()) // (1 + even) * (1 + even)
        if rest.max() - start < best:
            best = int(rest.max()) - start
            word, above = (start << steps) + slope % (1 << 16), rest - start
    assert best <= limit
    return word, above


def _packed(above: Integers, bits: int) -> Words:
    """Return values of `bits` bits as words: the first in the highest bits, the others from the lowest on."""
    count = 32 // bits
    places = (np.arange(count) - 1) % count * bits
    words = np.pad(above, (0, -len(above) % count)).reshape(-1, count) << places
    return np.asarray(words.sum(axis=1), np.uint32)


def _lines(y: Integers, limit: int, steps: int, even: bool = False) -> tuple[Words, Integers]:
    """Return the words of all lines, and how far above them the values lie."""
    parts = [_line(y[i : i + _BLOCK], limit, steps, even) for i in range(0, len(y), _BLOCK)]
    words, above = zip(*parts, strict=True)
    return np.asarray(words, np.uint32), np.concatenate(above)


def _curve(y: Integers) -> dict[str, Words]:
    """Return an `nrv_dsp_curve_t`."""
    lines, above = _lines(y, 15, 15, even=True)
    return {"lines": lines, "above": _packed(above, 4)}


@lru_cache
def sigmoid_tables() -> dict[str, Value]:
    """Return an `nrv_dsp_sigmoid_t`."""
    far = _exponentials(_FLAT, 3)[_FAR:] >> 1
    far_lines, far_above = _lines(far, 1, 16)
    return {
        "near": _curve(_twice_sigmoid(_FAR, 3)),
        "far_lines": far_lines,
        "far_above": _packed(far_above, 1),
        "far_values": _twice_reciprocal(2 * np.arange(far.max() + 1)).astype(np.int16),
    }


@lru_cache
def fine_tanh_tables(cell_bits: int) -> dict[str, Words]:
    """Return an `nrv_dsp_curve_t` of 2 / (1 + e^-2x) for x of 0 or 1 integer bits."""
    return _curve(_twice_sigmoid((1 << 15) + 1, cell_bits + 1))
