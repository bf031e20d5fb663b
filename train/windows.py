"""Windows: int8 pieces of filtered signal with one label each, cut by the same code that runs on a device."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from edge.context import SCALE as CONTEXT_SCALE
from edge.context import ContextField, numbers, quantize
from edge.errors import InnervateError
from edge.path_runner import PathRunner
from edge.signal_path import SignalPath
from train.recording import UNMARKED, Recording


@dataclass(frozen=True)
class WindowSet:
    """Labelled windows and where they are from.

    Attributes:
        x: int8 ``[N, window, outputs]``, as the model takes them; ``[N, 1, features]`` of a path that ends in
            features.
        y: int64 ``[N]``, index into the labels; UNMARKED where a window is kept for its state only.
        recording: id of the recording each is from, ``[N]``.
        subject: ``[N]``.
        session: ``[N]``.
        segment: int64 ``[N]``, number of the annotation within its recording. Windows of different segments
            share no sample.
        end_index: int64 ``[N]``, index of a window's last sample in its recording.
        context: float32 ``[N, F]``, what is known of the person as a model takes it, in deviations on the
            grid of int8; F is 0 where the task uses none.
    """

    x: NDArray[np.int8]
    y: NDArray[np.int64]
    recording: NDArray[np.str_]
    subject: NDArray[np.str_]
    session: NDArray[np.str_]
    segment: NDArray[np.int64]
    end_index: NDArray[np.int64]
    context: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.y)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "WindowSet":
        """Return the windows of a mask or of indices."""
        return WindowSet(*(getattr(self, field.name)[chosen] for field in fields(self)))


def join(sets: Sequence[WindowSet]) -> WindowSet:
    """Return the windows of one or more sets, in order."""
    return WindowSet(
        *(np.concatenate([getattr(one, field.name) for one in sets]) for field in fields(WindowSet))
    )


def counts_for(path: SignalPath, recording: Recording) -> NDArray[np.int32]:
    """Return a recording's counts, int32 ``[samples, channels]``, if the signal path was designed for such.

    Raises:
        InnervateError: channel count, sampling rate or ADC range differ, or the signal is not counts.
    """
    if len(recording.channels) != len(path.channels):
        raise InnervateError(
            f"{len(recording.channels)} channels where {len(path.channels)} are expected",
            recording.id,
            "Use recordings of the same montage",
        )
    if abs(recording.fs_hz - path.fs_hz) > 0.01 * path.fs_hz:
        raise InnervateError(
            f"Sampled at {recording.fs_hz:g} Hz, the signal path is for {path.fs_hz:g} Hz",
            recording.id,
            "Use recordings of that rate, or set resample_hz in the task file",
        )
    if recording.counts_bits > path.counts_bits:
        raise InnervateError(
            f"Counts of {recording.counts_bits} bits, the signal path takes {path.counts_bits}",
            recording.id,
            "Set counts_bits of the data set in the task file",
        )
    return recording.counts()


def cut(
    recordings: Iterable[Recording],
    path: SignalPath,
    classes: Mapping[str, int],
    skip: int = 0,
    context: Sequence[ContextField] = (),
    every: bool = False,
) -> WindowSet:
    """Cut recordings into labelled windows.

    The path starts afresh with each recording. A window is kept if one annotation whose label is in `classes`
    covers all its samples: windows across a boundary have no true label.

    Args:
        recordings: any number; one is in memory at a time.
        path: filters, window and hop.
        classes: class index of each annotation label that takes part.
        skip: samples at the start of each annotation that no window may hold.
        context: what of a recording's context the windows carry.
        every: also keep the windows without a label, as UNMARKED, of recordings that have any with one: a
            state that is kept from window to window goes through them.

    Raises:
        InnervateError: a recording does not fit the path, or a fact in its context is no number.
    """
    runner = PathRunner(path)
    empty = np.zeros((0, *path.model_shape), np.int8)
    x: list[NDArray[np.int8]] = [empty]
    y: list[NDArray[np.int64]] = [np.zeros(0, np.int64)]
    segment, end_index = [y[0]], [y[0]]
    origin: list[tuple[str, str, str, int]] = []
    vectors = [np.zeros((0, len(context)), np.float32)]
    for recording in recordings:
        runner.reset()
        windows, ends = runner.windows(counts_for(path, recording))
        labels, segments = recording.label_track(classes), recording.segment_track()
        begins = np.r_[True, segments[1:] != segments[:-1]]
        onset = np.flatnonzero(begins)[np.cumsum(begins) - 1]  # of the segment each sample is in
        # a window lies in one segment where its last sample's segment began before its first sample
        keep = (ends - path.window_samples + 1 >= onset[ends] + skip) & (labels[ends] != UNMARKED)
        label = np.where(keep, labels[ends], UNMARKED)
        if every:
            keep = np.full(len(ends), keep.any())
        x.append(windows[keep])
        y.append(label[keep])
        segment.append(segments[ends[keep]])
        end_index.append(ends[keep])
        origin.append((recording.id, recording.subject, recording.session, int(keep.sum())))
        vector = quantize(context, numbers(context, recording.context)) * np.float32(CONTEXT_SCALE)
        vectors.append(np.repeat(vector[None], keep.sum(), axis=0))
    counts = [count for *_, count in origin]
    ids, subjects, sessions = (
        np.repeat(np.array([entry[i] for entry in origin], dtype=np.str_), counts) for i in range(3)
    )
    return WindowSet(
        np.concatenate(x),
        np.concatenate(y),
        ids,
        subjects,
        sessions,
        np.concatenate(segment),
        np.concatenate(end_index),
        np.concatenate(vectors),
    )
