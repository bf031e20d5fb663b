"""A pool of motor units: who is recruited when, how fast each fires, and when.

Model: Fuglevand, Winter and Patla, "Models of recruitment and rate coding organization in motor-unit pools",
J. Neurophysiol. 70 (1993) 2470-2488. The constants are theirs unless a comment says otherwise.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RECRUITMENT_RANGE = 30.0  # threshold of the last unit recruited over that of the first
TWITCH_RANGE = 100.0  # twitch force of the largest unit over that of the smallest
LONGEST_TWITCH_MS = 90.0  # contraction time of the smallest unit; the largest is three times faster
CONTRACTION_TIME_RANGE = 3.0
MIN_RATE_HZ = 8.0
PEAK_RATE_HZ = 35.0  # of the first unit; the last reaches PEAK_RATE_SPAN_HZ less
PEAK_RATE_SPAN_HZ = 10.0
RATE_GAIN = 1.0  # firing rate per unit of excitation, Hz
INTERVAL_CV = 0.2  # coefficient of variation of the inter-spike interval at constant drive
_SHORTEST_INTERVAL = 0.4  # of the mean: three standard deviations, keeps the Gaussian clear of zero

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class MotorUnitPool:
    """The motor units of one muscle, smallest first (Henneman's order).

    Attributes:
        threshold: recruitment threshold of each unit, in units of excitation, float64 [units].
        twitch: peak twitch force of each unit, the smallest about 1, float64 [units].
    """

    threshold: Floats
    twitch: Floats

    @classmethod
    def of_size(cls, units: int) -> "MotorUnitPool":
        """Make a pool of `units` motor units with the paper's exponential thresholds and twitch forces."""
        rank = np.arange(1, units + 1) / units
        return cls(threshold=RECRUITMENT_RANGE**rank, twitch=TWITCH_RANGE**rank)

    @property
    def peak_rate_hz(self) -> Floats:
        """Highest firing rate of each unit, float64 [units]: units recruited early can fire faster."""
        return np.asarray(PEAK_RATE_HZ - PEAK_RATE_SPAN_HZ * self.threshold / self.threshold[-1])

    @property
    def max_excitation(self) -> float:
        """The excitation at which the last unit reaches its peak rate: a maximal voluntary contraction."""
        return float(self.threshold[-1] + (self.peak_rate_hz[-1] - MIN_RATE_HZ) / RATE_GAIN)

    def rates_hz(self, excitation: Floats) -> Floats:
        """Give each unit's firing rate for excitations [...], float64 [units, ...]; 0 below its threshold."""
        above = excitation - np.expand_dims(self.threshold, tuple(range(1, 1 + excitation.ndim)))
        peak = np.expand_dims(self.peak_rate_hz, tuple(range(1, 1 + excitation.ndim)))
        return np.where(above >= 0.0, np.minimum(MIN_RATE_HZ + RATE_GAIN * above, peak), 0.0)

    def force(self, excitation: Floats) -> Floats:
        """Give the steady isometric force for excitations [n], fraction of the maximal one, float64 [n].

        A train of twitches P t/T exp(1 - t/T) at rate f has the mean g P T e f, where the gain g follows how
        far the twitches fuse: 1 up to T f = 0.4, above that S(T f) / (T f) in units of its value there, with
        S(x) = 1 - exp(-2 x^3), as in the paper.
        """
        grid = np.append(excitation, self.max_excitation)
        shortening = -np.log(CONTRACTION_TIME_RANGE) / np.log(TWITCH_RANGE)
        contraction_s = LONGEST_TWITCH_MS / 1000 * self.twitch**shortening
        fusion = contraction_s[:, None] * self.rates_hz(grid)
        fused = np.maximum(fusion, 0.4)
        gain = (1.0 - np.exp(-2.0 * fused**3)) / fused / ((1.0 - np.exp(-2.0 * 0.4**3)) / 0.4)
        total = np.sum(self.twitch[:, None] * gain * fusion, axis=0)
        return np.asarray(total[:-1] / total[-1])

    def excitation(self, force: Floats) -> Floats:
        """Find the excitation for a steady force of 0..1 of the maximal one (clipped), same shape."""
        grid = np.linspace(0.0, self.max_excitation, 512)
        return np.asarray(np.interp(force, self.force(grid), grid))


def spike_trains(rates_hz: Floats, step_s: float, rng: np.random.Generator) -> list[Floats]:
    """Draw the firing times of motor units whose rates vary in time.

    A renewal process of mean 1 and standard deviation INTERVAL_CV runs in each unit's own time, the integral
    of its rate; so intervals stretch and shrink with the rate and keep their coefficient of variation.

    Args:
        rates_hz: firing rates, float64 [units, steps], each held for `step_s` seconds.
        step_s: length of a step, seconds.
        rng: where the chance comes from.

    Returns:
        For each unit its firing times in seconds from the start, ascending, float64.
    """
    units, steps = rates_hz.shape
    phase = np.zeros((units, steps + 1))
    np.cumsum(rates_hz * step_s, axis=1, out=phase[:, 1:])
    most = int(1.2 * phase[:, -1].max()) + 20
    intervals = 1.0 + INTERVAL_CV * rng.standard_normal((units, most))
    np.maximum(intervals, _SHORTEST_INTERVAL, out=intervals)
    intervals[:, 0] *= rng.random(units)
    firing_phase = np.cumsum(intervals, axis=1)
    time_s = step_s * np.arange(steps + 1)
    counts = np.sum(firing_phase < phase[:, -1:], axis=1)
    return [np.interp(firing_phase[i, : counts[i]], phase[i], time_s) for i in range(units)]
