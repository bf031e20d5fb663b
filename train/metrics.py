"""How well windows are classified: per subject first, with 95 % intervals."""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Z95 = 1.959963984540054
"""Standard normal quantile of a two-sided 95 % interval."""
RESAMPLES = 10_000
BOOTSTRAP_MIN_SUBJECTS = 3
"""With fewer, resampling subjects says nothing about others."""


class Estimate(msgspec.Struct, frozen=True):
    """A figure from 0 to 1 with the bounds of its 95 % interval, None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


class SubjectMetrics(msgspec.Struct, frozen=True):
    """Figures of one subject; the interval of the accuracy is Wilson's."""

    subject: str
    windows: int
    accuracy: Estimate
    balanced_accuracy: float
    macro_f1: float


class Metrics(msgspec.Struct, frozen=True):
    """Figures of a set of windows.

    Attributes:
        labels: class names.
        windows: how many.
        accuracy: mean over subjects; interval from resampling subjects (Wilson's where there are fewer than
            3).
        balanced_accuracy: mean over subjects of the mean recall of the classes that occur.
        macro_f1: mean over subjects of the mean F1 of the classes that occur.
        confusion: windows by true class (row) and predicted class (column), all subjects together.
        subjects: one entry a subject, in order of name.
    """

    labels: tuple[str, ...]
    windows: int
    accuracy: Estimate
    balanced_accuracy: Estimate
    macro_f1: Estimate
    confusion: tuple[tuple[int, ...], ...]
    subjects: tuple[SubjectMetrics, ...]


def confusion_matrix(y: NDArray[np.int64], predicted: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """Count windows by true (row) and predicted class (column), int64 ``[classes, classes]``."""
    return np.bincount(y * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def balanced_accuracy(confusion: NDArray[np.int64]) -> float:
    """Return the mean recall of the classes that occur."""
    occurs = confusion.sum(axis=1) > 0
    return float((np.diag(confusion)[occurs] / confusion.sum(axis=1)[occurs]).mean())


def macro_f1(confusion: NDArray[np.int64]) -> float:
    """Return the mean of 2 TP / (2 TP + FP + FN) over the classes that occur."""
    occurs = confusion.sum(axis=1) > 0
    hits = np.diag(confusion)[occurs]
    return float((2 * hits / (confusion.sum(axis=1)[occurs] + confusion.sum(axis=0)[occurs])).mean())


def wilson(proportion: float, trials: float) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a proportion (Wilson 1927, JASA 22:209).

    Args:
        proportion: observed, 0 to 1.
        trials: number of independent trials, above 0.
    """
    square = Z95 * Z95
    centre = (proportion + square / (2 * trials)) / (1 + square / trials)
    half = (
        Z95
        / (1 + square / trials)
        * np.sqrt(proportion * (1 - proportion) / trials + square / (4 * trials * trials))
    )
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean when its values (one a subject) are drawn anew."""
    samples = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(len(samples), size=(RESAMPLES, len(samples)))
    low, high = np.percentile(samples[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


def score(
    y: NDArray[np.int64],
    predicted: NDArray[np.int64],
    subject: NDArray[np.str_],
    labels: Sequence[str],
    overlap: float,
) -> Metrics:
    """Score predictions.

    Args:
        y: true class of each window, ``[N]``, N at least 1.
        predicted: predicted class, ``[N]``.
        subject: whom each window is from, ``[N]``.
        labels: class names.
        overlap: how many windows share a sample (window / hop, at least 1). Overlapping windows are not
            independent, so Wilson's interval counts N / overlap trials.
    """
    subjects = []
    for name in np.unique(subject):
        mine = subject == name
        confusion = confusion_matrix(y[mine], predicted[mine], len(labels))
        count = int(mine.sum())
        accuracy = float(np.diag(confusion).sum() / count)
        subjects.append(
            SubjectMetrics(
                subject=str(name),
                windows=count,
                accuracy=Estimate(accuracy, *wilson(accuracy, max(1.0, count / overlap))),
                balanced_accuracy=balanced_accuracy(confusion),
                macro_f1=macro_f1(confusion),
            )
        )
    return Metrics(
        labels=tuple(labels),
        windows=len(y),
        accuracy=_mean([entry.accuracy.value for entry in subjects], subjects),
        balanced_accuracy=_mean([entry.balanced_accuracy for entry in subjects], None),
        macro_f1=_mean([entry.macro_f1 for entry in subjects], None),
        confusion=tuple(
            tuple(int(cell) for cell in row) for row in confusion_matrix(y, predicted, len(labels))
        ),
        subjects=tuple(subjects),
    )


def _mean(values: list[float], proportions: list[SubjectMetrics] | None) -> Estimate:
    """Average over subjects; `proportions` gives the interval of a single subject's accuracy."""
    mean = float(np.mean(values))
    if len(values) >= BOOTSTRAP_MIN_SUBJECTS:
        return Estimate(mean, *bootstrap_mean(values))
    if proportions is not None and len(proportions) == 1:
        return proportions[0].accuracy
    return Estimate(mean)
