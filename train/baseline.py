"""The floor that a network must clear: a linear discriminant on usual features of the same windows.

Time domain, for EMG: Hudgins B., Parker P., Scott R. N.: A new strategy for multifunction myoelectric
control. IEEE TBME 1993, 40(1):82-94: mean absolute value, waveform length, zero crossings and slope sign
changes; the RMS joins them. Band powers, for EEG: of the customary bands. Sizes and powers enter
as logarithms, which are closer to normal: that makes the floor one to three points higher.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from edge.features import EEG_BANDS_HZ
from edge.signal_path import SignalPath
from train.task import Floor
from train.windows import WindowSet

_BLOCK = 4096  # windows turned into float at a time
_ROUNDING = 1 / 12
"""Variance of what rounding to int8 adds: silence stays finite."""

_View = Callable[[NDArray[np.int8]], NDArray[np.float32]]


def view_of(path: SignalPath, floor: Floor) -> _View:
    """Return what turns windows of a path, int8 ``[N, *model_shape]``, into features float32 ``[N, F]``.

    Windows that are features already stay as they are.
    """
    if path.features is not None:
        return lambda x: x[:, 0].astype(np.float32)
    if floor == "band_powers":
        return partial(band_powers, fs_hz=path.filtered_hz)
    return time_domain


def time_domain(x: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return float32 ``[N, 5 * channels]`` for windows int8 ``[N, window, channels]``."""
    return _in_blocks(x, _time_domain, 5 * x.shape[2])


def band_powers(x: NDArray[np.int8], fs_hz: float) -> NDArray[np.float32]:
    """Return the log power in each customary band of the EEG that holds a bin of the transform.

    Args:
        x: windows int8 ``[N, window, channels]``.
        fs_hz: samples of a window per second.

    Returns:
        float32 ``[N, bands * channels]``.
    """
    frequency = np.fft.rfftfreq(x.shape[1], 1 / fs_hz)
    bands = [(frequency >= low) & (frequency < high) for low, high in EEG_BANDS_HZ.values()]
    bands = [band for band in bands if band.any()]
    return _in_blocks(x, partial(_band_powers, bands=bands), len(bands) * x.shape[2])


def _in_blocks(
    x: NDArray[np.int8], view: Callable[[NDArray[np.float32]], NDArray[np.float32]], width: int
) -> NDArray[np.float32]:
    blocks = [view(x[start : start + _BLOCK].astype(np.float32)) for start in range(0, len(x), _BLOCK)]
    return np.concatenate([np.zeros((0, width), np.float32), *blocks])


def _time_domain(x: NDArray[np.float32]) -> NDArray[np.float32]:
    slope = np.diff(x, axis=1)
    sizes = np.abs(x).mean(axis=1), np.sqrt((x * x).mean(axis=1)), np.abs(slope).mean(axis=1)
    return np.concatenate(
        [
            *(np.log(size + 0.5) for size in sizes),  # half a step of int8: silence stays finite
            (x[:, 1:] * x[:, :-1] < 0).mean(axis=1, dtype=np.float32),
            (slope[:, 1:] * slope[:, :-1] < 0).mean(axis=1, dtype=np.float32),
        ],
        axis=1,
    )


def _band_powers(x: NDArray[np.float32], bands: list[NDArray[np.bool_]]) -> NDArray[np.float32]:
    """Periodogram under a Hann window, scaled so that all bins add up to the mean square."""
    window = np.hanning(x.shape[1] + 1)[:-1, None].astype(np.float32)
    transform = np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * window, axis=1)
    power = np.square(np.abs(transform)) * (2 / (x.shape[1] * np.square(window).sum()))
    sums = [power[:, band].sum(axis=1) + _ROUNDING * band.mean() for band in bands]
    logarithms: NDArray[np.float32] = np.log(np.concatenate(sums, axis=1), dtype=np.float32)
    return logarithms


def predict_floor(
    train: WindowSet, test: WindowSet, per_subject: bool, view: _View = time_domain
) -> NDArray[np.int64]:
    """Train the discriminant and predict the class of each test window, int64 ``[N]``.

    Args:
        train: at least two classes a discriminant.
        test: windows to classify.
        per_subject: one discriminant a subject, from the subject's own training windows (as is usual where a
            subject has some), or one for all.
        view: features that it sees of the windows.
    """
    predicted = np.empty(len(test), dtype=np.int64)
    groups = (
        [(train.subject == name, test.subject == name) for name in np.unique(test.subject)]
        if per_subject
        else [(np.ones(len(train), bool), np.ones(len(test), bool))]
    )
    for fit, ask in groups:
        # lsqr solves with a shrunk covariance: features that are constant or collinear do no harm
        discriminant = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.01)
        discriminant.fit(view(train.x[fit]), train.y[fit])
        predicted[ask] = discriminant.predict(view(test.x[ask]))
    return predicted
