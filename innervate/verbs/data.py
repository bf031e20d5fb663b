"""`innervate data check|info`: can it be read, and what is in it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from innervate.output import Json, emit_json, emit_table, note, say

app = typer.Typer(
    no_args_is_help=True, help="Look at recordings: `check` reads every sample, `info` says what is there."
)

DataPath = Annotated[
    Path, typer.Argument(help="Folder of a data set in its original files.", show_default=False)
]
DatasetOption = Annotated[
    str, typer.Option("--dataset", help="Read it as this data set; by default it is recognised.")
]


@dataclass(frozen=True)
class RecordingInfo:
    """What one recording holds; `clipped` is the share of samples at the converter's limits."""

    id: str
    samples: int
    channels: int
    fs_hz: float
    seconds: float
    labels: dict[str, float]
    clipped: float


def survey(path: Path, dataset: str = "") -> tuple[str, list[RecordingInfo]]:
    """Read every recording below `path`; returns the data set's name and a row a recording.

    Raises:
        InnervateError: nothing there can be read, or a file is corrupt.
    """
    from train import readers

    reader = readers.get(dataset) if dataset else readers.find(path)
    rows = []
    for recording in reader.read(path):
        recording.validate()
        signals = recording.signals
        limit = 1 << (recording.counts_bits - 1)
        at_limit = (
            (signals <= -limit) | (signals >= limit - 1) if signals.dtype == np.int32 else np.zeros(1, bool)
        )
        labels: dict[str, float] = {}
        for mark in recording.annotations:
            labels[mark.label] = labels.get(mark.label, 0.0) + mark.duration / recording.fs_hz
        rows.append(
            RecordingInfo(
                recording.id,
                len(signals),
                signals.shape[1],
                recording.fs_hz,
                len(signals) / recording.fs_hz,
                labels,
                float(at_limit.mean()),
            )
        )
    return reader.NAME, rows


@app.command()
def check(path: DataPath, dataset: DatasetOption = "", json: Json = False) -> None:
    """Read every sample of every recording; the first fault is named with file and line."""
    name, rows = survey(path, dataset)
    seconds = sum(row.seconds for row in rows)
    clipped = [row.id for row in rows if row.clipped > 0.001]
    if json:
        emit_json({"dataset": name, "recordings": len(rows), "seconds": seconds, "clipped": clipped})
        return
    say(f"{name}: {len(rows)} recordings, {seconds / 60:.1f} minutes, all readable.")
    if clipped:
        note(
            f"{len(clipped)} recordings touch the converter's limits in over 0.1 % of samples, "
            f"first {clipped[0]}."
        )


@app.command()
def info(path: DataPath, dataset: DatasetOption = "", json: Json = False) -> None:
    """One line a recording: length, rate, channels, labels with their seconds."""
    name, rows = survey(path, dataset)
    if json:
        emit_json({"dataset": name, "recordings": [vars(row) for row in rows]})
        return
    columns = ("recording", "seconds", "Hz", "channels", "labels (s)")
    lines = (
        (r.id, r.seconds, r.fs_hz, r.channels, ", ".join(f"{label} {s:.1f}" for label, s in r.labels.items()))
        for r in rows
    )
    emit_table(columns, lines, title=name)
