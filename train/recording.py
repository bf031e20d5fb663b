"""Recordings: what a reader or a simulator yields and everything after it starts from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

UNMARKED = -1
"""Label index of samples that no annotation of interest covers."""


@dataclass(frozen=True)
class Annotation:
    """One labelled stretch of a recording, exact to the sample.

    Attributes:
        onset: index of its first sample.
        duration: number of samples.
        label: name of what happens, in the reader's words.
    """

    onset: int
    duration: int
    label: str


@dataclass(frozen=True)
class Recording:
    """A stretch of signal without a break, from one subject in one session.

    Attributes:
        signals: int32 ADC counts or float32 µV, ``[samples, channels]``.
        fs_hz: sampling rate.
        channels: names, one a column.
        counts_bits: bits of the signed ADC range the counts fit into; 0 for float32 µV.
        subject: whom it is from.
        session: when it was taken; electrodes stay on within a session only.
        annotations: in order of onset, not overlapping.
        uv_per_count: size of a count in µV; 1 where nobody has published it, counts are then the unit.
        context: further facts as text (repetition, age, measured rate, ...).
        provenance: where the data are from: citation or generator with its settings.
        part: tells recordings of the same subject and session apart; empty where there is one only.
    """

    signals: NDArray[np.int32] | NDArray[np.float32]
    fs_hz: float
    channels: tuple[str, ...]
    counts_bits: int
    subject: str
    session: str
    annotations: tuple[Annotation, ...]
    uv_per_count: float = 1.0
    context: Mapping[str, str] = field(default_factory=dict)
    provenance: str = ""
    part: str = ""

    @property
    def id(self) -> str:
        """Name that is unique within its data set: subject/session or subject/session/part."""
        return "/".join(filter(None, (self.subject, self.session, self.part)))

    def validate(self) -> None:
        """Check that the parts agree.

        Raises:
            InnervateError: shape, type, range or annotations do not fit together.
        """
        signals = self.signals
        if signals.ndim != 2 or signals.dtype not in (np.dtype(np.int32), np.dtype(np.float32)):
            raise InnervateError("Signals must be int32 or float32 [samples, channels]", self.id)
        if len(signals) == 0:
            raise InnervateError("The recording holds no samples", self.id, "Leave the file out")
        if signals.shape[1] != len(self.channels):
            raise InnervateError(
                f"{signals.shape[1]} columns of signal for {len(self.channels)} channel names", self.id
            )
        if signals.dtype == np.int32:
            limit = 1 << (self.counts_bits - 1)
            if signals.min() < -limit or signals.max() >= limit:
                raise InnervateError(
                    f"Counts from {signals.min()} to {signals.max()} do not fit {self.counts_bits} bits",
                    self.id,
                    "Check the file's scale or the reader's number of bits",
                )
        elif not np.isfinite(signals).all():
            raise InnervateError("The signal holds NaN or infinite values", self.id, "Cut them out first")
        end = 0
        for annotation in self.annotations:
            if annotation.onset < end or annotation.duration < 1:
                raise InnervateError(
                    f"Annotation '{annotation.label}' at sample {annotation.onset} is empty or overlaps",
                    self.id,
                    "Annotations must follow one another",
                )
            end = annotation.onset + annotation.duration
        if end > len(signals):
            raise InnervateError(f"An annotation ends at sample {end} of {len(signals)}", self.id)

    def counts(self) -> NDArray[np.int32]:
        """Return the ADC counts, int32 ``[samples, channels]``.

        Raises:
            InnervateError: the signal is in µV: a signal path takes the converter's integers.
        """
        if self.signals.dtype != np.int32:
            raise InnervateError(
                "The signal is in µV, a signal path takes ADC counts",
                self.id,
                "Use recordings that keep the converter's integers",
            )
        return cast("NDArray[np.int32]", self.signals)

    def label_track(self, classes: Mapping[str, int]) -> NDArray[np.int64]:
        """Return the class index of every sample, int64 ``[samples]``; UNMARKED where not in `classes`."""
        track = np.full(len(self.signals), UNMARKED, dtype=np.int64)
        for annotation in self.annotations:
            track[annotation.onset : annotation.onset + annotation.duration] = classes.get(
                annotation.label, UNMARKED
            )
        return track

    def segment_track(self) -> NDArray[np.int64]:
        """Return the number of the annotation over every sample, int64 ``[samples]``, or UNMARKED."""
        track = np.full(len(self.signals), UNMARKED, dtype=np.int64)
        for number, annotation in enumerate(self.annotations):
            track[annotation.onset : annotation.onset + annotation.duration] = number
        return track
