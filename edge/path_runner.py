"""The executor of a signal path over the C core: counts in pieces of any size, windows out."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge._core import ffi, lib
from edge.errors import InnervateError
from edge.signal_path import SignalPath, path_buffers, path_config

_INT32_MAX = (1 << 31) - 1


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
