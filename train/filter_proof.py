"""What a cascade of quantised sections can do at worst: its largest values, its rounding noise, its delays.

For a linear system the largest output for any input within +-1 is the L1 norm of its impulse response
(Jackson, "On the interaction of roundoff noise and dynamic range in digital filters", 1970). Applied to every
section's output, with the bound of every rounding error added, it says whether the core's int32 signals hold
for any counts whatever. Its 64-bit accumulators then hold too: they count modulo 2^64, and their final value
is 2^30 times the output, below 2^62.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge.errors import InnervateError
from edge.stages import Section

Floats = NDArray[np.float64]

_DECAY = 2.0**-60
"""Impulse responses are followed until the slowest pole's envelope has fallen to this."""

_TAIL_MARGIN = 1 + 2.0**-20
"""Covers what is left of a response then, and float64's rounding in adding it up."""

_HORIZON_MAX = 1 << 23
"""Samples; a response longer than this is not worth designing."""

_ERROR_LSB = 2.0**-24
"""What the core drops of an error before it feeds it back; its other shifts drop 2^-30."""


class Proof(NamedTuple):
    """Bounds for inputs of any shape within +-full scale, in units of the int32 signals.

    Attributes:
        full_scale: largest input of the cascade, counts raised by the shift.
        signal_bounds: largest output of each section; below 2^31.
        noise_rms: rounding noise at the output, standard deviation.
    """

    full_scale: float
    signal_bounds: tuple[float, ...]
    noise_rms: float

    @property
    def holds(self) -> bool:
        """Whether nothing can overflow."""
        return self.full_scale <= 2.0**31 and all(bound < 2.0**31 - 1 for bound in self.signal_bounds)


class _Gains(NamedTuple):
    """What a proof needs of a cascade, whatever the input's size."""

    signal: list[float]
    """L1 norm from the input to each section's output."""
    error: list[float]
    """Largest rounding error at each section's output, LSB."""
    noise_power: float


def sos_of(sections: Sequence[Section]) -> Floats:
    """Return the sections as scipy's `sos`, float64 [sections, 6]."""
    return np.array([section.coefficients() for section in sections]).reshape(-1, 6)


def horizon(sos: Floats) -> int:
    """Return the samples after which an impulse response is over.

    Raises:
        InnervateError: a pole on or outside the unit circle, or too close to it to end in reasonable time.
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
    raise InnervateError(
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


def error_response(section: Section, samples: int) -> Floats:
    """Return the response from a section's rounding error to its output, float64 [samples]."""
    w1, w2 = section.weights
    return impulse_response(np.array([[1.0, -w1 / 64, -w2 / 64, *section.coefficients()[3:]]]), samples)


def _gains(sections: Sequence[Section]) -> _Gains:
    sos = sos_of(sections)
    samples = horizon(sos)
    response = impulse_response(np.empty((0, 6)), samples)
    errors: list[Floats] = []  # from each rounding so far to this section's output
    dropped: list[Floats] = []
    gains = _Gains([], [], 0.0)
    for section, row in zip(sections, sos, strict=True):
        response = signal.sosfilt(row[None], response)
        errors = [signal.sosfilt(row[None], e) for e in errors] + [error_response(section, samples)]
        poles = np.array([[1.0, 0.0, 0.0, *row[3:]]])
        dropped = [signal.sosfilt(row[None], e) for e in dropped] + [impulse_response(poles, samples)]
        gains.signal.append(l1_norm(response))
        gains.error.append(0.5 * sum(map(l1_norm, errors)) + 4 * _ERROR_LSB * sum(map(l1_norm, dropped)))
    power = sum(float(np.sum(error**2)) for error in errors) / 12
    return gains._replace(noise_power=power)


def prove(sections: Sequence[Section], counts_bits: int, shift: int) -> Proof:
    """Bound the cascade's values for counts of that width raised by `shift`.

    Raises:
        InnervateError: the cascade is unstable.
    """
    return _prove(_gains(sections), counts_bits, shift)


def largest_shift(sections: Sequence[Section], counts_bits: int) -> tuple[int, Proof]:
    """Find the largest shift for which nothing can overflow, and its proof.

    Raises:
        InnervateError: not even a shift of 0 is safe.
    """
    gains = _gains(sections)
    for shift in range(32 - counts_bits, -1, -1):
        proof = _prove(gains, counts_bits, shift)
        if proof.holds:
            return shift, proof
    raise InnervateError(
        f"{counts_bits}-bit counts could overflow these filters", "signal path filters", "Lower their order"
    )


def _prove(gains: _Gains, counts_bits: int, shift: int) -> Proof:
    full_scale = 2.0 ** (counts_bits - 1 + shift)
    bounds = tuple(full_scale * gain + error for gain, error in zip(gains.signal, gains.error, strict=True))
    return Proof(full_scale, bounds, math.sqrt(gains.noise_power))
