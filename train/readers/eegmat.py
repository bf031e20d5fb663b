"""EEG during mental arithmetic: rest, then counting down from four digits in steps of two digits.

Zyma I., Tukaev S., Seleznov I., Kiyono K., Popov A., Chernykh M., Shpenkov O.: Electroencephalograms during
Mental Arithmetic Task Performance. Data 2019, 4(1):14. PhysioNet eegmat 1.0.0 (ODC-By 1.0).

Three minutes of rest (`_1.edf`) come before one minute of arithmetic (`_2.edf`), always in this order: what
tells the two apart may be drowsiness or the drift of electrodes. The files had artifacts removed by
independent components and were band-passed from 0.5 to 45 Hz, with a 50 Hz notch, by their authors.

**Counts.** Each channel of each file was written with a scale of its own, from its smallest to its largest
value, so that its 16-bit integers are no converter's. The reader writes microvolts in steps of
`UV_PER_COUNT` for all: no finer than the coarsest file, and far below the noise of any electrode.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from edge.errors import InnervateError
from train.readers._edf import read_edf
from train.recording import Annotation, Recording

NAME = "eegmat"
DESCRIPTION = "EEG, 8 channels at 500 Hz, rest and mental arithmetic, up to 36 people"
FS_HZ = 500.0
CHANNELS = ("F3", "Fz", "F4", "P3", "Pz", "P4", "O1", "O2")
COUNTS_BITS = 16
LABELS = ("rest_early", "rest_late", "arithmetic")
SESSIONS = ("1",)
NEEDS_DATA = True

UV_PER_COUNT = 0.02
LATE_REST_SECONDS = 62
"""The end of the rest that is `rest_late`: as long as the arithmetic, and nearest to it in time."""

_FILE_NAME = re.compile(r"Subject(\d+)_([12])\.edf$")
_PROVENANCE = "PhysioNet eegmat, Zyma et al. 2019, Data 4:14, ODC-By"
_MAX_INFO_BYTES = 1 << 20
_INFO = {
    "Age": "age_years",
    "Gender": "sex",
    "Recording year": "recorded",
    "Number of subtractions": "subtractions",
    "Count quality": "count_quality",
}
"""Columns of subject-info.csv and what they are called here; quality 1 is good, 0 bad. The sex is there as
`sex_male` too, 1 or 0."""


def can_read(path: Path) -> bool:
    """Whether `path` is the data set's folder."""
    return bool(_files(path))


def read(path: Path | None) -> Iterator[Recording]:
    """Yield one Recording a file, in order of person, rest before arithmetic."""
    files = _files(path) if path is not None else []
    if path is None or not files:
        raise InnervateError(
            "No files like Subject00_1.edf", str(path or ""), "Give the folder of the data set"
        )
    people = _people(path / "subject-info.csv")
    for subject, part, file in files:
        if people and subject not in people:
            raise InnervateError(
                f"No line for Subject{subject}",
                str(path / "subject-info.csv"),
                "Copy the original file again",
            )
        microvolts = read_edf(file, [f"EEG {name}" for name in CHANNELS], FS_HZ)
        counts = np.rint(microvolts / UV_PER_COUNT)
        limit = 1 << (COUNTS_BITS - 1)
        if counts.min() < -limit or counts.max() >= limit:
            raise InnervateError(
                f"{np.abs(microvolts).max():.0f} microvolts are more than the "
                f"{limit * UV_PER_COUNT:.0f} that such recordings hold",
                str(file),
                "Use the original file",
            )
        yield Recording(
            signals=counts.astype(np.int32),
            fs_hz=FS_HZ,
            channels=CHANNELS,
            counts_bits=COUNTS_BITS,
            subject=subject,
            session=SESSIONS[0],
            annotations=_annotations(part, len(counts)),
            uv_per_count=UV_PER_COUNT,
            context=people.get(subject, {}),
            provenance=_PROVENANCE,
            part="rest" if part == 1 else "arithmetic",
        )


def _files(path: Path) -> list[tuple[str, int, Path]]:
    """Person, part (1 rest, 2 arithmetic) and file, sorted."""
    matches = [(_FILE_NAME.match(file.name), file) for file in path.glob("Subject*.edf")]
    return sorted((match[1], int(match[2]), file) for match, file in matches if match)


def _annotations(part: int, length: int) -> tuple[Annotation, ...]:
    if part == 2:
        return (Annotation(0, length, "arithmetic"),)
    early = max(0, length - round(LATE_REST_SECONDS * FS_HZ))
    late = Annotation(early, length - early, "rest_late")
    return (Annotation(0, early, "rest_early"), late) if early else (late,)


def _people(file: Path) -> dict[str, Mapping[str, str]]:
    """Facts of each person by number; empty where the table was not copied along."""
    try:
        with file.open("rb") as stream:
            lines = stream.read(_MAX_INFO_BYTES).decode("utf-8-sig").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise InnervateError("The table of people cannot be read", str(file), "Copy it again") from None
    people: dict[str, Mapping[str, str]] = {}
    try:
        for row in csv.DictReader(lines, strict=True):
            facts = {ours: row[theirs].strip() for theirs, ours in _INFO.items()}
            sex = facts["sex"]
            people[row["Subject"].removeprefix("Subject")] = facts | {
                "sex_male": str(int(sex == "M")) if sex in ("F", "M") else ""
            }
    except (KeyError, AttributeError, csv.Error):  # a missing column, a short line, a broken quote
        raise InnervateError(
            f"Line {len(people) + 2} does not hold Subject, {', '.join(_INFO)}",
            str(file),
            "Copy the original file again",
        ) from None
    return people
