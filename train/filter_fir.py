"""Fits finite impulse responses into the core's integers."""

from __future__ import annotations

from edge.stages import COEFFICIENT_ONE, Fir
from train.filter_blocks import Block


def fit_fir(block: Block) -> Fir:
    """Round taps to Q2.30, symmetry kept, so that a constant comes out as large as designed, to within 2^-30.

    Args:
        block: taps within +-2, and a factor.
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
    return Fir(tuple(weights), block.factor)
