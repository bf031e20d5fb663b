"""Montages: which differences of electrodes the channels become, as exact integers where that is possible."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal

from edge.errors import InnervateError
from edge.stages import Mix

Montage = Literal["common_average", "bipolar"] | Mapping[str, Mapping[str, float]]
"""For each new channel the weights of those there are; or "common_average": each less the mean of all; or
"bipolar": each less its next neighbour, named as "F3-C3"."""

_FRACTION_BITS = 30
_SUM_MAX = (1 << 32) - 1
_BALANCED = 1e-9
"""Weights whose sum is less than this part of their absolute sum add up to zero."""


def fit_montage(montage: Montage, channels: Sequence[str]) -> Mix:
    """Return a montage as integers.

    Weights that are whole, or fractions of a power of two, stay exact; others are rounded to 2^-30, or as
    finely as 32 bits hold. Rows that add up to zero (differences, averages taken away) still do exactly
    afterwards: what all electrodes share is gone to the last bit.

    Args:
        montage: see `Montage`.
        channels: names of the counts' channels.

    Raises:
        InnervateError: too few channels, an unknown one, or weights that integers cannot hold.
    """
    table = _table(montage, channels)
    rows = [_row(name, weights, channels) for name, weights in table.items()]
    shift = next((s for s in range(_FRACTION_BITS + 1) if _whole(rows, s)), _finest(rows))
    fitted = tuple(_rounded(row, shift) for row in rows)
    mix = Mix(tuple(table), fitted, shift)
    mix.validate("montage", tuple(channels))
    return mix


def _table(montage: Montage, channels: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
    count = len(channels)
    if isinstance(montage, Mapping):
        if not montage:
            raise _refusal("it names no channel", "Give each new channel its weights, or leave it out")
        return montage
    if count < 2:
        raise _refusal(f"{montage} needs at least two channels, not {count}", "Leave the montage out")
    if montage == "bipolar":
        return {f"{a}-{b}": {a: 1.0, b: -1.0} for a, b in pairwise(channels)}
    return {name: {other: (other == name) - 1 / count for other in channels} for name in channels}


def _row(name: str, weights: Mapping[str, float], channels: Sequence[str]) -> list[float]:
    for channel, weight in weights.items():
        if channel not in channels:
            raise _refusal(
                f"{name} takes {channel}, which there is not", f"Choose from {', '.join(channels)}"
            )
        if not math.isfinite(weight):
            raise _refusal(f"{name} takes {weight:g} times {channel}", "Give a number")
    if not any(weights.values()):
        raise _refusal(f"all weights of {name} are zero", "Give one that is not, or leave the channel out")
    return [float(weights.get(channel, 0.0)) for channel in channels]


def _whole(rows: Sequence[Sequence[float]], shift: int) -> bool:
    return all(math.ldexp(weight, shift).is_integer() for row in rows for weight in row)


def _finest(rows: Sequence[Sequence[float]]) -> int:
    """Return the largest shift for which all weights and their sums fit."""
    most = max(math.fsum(map(abs, row)) for row in rows)
    if most >= 1 << 30:
        raise _refusal(f"weights that add up to {most:g} are too large", "Divide them all by the same number")
    return min(_FRACTION_BITS, 30 - math.frexp(most)[1] + 1)


def _rounded(row: Sequence[float], shift: int) -> tuple[int, ...]:
    weights = [round(math.ldexp(weight, shift)) for weight in row]
    if abs(math.fsum(row)) <= _BALANCED * math.fsum(map(abs, row)):
        largest = max(range(len(row)), key=lambda i: abs(row[i]))
        weights[largest] -= sum(weights)
    return tuple(weights)


def _refusal(what: str, fix: str) -> InnervateError:
    return InnervateError(what, "montage", fix)
