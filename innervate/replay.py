"""Replays recordings into a device and, sample for sample, into the host's pipeline, and compares them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.context import numbers, quantize
from edge.decision import Decision
from edge.engines import Engine
from edge.link import Link, Traced
from edge.messages import Trace
from edge.path_runner import PathRunner
from edge.pipeline import Pipeline
from train.recording import UNMARKED, Recording
from train.windows import WindowSet, counts_for

Progress = Callable[[str, int, int], None]

CHUNK_SAMPLES = 1000
"""Between two reports of progress; the stream itself goes on without a pause."""


@dataclass(frozen=True, eq=False)
class Played:
    """One recording as device and host saw it.

    Attributes:
        recording: its id.
        counts: int32 [n, channels], what was sent.
        window_end: int64 [W], sample index of each window's last sample.
        device_outputs, host_outputs: int8 [W, K], what the model made of each window.
        device_decisions, host_decisions: in order.
    """

    recording: str
    counts: NDArray[np.int32]
    window_end: NDArray[np.int64]
    device_outputs: NDArray[np.int8]
    host_outputs: NDArray[np.int8]
    device_decisions: list[Decision]
    host_decisions: list[Decision]

    @property
    def differing_decisions(self) -> int:
        """Decisions that differ in anything but their time, and those that one side alone made."""
        pairs = zip(self.device_decisions, self.host_decisions, strict=False)
        return sum(_facts(a) != _facts(b) for a, b in pairs) + abs(
            len(self.device_decisions) - len(self.host_decisions)
        )


@dataclass(frozen=True, eq=False)
class Replay:
    """All recordings played into one device."""

    url: str
    played: list[Played] = field(default_factory=list)

    @property
    def decisions(self) -> int:
        """Decisions of the host."""
        return sum(len(one.host_decisions) for one in self.played)

    @property
    def differing_decisions(self) -> int:
        """Decisions in which device and host differ."""
        return sum(one.differing_decisions for one in self.played)

    @property
    def outputs(self) -> int:
        """Integers of model output compared."""
        return sum(one.host_outputs.size for one in self.played)

    @property
    def differing_outputs(self) -> int:
        """Integers of model output that differ."""
        return sum(int((one.device_outputs != one.host_outputs).sum()) for one in self.played)


def _facts(decision: Decision) -> tuple[int, int, int | None, float, int]:
    """All of a decision but the time it took."""
    return (
        decision.window_index,
        decision.sample_index,
        decision.label,
        decision.confidence,
        decision.flags,
    )


def replay(
    bundle: Bundle,
    engine: Engine,
    link: Link,
    recordings: Iterable[Recording],
    limit_samples: int | None = None,
    progress: Progress | None = None,
) -> Replay:
    """Play recordings into a device, each from a reset, and the same into the host's pipeline.

    Both are told what of a recording's context the model takes.

    Args:
        bundle: of the firmware that the device runs.
        engine: the host's.
        link: after the handshake.
        recordings: in order.
        limit_samples: of all recordings together; the last one is cut short. None for no limit.
        progress: called with the recording's id, samples played and samples in all of it.

    Raises:
        InnervateError: a recording does not fit the bundle, or the device vanished or fell silent.
    """
    result = Replay(link.device.url)
    left = limit_samples
    for recording in recordings:
        counts = counts_for(bundle.signal_path, recording)
        if left is not None:
            counts = counts[:left]
            left -= len(counts)
        fields = bundle.pipeline.context
        context = quantize(fields, numbers(fields, recording.context))
        result.played.append(_play(bundle, engine, link, recording.id, counts, context, progress))
        if left == 0:
            break
    return result


def _play(
    bundle: Bundle,
    engine: Engine,
    link: Link,
    name: str,
    counts: NDArray[np.int32],
    context: NDArray[np.int8],
    progress: Progress | None,
) -> Played:
    windows, ends = PathRunner(bundle.signal_path).windows(counts)
    engine.reset()
    host_outputs = np.array([engine.run(w, context) for w in windows], np.int8).reshape(
        len(windows), len(bundle.labels)
    )
    host = Pipeline(bundle, engine, context=context).push(counts)
    outputs = np.zeros_like(host_outputs)
    # An output that never arrives must differ from whatever the host has.
    outputs[:] = np.where(host_outputs == 0, 1, 0)
    decisions: list[Decision] = []
    if len(context):
        link.set_context(context)
    link.start(Trace.OUTPUT)
    for first in range(0, len(counts), CHUNK_SAMPLES):
        for event in link.stream(counts[first : first + CHUNK_SAMPLES], first):
            if isinstance(event, Traced):
                outputs[event.index] = event.values
            else:
                decisions.append(event)
        if progress is not None:
            progress(f"stream {name}", min(first + CHUNK_SAMPLES, len(counts)), len(counts))
    return Played(name, counts, ends, outputs, host_outputs, decisions, host)


@dataclass(frozen=True, eq=False)
class DeviceClasses:
    """Labelled windows that were replayed.

    Attributes:
        rows: int64 [N], their rows in the set of windows.
        predicted: int64 [N], the class likeliest to the device's model.
    """

    rows: NDArray[np.int64]
    predicted: NDArray[np.int64]


def device_classes(windows: WindowSet, replayed: Replay) -> DeviceClasses:
    """Find the labelled windows that were replayed, in the order of the set."""
    made = {
        (one.recording, int(end)): int(output.argmax())
        for one in replayed.played
        for end, output in zip(one.window_end, one.device_outputs, strict=True)
    }
    rows, predicted = [], []
    for row, place in enumerate(zip(windows.recording.tolist(), windows.end_index.tolist(), strict=True)):
        if place in made and windows.y[row] != UNMARKED:
            rows.append(row)
            predicted.append(made[place])
    return DeviceClasses(np.array(rows, np.int64), np.array(predicted, np.int64))


def device_accuracies(windows: WindowSet, classes: DeviceClasses) -> dict[str, float]:
    """Accuracy of the replayed windows by subject."""
    right, subject = windows.y[classes.rows] == classes.predicted, windows.subject[classes.rows]
    return {str(name): float(right[subject == name].mean()) for name in np.unique(subject)}
