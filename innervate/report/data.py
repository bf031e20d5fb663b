"""What a report shows: plain numbers and arrays, every part but the provenance optional.

A part that is None, or has no rows, is left out of the page. Accuracies are fractions (0..1), not percent.
A part with arrays whose shapes do not fit raises ValueError when it is made.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from train.filter_response import PathResponse

if TYPE_CHECKING:  # it brings torch
    from quantize.noise import Noise
    from quantize.pruning.sensitivity import Sensitivity

Counts = npt.NDArray[np.integer[Any]]
Reals = npt.NDArray[np.floating[Any]]

NO_DECISION = -1
"""In a timeline: the chain said "no decision" (rejected, gap, tie), or nothing is known to be true then."""
MISSING = -2
"""In a timeline: this decision never arrived from the device."""


class Measured(StrEnum):
    """Where a figure was obtained. Every figure of a report carries one."""

    HOST = "host"
    EMULATED = "emulated"
    DEVICE = "on device"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _require_fractions(*values: float | None) -> None:
    for value in values:
        if value is not None and not np.isnan(value):
            _require(0.0 <= value <= 1.0, f"an accuracy is a fraction from 0 to 1, not {value}")


@dataclass(frozen=True)
class Provenance:
    """Where the figures come from.

    Args:
        title: heading of the report.
        task: task name, e.g. "emg_gestures".
        dataset: data set name; say here if it is simulated.
        split: split protocol in words, e.g. "leave subjects out, grouped 5-fold".
        subjects: number of subjects behind the reported accuracies; 0 where none are reported.
        seed: random seed.
        machines: the machine behind each kind of figure, e.g. {EMULATED: "QEMU 7.2, netduinoplus2"}.
        versions: package or tool name -> version.
        created: ISO 8601 date and time; the report itself never asks the clock.
        bundle_hash: SHA-256 (hex) of the bundle's manifest, if there is a bundle.
    """

    title: str
    task: str
    dataset: str
    split: str
    subjects: int
    seed: int
    machines: Mapping[Measured, str]
    versions: Mapping[str, str]
    created: str
    bundle_hash: str | None = None


@dataclass(frozen=True)
class Headline:
    """One card at the top. A number is formatted by the report, a string shown as it is."""

    label: str
    value: float | str
    unit: str
    measured: Measured
    note: str = ""


@dataclass(frozen=True)
class Span:
    """An annotation: onset and duration in seconds from the first sample shown."""

    onset_s: float
    duration_s: float
    label: str


@dataclass(frozen=True, eq=False)
class Signals:
    """An excerpt of one recording before and after the filter.

    Args:
        raw: counts [n, C].
        filtered: output of the fixed-point signal path [m, F], in units of 2**-shift counts.
        fs_hz: samples of raw per second.
        channels: C names.
        annotations: labelled spans.
        uv_per_count: microvolts per raw count, if known; without it the scale is in counts.
        shift: bits by which counts were shifted left before the filter, undone for the picture.
        description: which recording this is, e.g. "subject 07, session 2".
        measured: where the filter ran.
        filtered_hz: samples of filtered per second, if others: a path may decimate.
        filtered_channels: F names, if others: a path may have a montage.
    """

    raw: Counts
    filtered: Counts
    fs_hz: float
    channels: Sequence[str]
    annotations: Sequence[Span] = ()
    uv_per_count: float | None = None
    shift: int = 0
    description: str = ""
    measured: Measured = Measured.HOST
    filtered_hz: float | None = None
    filtered_channels: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name, values, channels, fs_hz in self.panels:
            _require(values.ndim == 2, f"{name} must be [samples, channels], not {values.shape}")
            _require(len(channels) == values.shape[1], f"one channel name a column of {name}")
            _require(fs_hz > 0, "fs_hz must be positive")

    @property
    def panels(self) -> tuple[tuple[str, Counts, Sequence[str], float], ...]:
        """(name, values, channels, samples per second) before and after the path."""
        after = self.filtered_channels or self.channels, self.filtered_hz or self.fs_hz
        return ("raw", self.raw, self.channels, self.fs_hz), ("filtered", self.filtered, *after)


@dataclass(frozen=True, eq=False)
class Confusion:
    """Confusion matrices of several arithmetics over the same windows.

    Args:
        labels: K labels.
        matrices: name ("float", "int8", "device") -> windows [K, K]; row = truth, column = decision.
        measured: where each was computed, the same names.
    """

    labels: Sequence[str]
    matrices: Mapping[str, Counts]
    measured: Mapping[str, Measured]

    def __post_init__(self) -> None:
        size = len(self.labels)
        for name, matrix in self.matrices.items():
            _require(matrix.shape == (size, size), f"matrix {name!r} is {matrix.shape}, not {(size, size)}")
            _require(bool((matrix >= 0).all()), f"matrix {name!r} has negative counts")
            _require(name in self.measured, f"matrix {name!r} does not say where it was measured")


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its 95 % interval, as fractions; None where there is no interval."""

    mean: float
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        _require_fractions(self.mean)


@dataclass(frozen=True)
class SubjectRow:
    """Accuracies (0..1) of one subject's test windows; None where not measured."""

    subject: str
    windows: int
    accuracy_float: float | None = None
    accuracy_int8: float | None = None
    accuracy_device: float | None = None
    accuracy_floor: float | None = None

    def __post_init__(self) -> None:
        _require_fractions(self.accuracy_float, self.accuracy_int8, self.accuracy_device, self.accuracy_floor)


@dataclass(frozen=True)
class Subjects:
    """Accuracy per subject.

    Args:
        rows: one a subject.
        means: "float" | "int8" | "device" | "floor" -> mean over subjects with its 95 % interval.
        interval: how the interval was computed, e.g. "Student t over subjects".
        device_measured: whether the device column is emulated, on device or the firmware on the host.
        floor: what the linear floor is.
    """

    rows: Sequence[SubjectRow]
    means: Mapping[str, Interval] = field(default_factory=dict)
    interval: str = ""
    device_measured: Measured = Measured.EMULATED
    floor: str = "linear discriminant on classical features"


@dataclass(frozen=True)
class Size:
    """A size or a count: `capacity` is what the target has of it, in the same unit."""

    what: str
    value: int
    unit: str
    measured: Measured
    note: str = ""
    capacity: int | None = None


@dataclass(frozen=True)
class Layer:
    """One layer of the model file."""

    name: str
    operator: str
    output_shape: Sequence[int]
    weight_bytes: int
    macs: int


@dataclass(frozen=True)
class Sizes:
    """What the model costs on the target; layers in order of execution."""

    rows: Sequence[Size]
    layers: Sequence[Layer] = ()


@dataclass(frozen=True)
class DelayPart:
    """One part of the delay from a change in the signal to the decision, in milliseconds."""

    name: str
    mean_ms: float
    worst_ms: float
    measured: Measured
    note: str = ""


@dataclass(frozen=True)
class Delay:
    """The delay budget: parts add up, in the order given.

    Args:
        parts: window, hop, votes, filter group delay, compute.
        target_ms: delay up to which control is best; None where the task sets no limits.
        limit_ms: delay that must not be exceeded; None where the task sets no limits.
    """

    parts: Sequence[DelayPart]
    target_ms: float | None = None
    limit_ms: float | None = None

    @property
    def too_long(self) -> bool:
        """Whether the worst delay exceeds the limit."""
        return self.limit_ms is not None and self.worst_ms > self.limit_ms

    @property
    def mean_ms(self) -> float:
        """Sum of the mean delays."""
        return sum(part.mean_ms for part in self.parts)

    @property
    def worst_ms(self) -> float:
        """Sum of the worst delays."""
        return sum(part.worst_ms for part in self.parts)


@dataclass(frozen=True)
class EngineRow:
    """One engine: its accuracy, largest output difference in LSB, share of equal decisions (0..1).

    Args:
        engine: its name.
        measured: where it ran.
        accuracy: share of windows decided right.
        max_lsb: largest output difference, LSB.
        agreement: share of windows decided as by the reference.
        version: of its package or compiler.
        gap: where decisions differ, how far apart the reference's two best outputs are at most, LSB.
        missing: why it did not run; empty where it did.
    """

    engine: str
    measured: Measured
    accuracy: float | None = None
    max_lsb: int | None = None
    agreement: float | None = None
    version: str = ""
    gap: int | None = None
    missing: str = ""

    def __post_init__(self) -> None:
        _require_fractions(self.accuracy, self.agreement)


@dataclass(frozen=True)
class Engines:
    """Engines compared with `reference` over the same windows."""

    reference: str
    windows: int
    rows: Sequence[EngineRow]


@dataclass(frozen=True)
class ParityRow:
    """Integers of one stage on one device compared with the host's; `first` says where they first differ."""

    stage: str
    device: str
    measured: Measured
    compared: int
    differing: int
    first: str = ""

    def __post_init__(self) -> None:
        _require(0 <= self.differing <= self.compared, f"{self.differing} of {self.compared} differ")


@dataclass(frozen=True, eq=False)
class Training:
    """Training curve, on the host.

    Args:
        epoch: epoch numbers [E].
        train_loss: [E].
        valid_accuracy: [E], fractions.
        kept_epoch: epoch whose weights were kept.
        phase: [E] optional names of phases ("float", "pruned", "QAT"); a line is drawn where it changes.
    """

    epoch: Counts
    train_loss: Reals
    valid_accuracy: Reals
    kept_epoch: int | None = None
    phase: Sequence[str] = ()

    def __post_init__(self) -> None:
        same = self.epoch.ndim == 1 and self.epoch.shape == self.train_loss.shape == self.valid_accuracy.shape
        _require(same, "epoch, train_loss and valid_accuracy must have one length")
        _require(len(self.phase) in (0, len(self.epoch)), "phase must be empty or as long as epoch")


@dataclass(frozen=True, eq=False)
class Timeline:
    """A streamed recording, decision by decision; entry i of every array is the same window.

    Args:
        labels: K labels.
        time_s: end of the window [D], ascending, seconds.
        truth: true label [D], NO_DECISION where none is known.
        host: host's decision [D], label index or NO_DECISION.
        device: device's decision [D], label index, NO_DECISION or MISSING; None if no device took part.
        device_url: which device.
        measured: where the device's decisions were made.
        description: which recording.
    """

    labels: Sequence[str]
    time_s: Reals
    truth: Counts
    host: Counts
    device: Counts | None = None
    device_url: str = ""
    measured: Measured = Measured.EMULATED
    description: str = ""

    def __post_init__(self) -> None:
        arrays = [self.truth, self.host] + ([self.device] if self.device is not None else [])
        for values in arrays:
            _require(values.shape == self.time_s.shape, "every array of a timeline must have one length")
            in_range = bool(((values >= MISSING) & (values < len(self.labels))).all())
            _require(in_range, "a decision is a label index, NO_DECISION or MISSING")

    @property
    def differing(self) -> int | None:
        """Decisions in which the device differs from the host; None without a device."""
        return None if self.device is None else int((self.host != self.device).sum())


@dataclass(frozen=True, eq=False)
class Report:
    """All parts of a report; those that are missing leave no trace on the page.

    `failures` are checks that failed, in a few words each, beside what the parts themselves show.
    """

    provenance: Provenance
    headline: Sequence[Headline] = ()
    signals: Signals | None = None
    filter_response: PathResponse | None = None
    confusion: Confusion | None = None
    subjects: Subjects | None = None
    sizes: Sizes | None = None
    delay: Delay | None = None
    engines: Engines | None = None
    parity: Sequence[ParityRow] = ()
    training: Training | None = None
    timeline: Timeline | None = None
    sensitivity: "Sensitivity | None" = None
    noise: "Noise | None" = None
    failures: Sequence[str] = ()
    notes: Sequence[str] = ()
