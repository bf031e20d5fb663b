"""The signal path as pure data, and its executor over the C core.

Counts of the converter, raised by `shift` bits, go through stages (montage, filters, decimation), become int8
per channel and fill windows; or become int16 and fill windows of which features are made. The arithmetic is
stated in `core/path.h` and `core/stage.h`; this module only checks the numbers and hands them over.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge._core import ffi, lib
from edge.errors import InnervateError
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


class PathState(NamedTuple):
    """A PathRunner's state between two samples."""

    words: NDArray[np.int32]
    window: NDArray[np.int8]
    phase: int
    unsettled: int
    fill: int
    position: int
    quality: bytes = b""
    """Of the gates; empty without gain control, to which alone they matter here."""


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


class PathRunner:
    """Runs a SignalPath over a stream of counts, in pieces of any size.

    Each sample goes through `filter` or through `windows`; both move the same filters on. With gain control,
    `windows` judges them by the path's gates as `Chain` does, for the gain rests while they are not fit.
    """

    def __init__(self, path: SignalPath) -> None:
        self.path = path
        self._config, self._keep = path_config(path)
        self._words, self._window = path_buffers(self._config)
        self._chain = ffi.new("nrv_chain_t *")
        self._quality = ffi.new("nrv_channel_quality_t[]", len(path.channels))
        self._rule = ffi.new("nrv_rule_t *", {"classes": 2, "votes": 1, "min_votes": 1})  # decides nothing
        lib.nrv_chain_init(
            self._chain,
            self._config,
            self._rule,
            ffi.from_buffer("int32_t[]", self._words, require_writable=True),
            ffi.from_buffer("int8_t[]", self._window, require_writable=True),
            self._quality,
        )
        self._runner = ffi.addressof(self._chain, "path")
        self._position = 0

    def reset(self) -> None:
        """Go back to rest: filters empty, window empty, positions from 0."""
        lib.nrv_chain_reset(self._chain)
        self._position = 0

    @property
    def gains(self) -> NDArray[np.float64]:
        """Factor of gain control on each channel's scale, float64 [outputs]; ones without it."""
        if self.path.gain_control is None:
            return np.ones(len(self.path.outputs))
        channels = self._runner.gain[0 : len(self.path.outputs)]
        trained = zip(self.path.multiplier, self.path.right_shift, strict=True)
        gains = [
            math.ldexp(one.multiplier / multiplier, right_shift - one.right_shift)
            for one, (multiplier, right_shift) in zip(channels, trained, strict=True)
        ]
        return np.array(gains, np.float64)

    def state(self) -> PathState:
        """Copy all that the next sample depends on."""
        runner = self._runner
        return PathState(
            self._words.copy(),
            self._window.copy(),
            runner.phase,
            runner.unsettled,
            runner.fill,
            self._position,
            self._quality_state(),
        )

    def _quality_state(self) -> bytes:
        if self.path.gain_control is None:
            return b""
        return bytes(ffi.buffer(self._quality)) + bytes(ffi.buffer(ffi.addressof(self._chain, "quality")))

    def _restore_quality(self, state: bytes) -> None:
        """Put back all but the pointers, which are those of this runner."""
        quality, size = self._chain.quality, ffi.sizeof(self._quality)
        gates, channel = quality.gates, quality.channel
        ffi.memmove(self._quality, state[:size], size)
        ffi.memmove(ffi.addressof(self._chain, "quality"), state[size:], len(state) - size)
        quality.gates, quality.channel = gates, channel

    def restore(self, state: PathState) -> None:
        """Go on from a state of a runner of the same path.

        Raises:
            InnervateError: the state belongs to a path of another shape.
        """
        if (
            state.words.shape != self._words.shape
            or state.window.shape != self._window.shape
            or not 0 <= state.phase < self.path.decimation
            or not 0 <= state.fill <= self.path.window
            or not 0 <= state.unsettled <= self.path.settle
            or len(state.quality) != len(self._quality_state())
        ):
            raise InnervateError(
                "the saved state belongs to another signal path", "signal path", "Reset the runner instead"
            )
        self._words[:] = state.words
        self._window[:] = state.window
        self._runner.phase = state.phase
        self._runner.unsettled, self._runner.fill = state.unsettled, state.fill
        self._position = state.position
        if state.quality:
            self._restore_quality(state.quality)

    def filter(self, counts: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        """Filter counts [n, channels]; return int32 [m, outputs], in counts times 2^shift.

        m is n unless the path decimates.

        Raises:
            InnervateError: another number of channels, or values that are not integers.
        """
        counts = checked_counts(counts, len(self.path.channels))
        signal = self._signal(len(counts))
        given = lib.nrv_path_filter(self._runner, int32_pointer(counts), len(counts), int32_pointer(signal))
        self._position += len(counts)
        outputs = self._config.outputs
        return signal[: given * outputs].reshape(given, outputs)

    def _signal(self, samples: int) -> NDArray[np.int32]:
        """Room for so many samples before, within and after the stages."""
        return np.empty(samples * self._config.width, np.int32)

    def windows(self, counts: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int8], NDArray[np.int64]]:
        """Push counts [n, channels] and return the windows completed by them.

        Returns:
            what the model gets of each, int8 [k, *model_shape], and for each window the position of its last
            sample since the last reset, int64 [k].

        Raises:
            InnervateError: another number of channels, or values that are not integers.
        """
        windows, _, ends = self._completed(counts, with_levels=False)
        return windows, ends

    def feature_levels(self, counts: NDArray[np.integer[Any]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Push counts [n, channels] and return the features of windows completed by them, before their scale.

        Returns:
            levels, int32 [k, values], in the order of `SignalPath.model_columns`: features, of sizes log2 in
            Q16 (`core/feature_vector.h`); and positions as `windows`.

        Raises:
            InnervateError: the path has no features; or as `windows`.
        """
        if self.path.features is None:
            raise InnervateError(
                "the path has no features", "signal path", "Add features, or take the windows"
            )
        _, levels, ends = self._completed(counts, with_levels=True)
        return levels, ends

    def _completed(
        self, counts: NDArray[np.integer[Any]], with_levels: bool
    ) -> tuple[NDArray[np.int8], NDArray[np.int32], NDArray[np.int64]]:
        counts = checked_counts(counts, len(self.path.channels))
        due = lib.nrv_path_windows_due(self._runner, len(counts))
        windows = np.empty((due, *self._window.shape), np.int8)
        levels = np.empty((due, self._window.size) if with_levels else (0, 0), np.int32)
        ends = np.empty(due, np.uintp)
        if self.path.gain_control is None:
            signal = self._signal(len(counts))
            lib.nrv_path_windows(
                self._runner,
                int32_pointer(counts),
                len(counts),
                int32_pointer(signal),
                ffi.from_buffer("int8_t[]", windows, require_writable=True),
                ffi.cast("size_t *", ends.ctypes.data),
                int32_pointer(levels) if with_levels else ffi.NULL,
            )
        else:
            self._windows_of_chain(counts, windows, levels, ends)
        end_index = ends.astype(np.int64) + self._position
        self._position += len(counts)
        return windows, levels, end_index

    def _windows_of_chain(
        self,
        counts: NDArray[np.int32],
        windows: NDArray[np.int8],
        levels: NDArray[np.int32],
        ends: NDArray[np.uintp],
    ) -> None:
        """Push counts; fill in each window, levels if wanted, and the place of its last sample in them."""
        used, start = ffi.new("size_t *"), 0
        for found in range(len(windows) + 1):  # after the last window, the rest
            rest = counts[start:]
            lib.nrv_chain_feed(self._chain, self._chain.expected, int32_pointer(rest), len(rest), 0, used)
            start += used[0]
            if found < len(windows):
                windows[found], ends[found] = self._window, start - 1
                if levels.size:
                    levels[found] = ffi.unpack(self._runner.levels, levels.shape[1])


def int32_pointer(array: NDArray[np.int32]) -> Any:
    """Return a C pointer to a contiguous int32 array, which must outlive its use."""
    return ffi.cast("int32_t *", array.ctypes.data)


def checked_counts(counts: NDArray[np.integer[Any]], channels: int) -> NDArray[np.int32]:
    """Return counts as contiguous int32 [n, channels].

    Raises:
        InnervateError: another shape, or values that are not integers.
    """
    counts = np.asarray(counts)
    if counts.ndim != 2 or counts.shape[1] != channels:
        raise InnervateError(
            f"counts of shape {counts.shape} for a signal path of {channels} channels",
            "signal path",
            f"Give an array [samples, {channels}]",
        )
    if not np.issubdtype(counts.dtype, np.integer):
        raise InnervateError(
            f"counts must be integers, not {counts.dtype}",
            "signal path",
            "Convert microvolts to counts first",
        )
    if counts.dtype.itemsize > 4 or counts.dtype == np.uint32:
        # The core clamps to the converter's range; int32 must not wrap before it can.
        counts = np.clip(counts, -(1 << 31), _INT32_MAX)
    return np.ascontiguousarray(counts, np.int32)
