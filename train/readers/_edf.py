"""Signals of EDF and EDF+ files, read by edfio, with bounds and with errors that name the file."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import edfio
import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

MAX_FILE_BYTES = 1024 * 1024 * 1024
"""Largest file that is read: a night of 32 channels at 500 Hz is below it."""

_MEND = "Copy the original file again"
_UV = {"uV": 1.0, "µV": 1.0, "mV": 1e3, "V": 1e6}
_ENCODING = "latin-1"  # the standard asks for ASCII, "µV" is common all the same


def read_edf(path: Path, channels: Sequence[str], fs_hz: float) -> NDArray[np.float64]:
    """Read channels of one sampling rate.

    Args:
        path: the file.
        channels: labels of the signals in the file, in the order wanted.
        fs_hz: the rate they must have.

    Returns:
        microvolts, float64 ``[samples, channels]``, at least one sample.

    Raises:
        InnervateError: the file is missing, too large, no EDF, cut short or interrupted, or a channel is
            missing, or has another rate or no unit of voltage.
    """
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            raise InnervateError(
                f"The recording is {size} bytes, more than the {MAX_FILE_BYTES} that are read",
                str(path),
                "Cut it into shorter files",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)  # edfio warns of a file that is cut short
            edf = edfio.read_edf(path, lazy_load_data=False, header_encoding=_ENCODING)
        if edf.reserved.startswith("EDF+D"):
            raise InnervateError(
                "The recording has breaks (EDF+D)", str(path), "Save its parts apart, as EDF+C"
            )
        signals = {signal.label: signal for signal in edf.signals}
        columns = [_microvolts(signals[name], fs_hz, path) for name in channels if name in signals]
    except OSError as error:
        raise InnervateError(
            f"Cannot read the recording: {error.strerror}", str(path), "Check the path and its permissions"
        ) from None
    except UserWarning:
        raise InnervateError("The file is not as long as its header says", str(path), _MEND) from None
    # What edfio raises for a header of nonsense depends on where it stumbles.
    except (ValueError, KeyError, IndexError, ArithmeticError, AttributeError, TypeError, UnboundLocalError):
        raise InnervateError("The file is no sound EDF", str(path), _MEND) from None
    missing = [name for name in channels if name not in signals]
    if missing:
        raise InnervateError(f"The channel '{missing[0]}' is missing", str(path), _MEND)
    if len({len(column) for column in columns}) != 1 or len(columns[0]) == 0:
        raise InnervateError("The recording is empty", str(path), _MEND)
    values = np.stack(columns, axis=1)
    if not np.isfinite(values).all():
        raise InnervateError("The file is no sound EDF", str(path), _MEND)
    return values


def _microvolts(signal: edfio.EdfSignal, fs_hz: float, path: Path) -> NDArray[np.float64]:
    if abs(signal.sampling_frequency - fs_hz) > 1e-6 * fs_hz:
        raise InnervateError(
            f"'{signal.label}' has {signal.sampling_frequency:g} samples a second, not {fs_hz:g}",
            str(path),
            "Use the original file",
        )
    if signal.physical_dimension not in _UV:
        raise InnervateError(
            f"'{signal.label}' is in '{signal.physical_dimension}', which is no voltage",
            str(path),
            "Use the original file",
        )
    return np.asarray(signal.data, np.float64) * _UV[signal.physical_dimension]
