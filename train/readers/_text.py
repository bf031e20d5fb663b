"""Tables of numbers in text files, read with bounds and with errors that name the line."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

MAX_FILE_BYTES = 256 * 1024 * 1024
"""Largest text file that is read: an hour of 16 channels at 1 kHz is below it."""


def read_table(path: Path, columns: int, delimiter: str, header_lines: int = 0) -> NDArray[np.float64]:
    """Read a table of finite numbers.

    Args:
        path: the file.
        columns: how many numbers a line must hold.
        delimiter: between two numbers.
        header_lines: lines to skip at the top.

    Returns:
        float64 ``[lines, columns]``, at least one line.

    Raises:
        InnervateError: the file is missing, empty, too large, not text, or a line is malformed.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InnervateError(
            f"Cannot read the recording: {error.strerror}", str(path), "Check the path and its permissions"
        ) from None
    if size > MAX_FILE_BYTES:
        raise InnervateError(
            f"The recording is {size} bytes, more than the {MAX_FILE_BYTES} that are read",
            str(path),
            "Cut it into shorter files",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an empty file is reported below
            table = np.loadtxt(
                path, delimiter=delimiter, skiprows=header_lines, ndmin=2, comments=None, encoding="utf-8"
            )
    except (ValueError, UnicodeDecodeError):
        raise _first_fault(path, columns, delimiter, header_lines) from None
    if table.size == 0:
        raise InnervateError("The recording is empty", str(path), "Copy the original file again")
    if table.shape[1] != columns or not np.isfinite(table).all():
        raise _first_fault(path, columns, delimiter, header_lines)
    return table


def _first_fault(path: Path, columns: int, delimiter: str, header_lines: int) -> InnervateError:
    """Describe the first malformed line of a file that has one."""
    mend = "Copy the original file again or remove the line"
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            line = raw.decode("utf-8", errors="replace").strip("\r\n")
            if number <= header_lines or not line.strip():
                continue
            cells = line.split(delimiter)
            if len(cells) != columns:
                return InnervateError(
                    f"{len(cells)} columns where {columns} are expected", f"{path}, line {number}", mend
                )
            for cell in cells:
                try:
                    value = float(cell)
                except ValueError:
                    return InnervateError(f"'{cell[:20]}' is not a number", f"{path}, line {number}", mend)
                if not np.isfinite(value):
                    return InnervateError(
                        f"'{cell[:20]}' is not a finite number", f"{path}, line {number}", mend
                    )
    return InnervateError("The recording is not a table of numbers", str(path), mend)


def whole_counts(values: NDArray[np.float64], path: Path, bits: int, first_line: int) -> NDArray[np.int32]:
    """Turn values that must be whole ADC counts into int32.

    Args:
        values: float64 ``[lines, channels]`` in counts.
        path: the file they are from, for the error.
        bits: of the signed range they must fit into.
        first_line: line number of the first row in the file.

    Raises:
        InnervateError: a value is no whole number or out of range.
    """
    counts = np.rint(values)
    limit = 1 << (bits - 1)
    bad = (np.abs(values - counts) > 1e-3) | (counts < -limit) | (counts >= limit)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise InnervateError(
            f"{values[row, column]:g} is not a whole count of {bits} bits",
            f"{path}, line {first_line + row}",
            "Use the original file, not a scaled or filtered copy",
        )
    return counts.astype(np.int32)
