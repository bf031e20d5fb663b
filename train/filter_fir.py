"""Fits finite impulse responses into the core's integers."""

from __future__ import annotations

from edge.stages import COEFFICIENT_ONE, WEIGHTS_SUM_MAX, Fir
from train.filter_blocks import Block, UnfitError


def fit_fir(block: Block) -> Fir:
    """Round taps to Q2.30, symmetry kept, so that a constant comes out as large as designed, to within 2^-30.

    Args:
        block: taps and a factor.

    Raises:
        UnfitError: more than fourfold the range could come out.
    """
    weights = [round(tap * COEFFICIENT_ONE) for tap in block.taps.tolist()]
    # What rounding changed of the sum goes to the middle, where one tap, or two alike, are the largest.
    rest = round(float(block.taps.sum()) * COEFFICIENT_ONE) - sum(weights)
    middle = len(weights) // 2
    if len(weights) % 2:
        weights[middle] += rest
    else:
        weights[middle - 1] += rest // 2
        weights[middle] += rest // 2
    if max(map(abs, weights)) >= 2 * COEFFICIENT_ONE or sum(map(abs, weights)) > WEIGHTS_SUM_MAX:
        raise UnfitError(
            "a tap of 2 or more, or taps whose absolute values add up to 4 or more",
            "signal path filters",
            "Give more taps, or move edges",
        )
    return Fir(tuple(weights), block.factor)
