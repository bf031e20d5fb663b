"""Windows to calibrate on: float arrays of the user's, or int8 windows that a signal path makes."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.importing.ends import WINDOW
from quantize.importing.like import CALIBRATION_WINDOWS, Like

_LEAST = 2


def read_windows(place: Path, step: float) -> dict[str, NDArray[np.float32]]:
    """Read calibration data: float32 [N, ...] by input name, the window under `window`.

    Args:
        place: `.npy`, `.npz` (one array an input), run folder or bundle.
        step: real value of one int8 step of a window of a signal path.

    Raises:
        InnervateError: not readable, or not windows of finite numbers.
    """
    if place.suffix not in (".npy", ".npz"):
        return {WINDOW: Like(place).windows() * np.float32(step)}
    try:
        with place.open("rb") as stream:
            stored: Any = np.load(stream, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                arrays = {WINDOW: stored}
            else:
                arrays = {name: stored[name] for name in stored.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InnervateError(
            f"The calibration data cannot be read: {type(error).__name__}",
            str(place),
            "Write it with numpy.save or numpy.savez",
        ) from None
    if len(arrays) == 1:
        arrays = {WINDOW: next(iter(arrays.values()))}
    return {name: _checked(values, f"{place}, array '{name}'", step) for name, values in arrays.items()}


def _checked(values: NDArray[Any], where: str, step: float) -> NDArray[np.float32]:
    """A sample of an array as float32; int8 arrays are windows of a signal path."""
    if values.dtype.kind not in "fiu" or values.ndim < 2 or len(values) < _LEAST:
        raise InnervateError(
            f"An array of {values.dtype} {list(values.shape)} is not windows",
            where,
            f"Give numbers [windows, ...], {_LEAST} windows or more",
        )
    chosen = np.linspace(0, len(values) - 1, min(len(values), CALIBRATION_WINDOWS)).astype(np.int64)
    windows: NDArray[np.float32] = values[chosen].astype(np.float32)
    if not np.isfinite(windows).all():
        raise InnervateError("Not all values are finite", where, "Leave out windows with gaps")
    return windows * np.float32(step) if values.dtype == np.int8 else windows
