"""What electrodes pick up besides muscle: thermal noise, wandering baseline, movement, mains."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

MAINS_HZ = 50.0
MAINS_PARTS = ((1, 1.0), (2, 0.1), (3, 0.3), (5, 0.1))  # harmonic and its size

THERMAL_UV = 2.5  # RMS, electrode and amplifier, in the median channel
BASELINE_UV = 30.0
MOVEMENT_UV = 25.0
MAINS_UV = 6.0  # in the median channel

Floats = NDArray[np.float64]


def wander(steps: int, columns: int, corner_hz: float, step_s: float, rng: np.random.Generator) -> Floats:
    """Draw stationary noise of unit variance, first-order low-pass at corner_hz, float64 [steps, columns]."""
    keep = np.exp(-2.0 * np.pi * corner_hz * step_s)
    start = rng.standard_normal((1, columns))
    noise = np.sqrt(1.0 - keep**2) * rng.standard_normal((steps, columns))
    return np.asarray(lfilter([1.0], [1.0, -keep], noise, axis=0, zi=keep * start)[0])


def interference(
    samples: int, channels: int, movements_s: Sequence[float], fs_hz: float, rng: np.random.Generator
) -> Floats:
    """Draw all that is not muscle.

    Args:
        samples: how many.
        channels: how many.
        movements_s: when the limb moves, seconds: the skin shifts under the electrodes and comes back.
        fs_hz: sampling rate.
        rng: where the chance comes from.

    Returns:
        Microvolts, float64 [samples, channels].
    """
    step_s = 0.01
    steps = int(samples / fs_hz / step_s) + 2
    grid_s = step_s * np.arange(steps)
    baseline = BASELINE_UV * wander(steps, channels, 0.3, step_s, rng)
    for moment in movements_s:
        since = (grid_s - moment) / 0.05
        pulse = since * np.exp(0.5 - 0.5 * since**2)  # peaks of +-1 at 50 ms before and after
        baseline += pulse[:, None] * rng.normal(0.0, MOVEMENT_UV, channels)
    size = rng.lognormal(np.log(MAINS_UV), 0.5, channels)
    size = size * np.exp(0.25 * wander(steps, channels, 0.1, step_s, rng))
    cycles = np.cumsum((MAINS_HZ + 0.02 * wander(steps, 1, 0.02, step_s, rng)[:, 0]) * step_s)
    time_s = np.arange(samples) / fs_hz
    turn = 2.0 * np.pi * np.interp(time_s, grid_s, cycles)
    lead = rng.uniform(-0.5, 0.5, channels)
    result = rng.standard_normal((samples, channels)) * rng.lognormal(np.log(THERMAL_UV), 0.2, channels)
    for channel in range(channels):
        hum = np.zeros(samples)
        for order, part in MAINS_PARTS:
            hum += part * np.sin(order * (turn + lead[channel]))
        result[:, channel] += hum * np.interp(time_s, grid_s, size[:, channel])
        result[:, channel] += np.interp(time_s, grid_s, baseline[:, channel])
    return result
