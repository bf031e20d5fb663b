"""The LSTM's sigmoid as the tables of `nrv_dsp_sigmoid.h`: lines, and how far above them each value lies."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_FAR, _FLAT = 1 << 14, 37464  # NRV_SIGMOID_FAR and NRV_SIGMOID_FLAT
_BLOCK = 256  # arguments of one line
_SPREAD = 512  # by which the slopes tried differ from the chord's


def _times(x: Integers, y: Integers | int) -> Integers:
    return (x * y + (1 << 14)) >> 15


def _halved(x: Integers, times: int) -> Integers:
    rounded: Integers = np.sign(x) * ((np.abs(x) + (1 << times >> 1)) >> times)
    return rounded


def _exponentials(count: int) -> Integers:
    """Return e^-v of v = 0, 1/4096, ... as gemmlowp gives it in int16, in steps of 2^-15; 1 saturates."""
    middle, third = 28918, 10923  # e^(-1/8), 1/3
    v = np.arange(1, count)
    x = (1 << 12) - 8 * ((v - 1) % 1024 + 1)  # from the middle of the last quarter
    x2 = _times(x, x)
    series = _halved(_times(_halved(_times(x2, x2), 2) + _times(x2, x), third) + x2, 1)
    result = middle + _times(x + series, middle)
    for bit, factor in enumerate((25520, 19875, 12055, 4435, 600, 11)):  # e^-(2^bit / 4)
        result = np.where((v - 1) // 1024 >> bit & 1, _times(result, factor), result)
    return np.concatenate([[(1 << 15) - 1], result])


def _twice_reciprocal(a: Integers) -> Integers:
    """Return 2 / (1 + a) in steps of 2^-13: Newton and Raphson's three steps from 48/17 - 32/17 d."""
    d = (a + (1 << 15)) >> 1
    x = 23130 + _times(d, -15420)
    for _ in range(3):
        x = x + 4 * _times(x, (1 << 13) - _times(x, d))
    return x


def _line(y: Integers, limit: int, steps: int, even: bool) -> tuple[int, Integers]:
    """Return a line's word and how far above it its values lie, at most `limit`."""
    k = np.arange(len(y))
    chord = round(float(y[-1] - y[0]) / (len(y) - 1) * (1 << steps))
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


def _packed(above: Integers, bits: int) -> NDArray[np.uint32]:
    """Return values of `bits` bits as words: the first in the highest bits, the others from the lowest on."""
    count = 32 // bits
    places = (np.arange(count) - 1) % count * bits
    words = np.pad(above, (0, -len(above) % count)).reshape(-1, count) << places
    return words.sum(axis=1).astype(np.uint32)


@lru_cache
def sigmoid_tables() -> dict[str, NDArray[np.uint32] | NDArray[np.int16]]:
    """Return the members of an `nrv_dsp_sigmoid_t`."""
    exponentials = _exponentials(_FLAT)
    near = _twice_reciprocal(exponentials[:_FAR])
    near[0] = 1 << 13  # 0 has a branch of its own
    far = exponentials[_FAR:] >> 1
    parts = {"near": (near, 15, 15, 4), "far": (far, 1, 16, 1)}
    tables: dict[str, NDArray[np.uint32] | NDArray[np.int16]] = {}
    for name, (y, limit, steps, bits) in parts.items():
        lines = [
            _line(y[i : i + _BLOCK], limit, steps, even=name == "near") for i in range(0, len(y), _BLOCK)
        ]
        tables[f"{name}_lines"] = np.array([word for word, _ in lines]).astype(np.uint32)
        tables[f"{name}_above"] = _packed(np.concatenate([above for _, above in lines]), bits)
    tables["far_values"] = _twice_reciprocal(2 * np.arange(far.max() + 1)).astype(np.int16)
    return tables
