"""Recordings at another sampling rate: that of the device's converter, where a data set was taken at its own.

It stands for what the converter would have given, so it comes before the signal path, on the host only: its
filter has no delay and looks 50 samples of the lower rate ahead, 50 ms at 1 kHz.
"""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import firwin, resample_poly

from edge.errors import InnervateError
from train.recording import Annotation, Recording

LARGEST_FACTOR = 1000
"""Most by which a rate is multiplied, and most by which it is divided."""
RATE_TOLERANCE = 1e-6
"""Of the rate: one sample in a million, which no crystal keeps either."""

PASS_BAND = 0.9
"""Of half the lower rate: flat within 0.001 dB up to here."""
STOP_DB = 80.0
"""Attenuation of all from half the lower rate on, so that nothing is folded."""


def factors(from_hz: float, to_hz: float) -> tuple[int, int]:
    """Return (up, down), the ratio of two rates in lowest terms.

    Raises:
        InnervateError: a rate is not above zero, or the ratio has no such terms up to LARGEST_FACTOR.
    """
    if not (0 < from_hz < np.inf and 0 < to_hz < np.inf):
        raise InnervateError(f"rates of {from_hz:g} and {to_hz:g} Hz", "resampling", "Give rates above zero")
    if 1 / LARGEST_FACTOR <= to_hz / from_hz <= LARGEST_FACTOR:
        ratio = (Fraction(to_hz) / Fraction(from_hz)).limit_denominator(LARGEST_FACTOR)
        up, down = ratio.numerator, ratio.denominator
        if up <= LARGEST_FACTOR and abs(from_hz * up / down - to_hz) <= RATE_TOLERANCE * to_hz:
            return up, down
    raise InnervateError(
        f"{from_hz:g} Hz to {to_hz:g} Hz is no ratio of whole numbers up to {LARGEST_FACTOR}",
        "resampling",
        "Choose a rate of a simpler ratio",
    )


@cache
def _filter(up: int, down: int) -> NDArray[np.float64]:
    """Low-pass at `up` times the first rate, odd length, gain 1; Kaiser's window by his formulas for STOP_DB.

    Oppenheim and Schafer, "Discrete-Time Signal Processing", section 7.5.3.
    """
    most = max(up, down)
    width = (1 - PASS_BAND) / most  # of the transition, over half the high rate
    half = int(np.ceil((STOP_DB - 8) / (2.285 * np.pi * width) / 2))
    beta = 0.1102 * (STOP_DB - 8.7)
    taps: NDArray[np.float64] = firwin(2 * half + 1, (1 + PASS_BAND) / 2 / most, window=("kaiser", beta))
    return taps


def resample(recording: Recording, fs_hz: float) -> Recording:
    """Return a recording at another rate; one that has it already is returned as it is.

    Counts are rounded and clipped to their bits; µV stay float32. Annotations begin and end with the first
    sample at or after their bounds; one that this leaves no sample is left out. Beyond its ends the signal is
    taken to go on along the line through its first and last sample.

    Args:
        recording: n samples.
        fs_hz: wanted; ceil(n x ratio) samples come of it.

    Raises:
        InnervateError: the ratio of the rates is none that `factors` takes.
    """
    try:
        up, down = factors(recording.fs_hz, fs_hz)
    except InnervateError as error:
        raise InnervateError(error.what, recording.id, error.fix) from None
    if up == down:
        return recording
    line = "line" if len(recording.signals) > 1 else "mean"
    signals = resample_poly(
        recording.signals.astype(np.float64), up, down, axis=0, window=_filter(up, down), padtype=line
    )
    if recording.signals.dtype == np.int32:
        limit = 2.0 ** (recording.counts_bits - 1)
        signals = np.clip(np.rint(signals), -limit, limit - 1)

    def moved(sample: int) -> int:
        return -(-sample * up // down)

    annotations = (
        Annotation(moved(a.onset), moved(a.onset + a.duration) - moved(a.onset), a.label)
        for a in recording.annotations
    )
    return replace(
        recording,
        signals=signals.astype(recording.signals.dtype),
        fs_hz=fs_hz,
        annotations=tuple(a for a in annotations if a.duration > 0),
        context={**recording.context, "resampled_from_hz": f"{recording.fs_hz:g}"},
    )
