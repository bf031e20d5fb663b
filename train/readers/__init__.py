"""Readers of data sets, one file each: the registry is this folder.

A reader is a module with the names of `Reader`. Its labels use the words of the tasks where they mean the
same thing (``rest``, ``fist``, ``wrist_flexion``, ...), so that a task can take a new data set as it is.
Modules whose name begins with an underscore are shared helpers.
"""

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

from edge.errors import InnervateError
from train.recording import Recording


class Reader(Protocol):
    """What a module in this folder offers.

    Attributes:
        NAME: name of the data set, as in its public source.
        DESCRIPTION: one sentence.
        FS_HZ: nominal sampling rate of its recordings.
        CHANNELS: channel names.
        COUNTS_BITS: bits of the signed range its counts fit into.
        LABELS: labels its annotations can carry.
        SESSIONS: names of the sessions, in order of time.
        NEEDS_DATA: whether `read` needs a path (a simulator does not).
    """

    NAME: str
    DESCRIPTION: str
    FS_HZ: float
    CHANNELS: tuple[str, ...]
    COUNTS_BITS: int
    LABELS: tuple[str, ...]
    SESSIONS: tuple[str, ...]
    NEEDS_DATA: bool

    def can_read(self, path: Path) -> bool:
        """Whether `path` looks like this data set (a quick look at names, not at contents)."""
        ...

    def read(self, path: Path | None) -> Iterator[Recording]:
        """Yield the recordings in a fixed order, one at a time.

        Raises:
            InnervateError: a file is missing, empty or malformed; names the file and line.
        """
        ...


def names() -> list[str]:
    """Names of all data sets that can be read, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def get(name: str) -> Reader:
    """Return the reader of a data set.

    Raises:
        InnervateError: there is none of that name.
    """
    if name not in names():
        raise InnervateError(f"Unknown data set '{name}'", "", f"Choose one of {', '.join(names())}")
    return cast(Reader, importlib.import_module(f"{__name__}.{name}"))


def find(path: Path) -> Reader:
    """Find the reader that can read `path`.

    Raises:
        InnervateError: the path does not exist or no reader knows it.
    """
    if not path.exists():
        raise InnervateError("No such file or folder", str(path), "Give the folder of a data set")
    for name in names():
        reader = get(name)
        if reader.NEEDS_DATA and reader.can_read(path):
            return reader
    raise InnervateError(
        "No reader knows this layout",
        str(path),
        f"Give the original folder of one of {', '.join(n for n in names() if get(n).NEEDS_DATA)}",
    )
