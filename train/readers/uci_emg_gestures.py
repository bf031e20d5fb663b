"""EMG data for gestures (UCI 481): Myo armband, 8 channels, two series a subject.

Lobov S., Krilova N., Kastalskiy I., Kazantsev V., Makarov V. A.: Latent Factors Limiting the Performance of
sEMG-Interfaces. Sensors 2018, 18(4):1122. CC BY 4.0.

**Rate.** The files hold about 960 rows a second, but most rows repeat the one before. The armband samples
at 200 Hz and sends packets of two samples; the logger wrote down about once a millisecond whatever had
arrived last. So the second sample of a packet is held for the 7 to 22 ms until the next one, while the
first is seen for 1 or 2 ms, or missed. What is left of the signal is 92 to 111 distinct rows a second
(measured over all 48 files; 104 on average): each is a true sample of the device, the repeats are none. The
reader yields exactly the distinct rows, in order, and calls them `FS_HZ` = 105 Hz. Their spacing is uneven,
so a frequency read off these recordings is nominal; the measured rate of each is in its context
(`rows_per_s`). Interpolating to 200 Hz would invent half of the samples.

A row is also dropped in the rare case that two true samples agree in all 8 channels. Where no row or no new
value comes for more than `MAX_HOLD_MS`, the connection was lost: a new Recording begins.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from train.readers._text import read_table, whole_counts
from train.recording import Annotation, Recording

NAME = "uci_emg_gestures"
DESCRIPTION = "surface EMG, Myo armband, 8 channels, 6 gestures, up to 36 subjects x 2 series"
FS_HZ = 105.0
CHANNELS = tuple(f"emg{n}" for n in range(1, 9))
COUNTS_BITS = 8
LABELS = (
    "rest",
    "fist",
    "wrist_flexion",
    "wrist_extension",
    "radial_deviation",
    "ulnar_deviation",
    "open_hand",
)
SESSIONS = ("1", "2")
NEEDS_DATA = True

VOLT_PER_COUNT = 1e-5
"""How the files write a count; the armband's true scale was never published."""
MAX_HOLD_MS = 250.0
"""The longest hold seen in sound files is 175 ms."""
RATE_LIMITS_HZ = (80.0, 230.0)
"""Distinct rows a second of a usable file; below it the link lost more than a fifth, above it is no Myo."""

_FILE_NAME = re.compile(r"([12])_raw_data_.*\.txt$")
_PROVENANCE = "UCI 481, Lobov et al. 2018, Sensors 18:1122, CC BY 4.0"


def can_read(path: Path) -> bool:
    """Whether `path` is the data set's folder, a subject's folder or one of its files."""
    return bool(_files(path))


def read(path: Path | None) -> Iterator[Recording]:
    """Yield one Recording a series (more where the connection was lost), in order of subject and series."""
    files = _files(path) if path is not None else []
    if not files:
        raise InnervateError(
            "No files like 01/1_raw_data_*.txt", str(path or ""), "Give the folder of the data set"
        )
    for file in files:
        yield from _read_series(file)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if _FILE_NAME.match(path.name) else []
    found = [*path.glob("[0-9]*/*_raw_data_*.txt"), *path.glob("*_raw_data_*.txt")]
    return sorted(file for file in found if _FILE_NAME.match(file.name))


def _read_series(file: Path) -> Iterator[Recording]:
    table = read_table(file, columns=10, delimiter="\t", header_lines=1)
    time_ms, labels = table[:, 0], table[:, 9]
    backwards = np.flatnonzero(np.diff(time_ms) <= 0)
    if backwards.size:
        raise InnervateError(
            "Time does not advance", f"{file}, line {backwards[0] + 3}", "Use the original file"
        )
    unknown = np.flatnonzero(~np.isin(labels, np.arange(len(LABELS) + 1)))
    if unknown.size:
        raise InnervateError(
            f"Unknown class {labels[unknown[0]]:g}", f"{file}, line {unknown[0] + 2}", "Classes are 0 to 7"
        )
    counts = whole_counts(table[:, 1:9] / VOLT_PER_COUNT, file, COUNTS_BITS, first_line=2)

    rows = distinct_rows(counts)
    cuts = np.flatnonzero(np.diff(time_ms[rows]) > MAX_HOLD_MS) + 1
    for part, kept in enumerate(np.split(rows, cuts)):
        seconds = (time_ms[kept[-1]] - time_ms[kept[0]]) / 1000
        if seconds < MAX_HOLD_MS / 1000:
            continue  # a scrap between two losses, shorter than any window
        rate = (len(kept) - 1) / seconds
        if not RATE_LIMITS_HZ[0] <= rate <= RATE_LIMITS_HZ[1]:
            raise InnervateError(
                f"{rate:.0f} distinct rows a second",
                str(file),
                "Use the original file of the armband, not a resampled copy",
            )
        match = _FILE_NAME.match(file.name)
        assert match is not None
        yield Recording(
            signals=counts[kept],
            fs_hz=FS_HZ,
            channels=CHANNELS,
            counts_bits=COUNTS_BITS,
            subject=file.parent.name,
            session=match[1],
            annotations=_annotations(labels[kept].astype(np.int64)),
            context={"rows_per_s": f"{rate:.1f}"},
            provenance=_PROVENANCE,
            part=str(part or ""),
        )


def distinct_rows(counts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the indices of rows that differ from the row before, int64; the first is always one."""
    changed = np.r_[True, (np.diff(counts, axis=0) != 0).any(axis=1)]
    return np.flatnonzero(changed)


def _annotations(labels: NDArray[np.int64]) -> tuple[Annotation, ...]:
    """One annotation for each run of the same class 1-7."""
    starts = np.r_[0, np.flatnonzero(np.diff(labels)) + 1]
    ends = np.r_[starts[1:], len(labels)]
    return tuple(
        Annotation(int(start), int(end - start), LABELS[labels[start] - 1])
        for start, end in zip(starts, ends, strict=True)
        if labels[start] != 0
    )
