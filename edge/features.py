"""Features of int16 windows as the device computes them: data, checks, and the call of `core/feature_set.h`.

How they become the int8 vector that ends a signal path is in `core/feature_vector.h`. Formulas, integer
formats and error bounds are in docs/features.md; nothing is computed here.
"""

from __future__ import annotations

import math
from typing import Any, Literal, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge._core import ffi, lib
from edge.errors import InnervateError

EEG_BANDS_HZ = {
    "delta": (0.5, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
"""Customary bands of the EEG, from and below, in Hz."""

Kind = Literal[
    "mav",
    "rms",
    "variance",
    "waveform_length",
    "line_length",
    "zero_crossings",
    "slope_sign_changes",
    "willison_amplitude",
    "log_detector",
    "activity",
    "mobility",
    "complexity",
    "autoregression",
    "band_power",
    "log_band_power",
    "spectral_edge",
    "mean_frequency",
]

_AMPLITUDES = {"mav", "rms", "line_length", "log_detector"}
_RATIOS = {"mobility", "complexity", "log_band_power"}
_WITH_THRESHOLD = {"zero_crossings", "slope_sign_changes", "willison_amplitude"}
_POWERS = {"band_power", "log_band_power"}
_FREQUENCIES = {"spectral_edge", "mean_frequency"}
_SPECTRAL = _POWERS | _FREQUENCIES
_SPECTRUM_LENGTHS = tuple(1 << bits for bits in range(6, 13))


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One feature of every channel. Each kind reads only its own parameters.

    Attributes:
        kind: what is computed.
        threshold: counts, 0 to 65535: of zero_crossings, slope_sign_changes, willison_amplitude.
        order: of autoregression, 1 to 8; it gives that many values.
        bins: first and last bin, both included, of the features of the spectrum; see `band_bins`.
        share: of spectral_edge: part of the bins' power that lies below, in steps of 1/65536; 0.5 gives the
            median frequency.
    """

    kind: Kind
    threshold: int = 0
    order: int = 4
    bins: tuple[int, int] = (0, 0)
    share: float = 0.5

    def names(self) -> list[str]:
        """Return a name for each value."""
        if self.kind == "autoregression":
            return [f"{self.kind}[{i}]" for i in range(1, self.order + 1)]
        parameters = []
        if self.kind in _WITH_THRESHOLD:
            parameters.append(str(self.threshold))
        if self.kind == "spectral_edge":
            parameters.append(f"{self.share:g}")
        if self.kind in _SPECTRAL:
            parameters.append(f"{self.bins[0]}-{self.bins[1]}")
        return [f"{self.kind}[{','.join(parameters)}]" if parameters else self.kind]


class FeatureSet(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Features of each channel of a window, in order.

    Attributes:
        features: at least one.
        spectrum_length: samples of the Fourier transform, a power of two from 64 to 4096, at least those of
            the window, which zeros fill up; needed by features of the spectrum only.
    """

    features: tuple[Feature, ...]
    spectrum_length: int = 0

    @property
    def spectral(self) -> bool:
        """Whether any feature is of the spectrum."""
        return any(feature.kind in _SPECTRAL for feature in self.features)

    @property
    def samples_max(self) -> int:
        """Longest window, in samples."""
        return self.spectrum_length if self.spectral else int(lib.NRV_FEATURE_SAMPLES_MAX)

    @property
    def names(self) -> list[str]:
        """A name for each value of a channel."""
        return [name for feature in self.features for name in feature.names()]

    @property
    def scale(self) -> NDArray[np.float64]:
        """What one LSB of each value of a channel stands for, float64 [values].

        Integers times this are counts (mav, rms, waveform_length, line_length, log_detector), counts^2
        (variance, activity, band_power), plain numbers (zero_crossings, slope_sign_changes,
        willison_amplitude, mobility, complexity, autoregression), log2 of counts^2 (log_band_power), or
        cycles per sample (spectral_edge, mean_frequency): times the sampling rate they are Hz.
        """
        return np.array([_lsb(f.kind, self.spectrum_length) for f in self.features for _ in f.names()])

    def validate(self) -> None:
        """Check every number.

        Raises:
            InnervateError: naming the feature and what it must be.
        """
        if not self.features:
            raise InnervateError("there is no feature", "features", "Name at least one")
        if (self.spectral or self.spectrum_length) and self.spectrum_length not in _SPECTRUM_LENGTHS:
            raise InnervateError(
                f"spectrum_length is {self.spectrum_length}",
                "features",
                "Make it a power of two from 64 to 4096",
            )
        for i, feature in enumerate(self.features):
            _check(feature, self.spectrum_length, f"features[{i}], {feature.kind}")

    def rows(self) -> list[tuple[int, ...]]:
        """Return each feature as the fields of `nrv_feature_t`, in order: initialisers for C."""
        return [
            (
                getattr(lib, f"NRV_FEATURE_{feature.kind.upper()}"),
                feature.order,
                feature.threshold,
                *feature.bins,
                round(feature.share * 65536),
            )
            for feature in self.features
        ]

    def extract(self, window: NDArray[np.int16]) -> NDArray[np.int32]:
        """Compute all features of a window, or of many.

        Args:
            window: int16 [samples, channels] or [windows, samples, channels], 1 to 4096 samples.

        Returns:
            int32 [channels, values] or [windows, channels, values]; `names` and `scale` say what they are.

        Raises:
            InnervateError: the set does not validate, or the window has another type or shape.
        """
        self.validate()
        windows = self._checked(window)
        config, _keep = set_config(self)
        count, samples, channels = windows.shape
        values = lib.nrv_feature_outputs(config)
        scratch = ffi.new("nrv_bin_t[]", self.spectrum_length // 2 + 1)
        out = np.empty((count, channels, values), np.int32)
        for source, target in zip(windows, out, strict=True):
            lib.nrv_features_run(
                config,
                ffi.cast("int16_t *", source.ctypes.data),
                samples,
                channels,
                scratch,
                ffi.cast("int32_t *", target.ctypes.data),
            )
        return out.reshape(*window.shape[:-2], channels, values)

    def _checked(self, window: NDArray[np.int16]) -> NDArray[np.int16]:
        """Return the windows contiguous, [windows, samples, channels]."""
        if window.dtype != np.int16:
            raise InnervateError(
                f"the window is {window.dtype}", "features", "Scale the filtered signal to int16 first"
            )
        limit = self.samples_max
        if window.ndim not in (2, 3) or not 1 <= window.shape[-2] <= limit or window.shape[-1] < 1:
            raise InnervateError(
                f"a window of shape {window.shape}",
                "features",
                f"Give [samples, channels] or [windows, samples, channels], with 1 to {limit} samples",
            )
        return np.ascontiguousarray(window).reshape(-1, *window.shape[-2:])


class FeatureScale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the level t of one feature becomes int8: sat8(floor((t * multiplier + bias) / 2^shift)).

    Attributes:
        multiplier: 0 to 2^31 - 1.
        shift: 1 to 62.
        bias: -2^62 to 2^62, half of 2^shift included, so that all is rounded to nearest.
    """

    multiplier: int
    shift: int
    bias: int

    def validate(self) -> None:
        """Check that the core can run these numbers.

        Raises:
            InnervateError: one lies outside what the core accepts.
        """
        good = 0 <= self.multiplier < 1 << 31 and 1 <= self.shift <= 62 and abs(self.bias) <= 1 << 62
        if not good:
            raise InnervateError(
                f"a feature's scale of {self.multiplier}, {self.shift}, {self.bias}",
                "feature_scale",
                "Make the bundle again",
            )


def set_config(features: FeatureSet) -> tuple[Any, list[Any]]:
    """Return `nrv_feature_set_t *`, and the C array that must live as long as it is used."""
    rows = ffi.new("nrv_feature_t[]", features.rows())
    config = ffi.new(
        "nrv_feature_set_t *",
        {"features": rows, "count": len(rows), "length": features.spectrum_length},
    )
    return config, [rows]


def vector_config(
    features: FeatureSet | None, scale: tuple[FeatureScale, ...]
) -> tuple[dict[str, Any], list[Any]]:
    """Return the members of an `nrv_feature_vector_t`, and C arrays that must live as long as it is used."""
    if features is None:
        return {}, []
    config, arrays = set_config(features)
    scales = ffi.new(
        "nrv_feature_scale_t[]",
        [{"bias": s.bias, "multiplier": s.multiplier, "shift": s.shift} for s in scale],
    )
    run = "nrv_features_run" if features.spectral else "nrv_features_run_time"
    members = {"set": config[0], "scale": scales, "run": ffi.addressof(lib, run)}
    return members, [*arrays, scales]


def band_bins(low_hz: float, high_hz: float, fs_hz: float, spectrum_length: int) -> tuple[int, int]:
    """Return the first and last bin from low_hz to below high_hz, so that adjoining bands share none.

    Args:
        low_hz: from here, Hz.
        high_hz: to below here, Hz, at most half the sampling rate.
        fs_hz: samples per second.
        spectrum_length: samples of the Fourier transform; bin k is at k * fs_hz / spectrum_length.

    Raises:
        InnervateError: the band holds no bin or does not lie below half the sampling rate.
    """
    if not 0 <= low_hz < high_hz <= fs_hz / 2:
        raise InnervateError(
            f"a band from {low_hz:g} to {high_hz:g} Hz",
            "features",
            f"Choose one within 0 to {fs_hz / 2:g} Hz",
        )
    first = math.ceil(low_hz * spectrum_length / fs_hz)
    last = math.ceil(high_hz * spectrum_length / fs_hz) - 1
    if last < first:
        raise InnervateError(
            f"no bin from {low_hz:g} to {high_hz:g} Hz: they are {fs_hz / spectrum_length:g} Hz apart",
            "features",
            "Make spectrum_length greater or the band wider",
        )
    return first, last


def _lsb(kind: str, spectrum_length: int) -> float:
    if kind in _AMPLITUDES:
        return 2.0**-8
    if kind in _RATIOS:
        return 2.0**-16
    if kind == "autoregression":
        return 2.0**-20
    if kind in _FREQUENCIES:
        return 2.0**-16 / spectrum_length
    return 1.0


def _check(feature: Feature, spectrum_length: int, where: str) -> None:
    if feature.kind not in get_args(Kind):
        raise InnervateError("there is no such feature", where, f"Use one of {', '.join(get_args(Kind))}")
    first, last = feature.bins
    limit = spectrum_length // 2 if feature.kind in _SPECTRAL else 0xFFFF
    share = 0 < feature.share < 1 and 1 <= round(feature.share * 65536) <= 0xFFFF
    for good, what, fix in (
        (0 <= feature.threshold <= 0xFFFF, f"threshold is {feature.threshold}", "0 to 65535 counts"),
        (1 <= feature.order <= lib.NRV_AR_ORDER_MAX, f"order is {feature.order}", "1 to 8"),
        (0 <= first <= last <= limit, f"bins are {first} to {last}", f"ascending ones from 0 to {limit}"),
        (share, f"share is {feature.share:g}", "one between 0 and 1"),
    ):
        if not good:
            raise InnervateError(what, where, f"Choose {fix}")
