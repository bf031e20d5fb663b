"""What the stages of a signal path can do at worst: their largest values, their rounding noise.

For a linear system the largest output for any input within +-1 is the L1 norm of its impulse response
(Jackson, "On the interaction of roundoff noise and dynamic range in digital filters", 1970). Applied to every
section's and stage's output, with the bound of every rounding error added, it says whether the core's int32
signals hold for any counts whatever. A section's 64-bit accumulator then holds too: it counts modulo 2^64,
and its final value is 2^30 times the output, below 2^62; sums that are shifted before that are checked apart.
Sums of the other stages hold because their absolute weights add up to less than 2^32 (`edge.stages`).

An absolute value keeps bounds and does not enlarge errors, | |x + e| - |x| | <= |e|; what follows it takes
inputs between 0 and the bound.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from edge.stages import Cascade, Fir, Mix, Rectify, Section, Stage
from train.filter_blocks import (
    UNIT,
    Block,
    Floats,
    Response,
    UnfitError,
    block_of,
    cascade_block,
    horizon,
    impulse_response,
    l1_norm,
    sos_of,
)

__all__ = [
    "Floats",
    "Proof",
    "horizon",
    "impulse_response",
    "l1_norm",
    "largest_shift",
    "prove",
    "prove_stages",
    "roundings",
    "sos_of",
]

_ERROR_LSB = 2.0**-24
"""What the core drops of an error before it feeds it back is below this."""

_SHIFTED_LSB = 2.0**-30
"""What each of a section's other shifts drops is below this."""

_RECTIFIED_MEAN = math.sqrt(2 / math.pi)
"""Mean absolute value of a Gaussian signal over its standard deviation; of other noise it is larger."""


class Proof(NamedTuple):
    """Bounds for counts of any shape, in units of the int32 signals.

    Attributes:
        full_scale: largest input of the first stage, counts raised by the shift.
        signal_bounds: largest output of each section of a cascade and of each other stage, in order.
        noise_rms: rounding noise at the output, standard deviation.
        bias: largest mean of the rounding errors at the output.
        signal_rms: output for white noise that fills full scale evenly; after a rectifier its mean.
        sums_hold: whether every 64-bit sum that is shifted before it is complete fits.
    """

    full_scale: float
    signal_bounds: tuple[float, ...]
    noise_rms: float
    bias: float
    signal_rms: float
    sums_hold: bool

    @property
    def holds(self) -> bool:
        """Whether nothing can overflow."""
        within = all(bound < 2.0**31 - 1 for bound in self.signal_bounds)
        return within and self.sums_hold and self.full_scale <= 2.0**31

    def signal_to_error_db(self, level: float, coefficient_error: float) -> float:
        """Predict signal to error in dB.

        Args:
            level: of the white noise at the input, 1 for full scale.
            coefficient_error: of the output, relative to it.
        """
        signal = self.signal_rms * level
        error = math.sqrt(self.noise_rms**2 + self.bias**2 + (coefficient_error * signal) ** 2)
        return 20 * math.log10(signal / error) if error and signal else math.inf if signal else -math.inf


class Rounding(NamedTuple):
    """One place where bits are dropped.

    Attributes:
        peak: largest absolute error, LSB.
        mean: of the error, LSB.
        variance: of the error, LSB squared.
        shaping: what the error passes before it is in the output of its section or stage.
    """

    peak: float
    mean: float
    variance: float
    shaping: Block


def roundings(stage: Stage) -> list[list[Rounding]]:
    """Return where a stage drops bits: of each section if it is a cascade, else one list."""
    if isinstance(stage, Cascade):
        return [_section_roundings(section) for section in stage.sections]
    unity = cascade_block(np.empty((0, 6)))
    exact = isinstance(stage, Rectify) or (isinstance(stage, Mix) and stage.right_shift == 0)
    # A single weight of one only decimates.
    exact = exact or (isinstance(stage, Fir) and stage.weights == (1 << 30,))
    return [[] if exact else [Rounding(0.5, 0.0, 1 / 12, unity)]]


def _section_roundings(section: Section) -> list[Rounding]:
    w1, w2 = (w / 64 for w in section.weights)
    poles = section.coefficients()[3:]
    output = Rounding(0.5, 0.0, 1 / 12, cascade_block(np.array([1.0, -w1, -w2, *poles])))
    shifts = sum(low != 0 for low in section.a_low) + (section.b_shift != 0)
    dropped = Rounding(
        peak=(abs(w1) + abs(w2)) * _ERROR_LSB + shifts * _SHIFTED_LSB,
        mean=(w1 + w2) * _ERROR_LSB / 2 + shifts * _SHIFTED_LSB / 2,
        variance=((w1**2 + w2**2) * _ERROR_LSB**2 + shifts * _SHIFTED_LSB**2) / 12,
        shaping=cascade_block(np.array([1.0, 0.0, 0.0, *poles])),
    )
    return [output, dropped] if dropped.peak else [output]


class _Noise(NamedTuple):
    """A rounding and how it reaches the place where the walk is."""

    peak: float
    mean: float
    variance: float
    response: Response


class _Gains(NamedTuple):
    """What a proof needs, whatever the input's size: each value is gain x full scale + error."""

    gains: list[float]
    errors: list[float]
    shifted: list[tuple[float, float, float]]
    """For each sum that is shifted: gain, error of its input, its absolute weights in units of the input."""
    noise_power: float
    bias: float
    signal_power: float
    """Of full scale squared."""


class _Walk:
    """Goes through stages with the response of the segment's input and of all roundings in it.

    Channels are alike but for montages: the row with the most weight counts for bounds and noise, that with
    the least for the signal.
    """

    def __init__(self) -> None:
        self.made = _Gains([], [], [], 0.0, 0.0, 0.0)
        self.response = UNIT
        self.noises: list[_Noise] = []
        self.gain, self.error = 1.0, 0.0  # of the segment's input
        self.power, self.bias = 0.0, 0.0  # noise and mean error in the segment's input
        self.white = 1 / 3  # power of the noise that the signal is, as it enters the first segment
        self.rectified = False

    def _extended(self, samples: int) -> None:
        self.response = self.response.extended(samples)
        self.noises = [n._replace(response=n.response.extended(samples)) for n in self.noises]

    def cascade(self, stage: Cascade) -> None:
        samples = horizon(sos_of(stage.sections))
        self._extended(samples)
        for section, row, dropped in zip(
            stage.sections, sos_of(stage.sections), roundings(stage), strict=True
        ):
            if section.b_shift:
                gain, error = self._reached()
                self.made.shifted.append((gain, error, float(sum(map(abs, section.b)))))
            self.response = self.response.through_sections(row)
            self.noises = [n._replace(response=n.response.through_sections(row)) for n in self.noises]
            room = UNIT.extended(samples)
            self.noises += [_Noise(*d[:3], room.through_sections(d.shaping.sos)) for d in dropped]
            self._note()

    def fir(self, stage: Fir) -> None:
        block = block_of(stage)
        self.response = self.response.through(block)
        self.noises = [n._replace(response=n.response.through(block)) for n in self.noises]
        self.noises += [_Noise(*d[:3], UNIT) for d in roundings(stage)[0]]
        self._note()

    def mix(self, stage: Mix) -> None:
        weights = np.abs(np.array(stage.weights)) / 2.0**stage.right_shift
        most = float(weights.sum(axis=1).max())
        squares = (weights**2).sum(axis=1)
        self.gain, self.error, self.bias = self.gain * most, self.error * most, self.bias * most
        self.power *= most**2  # errors that came through a rectifier may be alike in all channels
        self.white *= float(squares.min())
        self.noises = [
            _Noise(n.peak * most, n.mean * most, n.variance * float(squares.max()), n.response)
            for n in self.noises
        ]
        self.noises += [_Noise(*d[:3], UNIT) for d in roundings(stage)[0]]
        self._note()

    def rectify(self) -> None:
        gain, error = self._reached()
        power, bias, signal_power = self._totals()
        self.gain, self.error, self.power, self.bias, self.white = gain, error, power, bias, signal_power
        self.response, self.noises, self.rectified = UNIT, [], True
        self._note()

    def finish(self) -> _Gains:
        power, bias, signal_power = self._totals()
        return self.made._replace(noise_power=power, bias=bias, signal_power=signal_power)

    def _reached(self) -> tuple[float, float]:
        """Bound of the signal here: gain of full scale, and error in LSB."""
        values = self.response.values
        most = l1_norm(values)
        reached = max(l1_norm(values[values > 0]), l1_norm(values[values < 0])) if self.rectified else most
        errors = sum(n.peak * l1_norm(n.response.values) for n in self.noises)
        return self.gain * reached, self.error * most + errors

    def _note(self) -> None:
        gain, error = self._reached()
        self.made.gains.append(gain)
        self.made.errors.append(error)

    def _totals(self) -> tuple[float, float, float]:
        """Noise power and bias here in LSB, signal power in full scales squared."""
        values = self.response.values
        power = sum(n.variance * float(np.sum(n.response.values**2)) for n in self.noises)
        bias = abs(sum(n.mean * float(np.sum(n.response.values)) for n in self.noises))
        steady = abs(float(np.sum(values)))
        if not self.rectified:
            return power, bias, self.white * float(np.sum(values**2))
        # What spectrum came through the rectifier is not known: at worst all is where the gain is largest.
        largest = float(np.max(np.abs(np.fft.rfft(values, 2 * len(values))))) if self.power else 0.0
        power += self.power * largest**2
        return power, bias + self.bias * steady, self.white * (_RECTIFIED_MEAN * steady) ** 2


def _gains(stages: Iterable[Stage]) -> _Gains:
    walk = _Walk()
    for stage in stages:
        match stage:
            case Cascade():
                walk.cascade(stage)
            case Fir():
                walk.fir(stage)
            case Mix():
                walk.mix(stage)
            case Rectify():
                walk.rectify()
    return walk.finish()


def prove(sections: Sequence[Section], counts_bits: int, shift: int) -> Proof:
    """Bound the values of a single cascade; as `prove_stages`."""
    return prove_stages((Cascade(tuple(sections)),), counts_bits, shift)


def prove_stages(stages: Sequence[Stage], counts_bits: int, shift: int) -> Proof:
    """Bound the stages' values for counts of that width raised by `shift`.

    Raises:
        UnfitError: a cascade is unstable.
    """
    return _prove(_gains(stages), counts_bits, shift)


def largest_shift(stages: Sequence[Stage], counts_bits: int) -> tuple[int, Proof]:
    """Find the largest shift for which nothing can overflow, and its proof.

    Raises:
        UnfitError: not even a shift of 0 is safe.
    """
    gains = _gains(stages)
    for shift in range(32 - counts_bits, -1, -1):
        proof = _prove(gains, counts_bits, shift)
        if proof.holds:
            return shift, proof
    raise UnfitError(
        f"{counts_bits}-bit counts could overflow these filters", "signal path filters", "Lower their order"
    )


def _prove(gains: _Gains, counts_bits: int, shift: int) -> Proof:
    full_scale = 2.0 ** (counts_bits - 1 + shift)
    bounds = tuple(full_scale * gain + error for gain, error in zip(gains.gains, gains.errors, strict=True))
    sums_hold = all((full_scale * gain + error) * weights < 2.0**63 for gain, error, weights in gains.shifted)
    return Proof(
        full_scale,
        bounds,
        math.sqrt(gains.noise_power),
        gains.bias,
        full_scale * math.sqrt(gains.signal_power),
        sums_hold,
    )
