"""The features that end a path as people write them in a task file, and their numbers for the device."""

import math
from collections.abc import Sequence
from typing import Final, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.features import EEG_BANDS_HZ, Feature, FeatureScale, FeatureSet, Kind, band_bins
from edge.signal_path import SignalPath

SetName = Literal["hudgins", "eeg_bands"]

STEPS: Final = 32
"""Of int8 for one standard deviation: four deviations either way before it saturates."""

_MULTIPLIER_BITS: Final = 30


class FeatureSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One feature of every filtered channel. Each kind reads only its own parameters.

    Attributes:
        kind: as in docs/features.md.
        threshold: of crossings, slope changes and Willison amplitude: part of the scale's full range, 0 to 1.
        order: of autoregression.
        band_hz: from and to below, of the features of the spectrum.
        share: of spectral_edge.
    """

    kind: Kind
    threshold: float = 0.01
    order: int = 4
    band_hz: tuple[float, float] = (0.0, 0.0)
    share: float = 0.5


def with_features(path: SignalPath, settings: Sequence[str | FeatureSettings]) -> SignalPath:
    """Return the path ended by features whose scale has yet to be found: their int8 values are all 0.

    Args:
        path: with its window.
        settings: a kind of feature with its defaults, one with parameters, or a set: "hudgins" (mean absolute
            value, waveform length, zero crossings, slope sign changes) or "eeg_bands" (log power of each
            customary band that lies below half the rate).

    Raises:
        InnervateError: an unknown name, or parameters that cannot be.
    """
    length = 1 << max(6, math.ceil(math.log2(path.window)))
    features = tuple(
        _feature(one, path.filtered_hz, length) for given in settings for one in _expanded(given, path)
    )
    chosen = FeatureSet(features)
    if chosen.spectral:
        chosen = FeatureSet(features, length)
    chosen.validate()
    values = len(path.outputs) * len(chosen.names)
    path = msgspec.structs.replace(path, features=chosen, feature_scale=(FeatureScale(0, 1, 0),) * values)
    path.validate()
    return path


def standardise(levels: NDArray[np.int32]) -> tuple[FeatureScale, ...]:
    """Find the scale that brings the mean of each level to 0 and its standard deviation to 32 steps of int8.

    What never changes in the training windows becomes 0 always.

    Args:
        levels: of training windows, int32 [n, values], n at least 1 (`PathRunner.feature_levels`).

    Returns:
        one scale for each value: 32 (t - mean) / deviation to half a step and 2^-29 of 32 |t| / deviation.
    """
    return tuple(_scale(column.astype(np.float64)) for column in levels.T)


def _scale(levels: NDArray[np.float64]) -> FeatureScale:
    if levels.min() == levels.max():
        return FeatureScale(0, 1, 0)
    mean, factor = float(levels.mean()), STEPS / float(levels.std())
    # The mantissa below 2^30 keeps the bias within 2^62 for any mean of 32 bits.
    shift = _MULTIPLIER_BITS - math.frexp(factor)[1]
    multiplier = min((1 << _MULTIPLIER_BITS) - 1, round(math.ldexp(factor, shift)))
    return FeatureScale(multiplier, shift, round(-mean * multiplier) + (1 << (shift - 1)))


def _expanded(given: str | FeatureSettings, path: SignalPath) -> list[FeatureSettings]:
    if isinstance(given, FeatureSettings):
        return [given]
    if given == "hudgins":
        kinds: tuple[Kind, ...] = ("mav", "waveform_length", "zero_crossings", "slope_sign_changes")
        return [FeatureSettings(kind=kind) for kind in kinds]
    if given == "eeg_bands":
        return [
            FeatureSettings(kind="log_band_power", band_hz=band)
            for band in EEG_BANDS_HZ.values()
            if band[1] <= path.filtered_hz / 2
        ]
    if given in get_args(Kind):
        return [msgspec.convert({"kind": given}, FeatureSettings)]
    known = (*get_args(SetName), *get_args(Kind))
    raise InnervateError(f"There is no feature '{given}'", "features", f"Use one of {', '.join(known)}")


def _feature(settings: FeatureSettings, fs_hz: float, length: int) -> Feature:
    where = f"features, {settings.kind}"
    if not 0 <= settings.threshold <= 1:
        raise InnervateError(
            f"a threshold of {settings.threshold:g}", where, "Give a part of the full range, 0 to 1"
        )
    bins = (0, 0)
    if settings.kind in ("band_power", "log_band_power", "spectral_edge", "mean_frequency"):
        bins = band_bins(*settings.band_hz, fs_hz, length)
    return Feature(
        settings.kind,
        threshold=round(settings.threshold * 0x7FFF),
        order=settings.order,
        bins=bins,
        share=settings.share,
    )
