"""Simulated surface EMG: needs no data, the same every time (see `train.simulate.semg`)."""

from collections.abc import Iterator
from pathlib import Path

from train.recording import Recording
from train.simulate.forearm import GESTURES, REST
from train.simulate.semg import CHANNELS, COUNTS_BITS, simulate

__all__ = [
    "CHANNELS",
    "COUNTS_BITS",
    "DESCRIPTION",
    "FS_HZ",
    "LABELS",
    "NAME",
    "NEEDS_DATA",
    "SESSIONS",
    "can_read",
    "read",
]

NAME = "simulated"
DESCRIPTION = "simulated surface EMG, 8 electrodes round a forearm, 6 gestures and rest, 8 people twice"
FS_HZ = 1000.0
LABELS = (REST, *GESTURES)
SESSIONS = ("1", "2")
NEEDS_DATA = False


def can_read(path: Path) -> bool:
    """Return False: there is nothing to read."""
    return False


def read(path: Path | None) -> Iterator[Recording]:
    """Yield the default simulation, one Recording a subject and session; `path` is not used."""
    return simulate(fs_hz=FS_HZ)
