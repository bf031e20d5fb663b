"""Counts from a `.csv` or `.npy` file, in chunks."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

MAX_BYTES: Final = 1 << 30
_INT32: Final = np.iinfo(np.int32)


class FileSource:
    """A recording of counts, given out in order.

    A `.npy` holds integers [samples, channels]. A `.csv` has one line a sample, whole numbers separated by
    commas; a first line of channel names is allowed and, where it is there, must name the channels in their
    order.

    Args:
        path: the file.
        channels: names of the channels expected.
        chunk: samples a chunk.

    Raises:
        InnervateError: the file cannot be read, is empty, has another number of channels, or anything in it
            is not a whole number of 32 bits; names the line of a `.csv`.
    """

    def __init__(self, path: Path, channels: tuple[str, ...], chunk: int = 64) -> None:
        if chunk < 1:
            raise InnervateError(f"chunks of {chunk} samples", str(path), "Give 1 or more")
        readers = {".csv": _read_csv, ".npy": _read_npy}
        if path.suffix.lower() not in readers:
            raise InnervateError(
                f"unknown kind of file '{path.suffix}'", str(path), "Give a .csv or .npy of counts"
            )
        try:
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise InnervateError(
                    f"{size} bytes are too many to read at once", str(path), "Cut the recording"
                )
            self.counts = readers[path.suffix.lower()](path, channels)
        except OSError as error:
            raise InnervateError(
                f"cannot read: {error.strerror}", str(path), "Give a .csv or .npy of counts"
            ) from error
        if not len(self.counts):
            raise InnervateError("there are no samples", str(path), "Give a recording that is not empty")
        self.chunk = chunk

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int32]]]:
        """Give index of the first sample and int32 counts [n, channels] of each chunk."""
        for start in range(0, len(self.counts), self.chunk):
            yield start, self.counts[start : start + self.chunk]


def _read_npy(path: Path, channels: tuple[str, ...]) -> NDArray[np.int32]:
    try:
        array: NDArray[Any] = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
    except (ValueError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
        raise InnervateError(
            "not a whole .npy file of numbers", str(path), "Save it again with numpy.save"
        ) from error
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.shape[1] != len(channels):
        shape = getattr(array, "shape", "several arrays")
        raise InnervateError(
            f"the file holds {shape}, not [samples, {len(channels)}]",
            str(path),
            f"The channels are {', '.join(channels)}",
        )
    if not np.issubdtype(array.dtype, np.integer):
        raise InnervateError(
            f"the values are {array.dtype}, not whole counts",
            str(path),
            "Save the converter's integer counts",
        )
    if array.size and (int(array.min()) < _INT32.min or int(array.max()) > _INT32.max):
        raise InnervateError(
            "a value does not fit in 32 bits", str(path), "Save the converter's integer counts"
        )
    return np.ascontiguousarray(array, np.int32)


def _read_csv(path: Path, channels: tuple[str, ...]) -> NDArray[np.int32]:
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InnervateError("not a text file", str(path), "Give a .csv of whole numbers") from error
    first = 0
    names = tuple(field.strip() for field in lines[0].split(",")) if lines else ()
    if any(name[:1].isalpha() and name.lower() not in ("nan", "inf") for name in names):
        if names != channels:
            raise InnervateError(
                f"the channels are {', '.join(names)}, not {', '.join(channels)}",
                str(path),
                "Put them in that order",
            )
        first = 1
    rows: list[list[int]] = []
    for number, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            continue
        try:
            row = [int(field) for field in line.split(",")]
        except ValueError as error:
            raise InnervateError(
                f"'{line[:60]}' is not whole numbers",
                f"{path}: line {number}",
                "Give the converter's integer counts",
            ) from error
        if len(row) != len(channels):
            raise InnervateError(
                f"{len(row)} values for {len(channels)} channels",
                f"{path}: line {number}",
                "Give one value a channel",
            )
        if min(row) < _INT32.min or max(row) > _INT32.max:
            raise InnervateError(
                "a value does not fit in 32 bits",
                f"{path}: line {number}",
                "Give the converter's integer counts",
            )
        rows.append(row)
    return np.array(rows, np.int32).reshape(-1, len(channels))
