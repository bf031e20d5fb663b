"""Linear filters in float64: the parts a signal path is made of, and what an impulse becomes in them.

A path is a sequence of segments with a rectifier between any two; a segment is a sequence of blocks.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge.errors import InnervateError
from edge.stages import COEFFICIENT_ONE, Cascade, Fir, Rectify, Section, Stage

Floats = NDArray[np.float64]

_DECAY = 2.0**-60
"""Impulse responses are followed until the slowest pole's envelope has fallen to this."""

_TAIL_MARGIN = 1 + 2.0**-20
"""Covers what is left of a response then, and float64's rounding in adding it up."""

_HORIZON_MAX = 1 << 20
_LAGS_MAX = 1 << 24
"""Samples at the rate of a filter, and at that of the counts; a longer response is not worth designing."""


class UnfitError(InnervateError):
    """Filters that cannot be run at their rate; at a lower one they may be."""


class Block(NamedTuple):
    """Second-order sections, or a finite response with decimation after it; the other one is trivial.

    Attributes:
        sos: as scipy has it, float64 [sections, 6].
        taps: impulse response, float64 [taps].
        factor: one sample is given for so many.
    """

    sos: Floats
    taps: Floats
    factor: int = 1


Segment = tuple[Block, ...]


def cascade_block(sos: Floats) -> Block:
    """Return sections as a block."""
    return Block(np.asarray(sos, np.float64).reshape(-1, 6), np.ones(1))


def fir_block(taps: Sequence[float] | Floats, factor: int = 1) -> Block:
    """Return a finite impulse response as a block."""
    return Block(np.empty((0, 6)), np.asarray(taps, np.float64), factor)


def sos_of(sections: Sequence[Section]) -> Floats:
    """Return the sections as scipy's `sos`, float64 [sections, 6]."""
    return np.array([section.coefficients() for section in sections]).reshape(-1, 6)


def block_of(stage: Cascade | Fir) -> Block:
    """Return what a stage's integers stand for."""
    if isinstance(stage, Cascade):
        return cascade_block(sos_of(stage.sections))
    return fir_block(np.array(stage.weights) / COEFFICIENT_ONE, stage.factor)


def segments_of(stages: Iterable[Stage]) -> tuple[Segment, ...]:
    """Return what the stages' integers stand for. Montages are left out: they depend on no frequency."""
    segments: list[Segment] = [()]
    for stage in stages:
        if isinstance(stage, Rectify):
            segments.append(())
        elif isinstance(stage, Cascade | Fir):
            segments[-1] += (block_of(stage),)
    return tuple(segments)


def decimation(segment: Segment) -> int:
    """Return the samples that a segment takes for one given."""
    return math.prod(block.factor for block in segment)


def horizon(sos: Floats) -> int:
    """Return the samples after which an impulse response is over.

    Raises:
        UnfitError: a pole on or outside the unit circle, or too close to it to end in reasonable time.
    """
    radius = 0.0
    order = 0
    for row in sos:
        poles = np.abs(np.roots(row[3:]))
        radius = max(radius, *poles.tolist(), 0.0)
        order += len(poles)
    if radius == 0.0:
        return 2 * len(sos) + 3
    if radius < 1.0:
        # A pole of multiplicity m decays as n^(m-1) r^n: the factor makes room for it.
        samples = math.ceil(math.log(_DECAY) / math.log(radius) * (1 + 0.1 * order)) + 2 * len(sos) + 3
        if samples <= _HORIZON_MAX:
            return samples
    raise _too_slow()


def _too_slow() -> UnfitError:
    return UnfitError(
        "a filter as slow as this cannot be run at this rate with the core's coefficients",
        "signal path filters",
        "Raise its lowest edge, lower its order, or bring the sampling rate down first",
    )


def impulse_response(sos: Floats, samples: int) -> Floats:
    """Return the response to a unit impulse, float64 [samples]."""
    impulse = np.zeros(samples)
    impulse[0] = 1.0
    return np.asarray(signal.sosfilt(sos, impulse) if len(sos) else impulse, np.float64)


def l1_norm(response: Floats) -> float:
    """Return the largest output for any input within +-1."""
    return float(np.sum(np.abs(response))) * _TAIL_MARGIN


class Response(NamedTuple):
    """What a unit impulse at one place of a path becomes at another.

    Attributes:
        values: weight of the sample so many samples ago there in the newest sample here, float64 [lags].
        step: samples there for one sample here.
    """

    values: Floats
    step: int = 1

    def extended(self, more: int) -> Response:
        """Return the response with room for so many more samples here.

        Raises:
            UnfitError: too many to handle.
        """
        count = -(-len(self.values) // self.step) + more
        if count * self.step > _LAGS_MAX:
            raise _too_slow()
        padded = np.zeros(count * self.step)
        padded[: len(self.values)] = self.values
        return Response(padded, self.step)

    def through_sections(self, sos: Floats) -> Response:
        """Return the response after sections as well, no longer than before: `extended` makes room."""
        rows = self.values.reshape(-1, self.step)
        return self._replace(values=np.asarray(signal.sosfilt(sos, rows, axis=0), np.float64).ravel())

    def through(self, block: Block) -> Response:
        """Return the response after a block as well, followed until it is over."""
        made = self
        if len(block.sos):
            made = made.extended(horizon(block.sos)).through_sections(block.sos)
        if len(block.taps) > 1:
            rows = made.extended(0).values.reshape(-1, made.step)
            values = signal.oaconvolve(rows, block.taps[:, None], axes=0).ravel()
        else:
            values = made.values * block.taps[0]
        return Response(values, made.step * block.factor)


UNIT = Response(np.ones(1))


def response_of(segment: Iterable[Block], before: Response = UNIT) -> Response:
    """Return the response after all blocks."""
    for block in segment:
        before = before.through(block)
    return before


def transfer(blocks: Iterable[Block], freqs: Floats, fs_hz: float) -> NDArray[np.complex128]:
    """Return the frequency response of blocks, complex [n], at freqs in Hz, for fs_hz before the first."""
    product = np.ones(freqs.shape, np.complex128)
    for block in blocks:
        z = np.exp(-2j * np.pi * freqs / fs_hz)
        for row in block.sos:
            product *= np.polyval(row[2::-1], z) / np.polyval(row[:2:-1], z)
        product *= np.polyval(block.taps[::-1], z)
        fs_hz /= block.factor
    return product
