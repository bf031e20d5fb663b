"""Bonn EEG data: five sets of segments of one channel, healthy scalp to seizures inside the brain.

Andrzejak R. G., Lehnertz K., Mormann F., Rieke C., David P., Elger C. E.: Indications of nonlinear
deterministic and finite-dimensional structures in time series of brain electrical activity. Phys. Rev. E
2001, 64:061907.

A set is a folder of files of 4097 numbers, one a line, 23.6 s each. Nobody published how many microvolts a
count is. What a figure from these data can mean is limited by how they were made:

- **No patient ids.** Which segments are of the same person is not known, so a split by people cannot be made.
  Each segment is a subject of its own here: splits are by segment, and test segments may be of people whom
  the training knows.
- Z and O were recorded on the scalp of volunteers, N, F and S inside the skull of patients: a classifier of
  these against those may tell montages or people apart instead of states.
- Segments were chosen by eye, free of artifacts and stationary. 12 bits: some of F and S stay at 2047.
- The amplifier passed 0.53 to 40 Hz (12 dB an octave) before anything here does.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from edge.errors import InnervateError
from train.readers._text import read_table, whole_counts
from train.recording import Annotation, Recording

NAME = "bonn"
DESCRIPTION = "EEG, 1 channel at 173.61 Hz, healthy, interictal and seizure, by segment: no patient ids"
FS_HZ = 173.61
CHANNELS = ("eeg",)
COUNTS_BITS = 12
LABELS = (
    "healthy_eyes_open",
    "healthy_eyes_closed",
    "interictal_opposite",
    "interictal_focus",
    "seizure",
)
SESSIONS = ("1",)
NEEDS_DATA = True

SETS = dict(zip("ZONFS", LABELS, strict=True))
"""Label of each set. N is of the hippocampus opposite the focus, F of the focus."""
SEGMENT_SAMPLES = 4097

_FILE_NAME = re.compile(r"([ZONFS])\d+\.txt$", re.IGNORECASE)
_PROVENANCE = "Bonn EEG data, Andrzejak et al. 2001, Phys. Rev. E 64:061907"


def can_read(path: Path) -> bool:
    """Whether `path` is the folder of the sets or of one set."""
    return bool(_files(path))


def read(path: Path | None) -> Iterator[Recording]:
    """Yield one Recording a segment, in order of set (Z, O, N, F, S) and name."""
    files = _files(path) if path is not None else []
    if not files:
        raise InnervateError("No files like Z/Z001.txt", str(path or ""), "Give the folder of the data set")
    for group, file in files:
        counts = whole_counts(read_table(file, len(CHANNELS), ","), file, COUNTS_BITS, first_line=1)
        if len(counts) != SEGMENT_SAMPLES:
            raise InnervateError(
                f"The segment has {len(counts)} samples, not {SEGMENT_SAMPLES}",
                str(file),
                "Copy the original file again",
            )
        yield Recording(
            signals=counts,
            fs_hz=FS_HZ,
            channels=CHANNELS,
            counts_bits=COUNTS_BITS,
            subject=file.stem.upper(),
            session=SESSIONS[0],
            annotations=(Annotation(0, len(counts), SETS[group]),),
            context={"set": group},
            provenance=_PROVENANCE,
        )


def _files(path: Path) -> list[tuple[str, Path]]:
    """Letter of the set and file, sorted."""
    found = []
    for file in [*path.glob("[ZONFS]/*"), *path.glob("*")]:
        match = _FILE_NAME.match(file.name)
        if match and file.is_file():
            found.append((match[1].upper(), file))
    return sorted(found, key=lambda entry: ("ZONFS".index(entry[0]), entry[1].name.upper()))
