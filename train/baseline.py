"""The floor that a network must clear: a linear discriminant on the time-domain features of the same windows.

Hudgins B., Parker P., Scott R. N.: A new strategy for multifunction myoelectric control. IEEE TBME 1993,
40(1):82-94: mean absolute value, waveform length, zero crossings and slope sign changes; the RMS joins them.
Sizes enter as logarithms, which are closer to normal: that makes the floor one to three points higher.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from train.windows import WindowSet

_BLOCK = 4096  # windows turned into float at a time


def features(x: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return float32 ``[N, 5 * channels]`` for windows int8 ``[N, window, channels]``."""
    blocks = [_features(x[start : start + _BLOCK].astype(np.float32)) for start in range(0, len(x), _BLOCK)]
    return np.concatenate(blocks) if blocks else np.zeros((0, 5 * x.shape[2]), np.float32)


def _features(x: NDArray[np.float32]) -> NDArray[np.float32]:
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


def predict_floor(train: WindowSet, test: WindowSet, per_subject: bool) -> NDArray[np.int64]:
    """Train the discriminant and predict the class of each test window, int64 ``[N]``.

    Args:
        train: at least two classes a discriminant.
        test: windows to classify.
        per_subject: one discriminant a subject, from the subject's own training windows (as is usual where a
            subject has some), or one for all.
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
        discriminant.fit(features(train.x[fit]), train.y[fit])
        predicted[ask] = discriminant.predict(features(test.x[ask]))
    return predicted
