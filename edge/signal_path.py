"""The signal path as pure data, and as the C core takes it.

Counts of the converter, raised by `shift` bits, go through stages (montage, filters, decimation), become int8
per channel and fill windows; or become int16 and fill windows of which features are made. The arithmetic is
stated in `core/path.h` and `core/stage.h`; this module only checks the numbers and hands them over.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge._core import ffi, lib
from edge.features import FeatureScale, FeatureSet, vector_config
from edge.filters import Filter as Filter
from edge.gain import GainControl
from edge.quality import Gates
from edge.stages import CHANNELS_MAX, Stage, check, stages_config

_INT32_MAX = (1 << 31) - 1
_STAGES_MAX = 32
_SAMPLES_MAX = 1 << 24
_FEATURES_MAX = 1 << 14
"""Values of one window: more than 64 channels have with each kind of feature."""


class SignalPath(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that lies between the converter and the model.

    Attributes:
        channels: names, in the order of the counts.
        fs_hz: samples of the converter per second.
        uv_per_count: microvolts at the electrodes per count.
        counts_bits: width of a count: counts lie in -2^(bits-1) .. 2^(bits-1) - 1.
        shift: bits by which counts are raised before the stages, so that rounding stays below a count.
        stages: what is done to them, in order.
        filters: the designs that the stages came from, for people.
        settle: filtered samples after a reset that are kept out of windows.
        group_delay_ms: of the stages, averaged over what passes.
        window: filtered samples per window.
        hop: filtered samples from the end of one window to the end of the next.
        multiplier: per filtered channel, for int8 = requantize(filtered, multiplier, -right_shift).
        right_shift: per filtered channel.
        gates: which windows are not fit to decide on.
        gain_control: None keeps the scale as it is.
        features: what each window becomes for the model; None for the window itself.
        feature_scale: of each value of the features of each channel, channel by channel.
    """

    channels: tuple[str, ...]
    fs_hz: float
    uv_per_count: float
    counts_bits: int
    shift: int
    stages: tuple[Stage, ...]
    filters: tuple[Filter, ...]
    settle: int
    group_delay_ms: float
    window: int
    hop: int
    multiplier: tuple[int, ...]
    right_shift: tuple[int, ...]
    gates: Gates = Gates()
    gain_control: GainControl | None = None
    features: FeatureSet | None = None
    feature_scale: tuple[FeatureScale, ...] = ()

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the filtered channels: those of the windows."""
        names = self.channels
        for stage in self.stages:
            names = stage.outputs(names)
        return names

    @property
    def decimation(self) -> int:
        """Samples of the converter for one filtered sample."""
        return math.prod(stage.decimation for stage in self.stages)

    @property
    def filtered_hz(self) -> float:
        """Filtered samples per second."""
        return self.fs_hz / self.decimation

    @property
    def model_shape(self) -> tuple[int, int]:
        """Rows and columns of what one window hands to the model: (window, outputs), or (1, features)."""
        if self.features is not None:
            return 1, len(self.outputs) * len(self.features.names)
        return self.window, len(self.outputs)

    @property
    def model_columns(self) -> tuple[str, ...]:
        """Names of the columns: filtered channels, or "channel feature" of each feature of each channel."""
        if self.features is None:
            return self.outputs
        return tuple(f"{channel} {name}" for channel in self.outputs for name in self.features.names)

    @property
    def window_samples(self) -> int:
        """Samples of the converter that a window spans."""
        return self.window * self.decimation

    @property
    def hop_samples(self) -> int:
        """Samples of the converter between two windows."""
        return self.hop * self.decimation

    def samples_for(self, windows: int) -> int:
        """Samples of the converter after a reset that bring so many windows, at least 1."""
        return (self.settle + self.window - 1 + (windows - 1) * self.hop) * self.decimation + 1

    @property
    def int8_per_uv(self) -> tuple[float, ...]:
        """Per channel, int8 steps per microvolt in the pass-band."""
        return tuple(
            (1 << self.shift) / self.uv_per_count * m / 2.0 ** (31 + s)
            for m, s in zip(self.multiplier, self.right_shift, strict=True)
        )

    def validate(self) -> None:
        """Check that the core can run these numbers.

        Raises:
            InnervateError: a field lies outside what the core accepts.
        """
        count = len(self.channels)
        check(1 <= count <= CHANNELS_MAX, "channels", f"must be 1 to {CHANNELS_MAX}, not {count}")
        check(len(set(self.channels)) == count, "channels", "names must differ")
        for name in ("fs_hz", "uv_per_count"):
            value = getattr(self, name)
            check(math.isfinite(value) and value > 0, name, f"must be above zero, not {value}")
        check(
            math.isfinite(self.group_delay_ms) and self.group_delay_ms >= 0,
            "group_delay_ms",
            f"must not be negative, not {self.group_delay_ms}",
        )
        check(2 <= self.counts_bits <= 32, "counts_bits", f"must be 2 to 32, not {self.counts_bits}")
        room = 32 - self.counts_bits
        check(0 <= self.shift <= room, "shift", f"must be 0 to {room} for {self.counts_bits}-bit counts")
        check(0 <= self.settle <= _SAMPLES_MAX, "settle", f"must be 0 to {_SAMPLES_MAX} samples")
        check(1 <= self.window <= _SAMPLES_MAX, "window", f"must be 1 to {_SAMPLES_MAX} samples")
        check(1 <= self.hop <= self.window, "hop", f"must be 1 to the window ({self.window} samples)")
        self.gates.validate()
        if self.gain_control is not None:
            self.gain_control.validate()
        check(len(self.stages) <= _STAGES_MAX, "stages", f"must be at most {_STAGES_MAX}")
        names = self.channels
        for i, stage in enumerate(self.stages):
            stage.validate(f"stages[{i}]", names)
            names = stage.outputs(names)
        count = len(names)
        check(self.samples_for(1) <= _INT32_MAX, "stages", "decimate too far")
        for name, low, high in (("multiplier", 0, _INT32_MAX), ("right_shift", 0, 31)):
            values = getattr(self, name)
            check(len(values) == count, name, f"must have one value per channel ({count}), not {len(values)}")
            check(all(low <= v <= high for v in values), name, f"must lie in {low} to {high}")
        self._validate_features()

    def _validate_features(self) -> None:
        if self.features is None:
            check(not self.feature_scale, "feature_scale", "must be empty where there are no features")
            return
        self.features.validate()
        limit = self.features.samples_max
        check(self.window <= limit, "window", f"must be at most {limit} samples for these features")
        values = self.model_shape[1]
        check(values <= _FEATURES_MAX, "features", f"must give at most {_FEATURES_MAX} values, not {values}")
        check(
            len(self.feature_scale) == values,
            "feature_scale",
            f"must have one entry per feature and channel ({values}), not {len(self.feature_scale)}",
        )
        for scale in self.feature_scale:
            scale.validate()


def path_config(path: SignalPath) -> tuple[Any, list[Any]]:
    """Return a path as `nrv_path_config_t *`, and the C arrays that must live as long as it is used.

    Raises:
        InnervateError: the path does not validate.
    """
    path.validate()
    stages, arrays = stages_config(path.stages, len(path.channels))
    multiplier = ffi.new("int32_t[]", path.multiplier)
    right_shift = ffi.new("uint8_t[]", path.right_shift)
    features, feature_arrays = vector_config(path.features, path.feature_scale)
    widths = [len(path.channels), *(stages[i].outputs for i in range(len(path.stages)))]
    config = ffi.new(
        "nrv_path_config_t *",
        {
            "settle": path.settle,
            "window": path.window,
            "hop": path.hop,
            "decimation": path.decimation,
            "gates": path.gates.fields(),
            "gain_control": path.gain_control.fields() if path.gain_control else {},
            "features": features,
            "channels": len(path.channels),
            "outputs": widths[-1],
            "width": max(widths),
            "n_stages": len(path.stages),
            "counts_bits": path.counts_bits,
            "shift": path.shift,
            "stages": stages,
            "multiplier": multiplier,
            "right_shift": right_shift,
        },
    )
    return config, [*arrays, stages, multiplier, right_shift, *feature_arrays]


def path_buffers(config: Any) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
    """Make the state and window buffers that the core needs for an `nrv_path_config_t *`, zeroed.

    The window buffer holds what the model gets, `SignalPath.model_shape`.
    """
    rows = 1 if config.features.set.count else config.window
    columns = lib.nrv_path_window_len(config) // rows
    return np.zeros(lib.nrv_path_state_len(config), np.int32), np.zeros((rows, columns), np.int8)
