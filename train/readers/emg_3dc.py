"""3DC dataset: 3DC armband, 10 channels at 1 kHz, 11 gestures, two sessions of four repetitions.

Côté-Allard U. et al.: Deep Learning for Electromyographic Hand Gesture Signal Classification Using Transfer
Learning. IEEE TNSRE 2019, 27(4):760-771.

A file holds one gesture of one repetition. A repetition was recorded in one go, but its files do not join:
from the last sample of one to the first of the next the signal jumps as far as between unrelated moments
(1.9 times the usual step, 1.8 between samples 150 apart, 0.85 between neighbours), and lengths differ by
whole radio blocks of about 172 samples that were lost. So each file is a Recording of its own. The shortest
has 363 samples.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from edge.errors import InnervateError
from train.readers._text import read_table, whole_counts
from train.recording import Annotation, Recording

NAME = "emg_3dc"
DESCRIPTION = "surface EMG, 3DC armband, 10 channels at 1 kHz, 11 gestures, 2 sessions x 4 repetitions"
FS_HZ = 1000.0
CHANNELS = tuple(f"emg{n}" for n in range(1, 11))
COUNTS_BITS = 16
LABELS = (
    "rest",
    "radial_deviation",
    "wrist_flexion",
    "ulnar_deviation",
    "wrist_extension",
    "supination",
    "pronation",
    "power_grip",
    "open_hand",
    "chuck_grip",
    "pinch_grip",
)
SESSIONS = ("train", "test")
NEEDS_DATA = True

_FILE_NAME = re.compile(r"3dc_EMG_gesture_(\d+)_(\d+)\.txt$")
_PROVENANCE = "3DC dataset, Côté-Allard et al. 2019, IEEE TNSRE 27:760"


def can_read(path: Path) -> bool:
    """Whether `path` is the data set's folder or that of one participant."""
    return bool(_files(path))


def read(path: Path | None) -> Iterator[Recording]:
    """Yield one Recording a file, in order of participant, session (train, test), repetition and gesture."""
    files = _files(path) if path is not None else []
    if not files:
        raise InnervateError(
            "No files like Participant1/train/EMG/3dc_EMG_gesture_0_0.txt",
            str(path or ""),
            "Give the folder of the data set",
        )
    for participant, session, repetition, gesture, file in files:
        if gesture >= len(LABELS):
            raise InnervateError(f"Unknown gesture {gesture}", str(file), "Gestures are 0 to 10")
        counts = whole_counts(read_table(file, len(CHANNELS), ","), file, COUNTS_BITS, first_line=1)
        yield Recording(
            signals=counts,
            fs_hz=FS_HZ,
            channels=CHANNELS,
            counts_bits=COUNTS_BITS,
            subject=participant,
            session=SESSIONS[session],
            annotations=(Annotation(0, len(counts), LABELS[gesture]),),
            context={"repetition": str(repetition)},
            provenance=_PROVENANCE,
            part=f"{repetition}_{gesture}",
        )


def _files(path: Path) -> list[tuple[str, int, int, int, Path]]:
    """Participant, index of the session, repetition, gesture and file, sorted."""
    found = []
    for file in [*path.glob("Participant*/*/EMG/*.txt"), *path.glob("*/EMG/*.txt")]:
        match = _FILE_NAME.match(file.name)
        session = file.parent.parent.name
        if match and session in SESSIONS:
            participant = file.parent.parent.parent.resolve().name.removeprefix("Participant")
            found.append((participant, SESSIONS.index(session), int(match[1]), int(match[2]), file))
    return sorted(found)
