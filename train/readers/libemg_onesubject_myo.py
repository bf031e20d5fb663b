"""LibEMG's OneSubjectMyo data set: Myo armband, 8 channels at 200 Hz, one subject, 6 trials of 2 repetitions.

Eddy E., Campbell E., Phinyomark A., Bateman S., Scheme E.: LibEMG: An Open Source Library to Facilitate the
Exploration of Myoelectric Control. IEEE Access 2023, 11:87380. One person: a smoke test, not a claim.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from edge.errors import InnervateError
from train.readers._text import read_table, whole_counts
from train.recording import Annotation, Recording

NAME = "libemg_onesubject_myo"
DESCRIPTION = "surface EMG, Myo armband, 8 channels at 200 Hz, 5 gestures, one subject (smoke test)"
FS_HZ = 200.0
CHANNELS = tuple(f"emg{n}" for n in range(1, 9))
COUNTS_BITS = 8
LABELS = ("fist", "open_hand", "rest", "wrist_extension", "wrist_flexion")
SESSIONS = tuple(str(n) for n in range(1, 7))
NEEDS_DATA = True

_TRIAL = re.compile(r"trial_(\d+)$")
_FILE_NAME = re.compile(r"R_(\d+)_C_(\d+)\.csv$")
_PROVENANCE = "LibEMG OneSubjectMyo, Eddy et al. 2023, IEEE Access 11:87380"


def can_read(path: Path) -> bool:
    """Whether `path` is the data set's folder."""
    return bool(_files(path))


def read(path: Path | None) -> Iterator[Recording]:
    """Yield one Recording a file, in order of trial (the session), repetition and class."""
    files = _files(path) if path is not None else []
    if not files:
        raise InnervateError(
            "No files like trial_1/R_0_C_0.csv", str(path or ""), "Give the folder of the data set"
        )
    for trial, repetition, gesture, file in files:
        if gesture >= len(LABELS):
            raise InnervateError(f"Unknown class {gesture}", str(file), "Classes are 0 to 4")
        counts = whole_counts(read_table(file, len(CHANNELS), ","), file, COUNTS_BITS, first_line=1)
        yield Recording(
            signals=counts,
            fs_hz=FS_HZ,
            channels=CHANNELS,
            counts_bits=COUNTS_BITS,
            subject="1",
            session=str(trial),
            annotations=(Annotation(0, len(counts), LABELS[gesture]),),
            context={"repetition": str(repetition)},
            provenance=_PROVENANCE,
            part=f"{repetition}_{gesture}",
        )


def _files(path: Path) -> list[tuple[int, int, int, Path]]:
    """Trial, repetition, class and file, sorted."""
    found = []
    for file in path.glob("trial_*/R_*_C_*.csv"):
        trial, match = _TRIAL.match(file.parent.name), _FILE_NAME.match(file.name)
        if trial and match:
            found.append((int(trial[1]), int(match[1]), int(match[2]), file))
    return sorted(found)
