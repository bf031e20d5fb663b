"""Windows in a row: how a network whose state goes on from window to window is trained and asked.

The state starts from zero with each recording, as on a device, and in training also where a row begins.
"""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from train.models import to_input
from train.recording import UNMARKED
from train.windows import WindowSet

NONE = -1
"""Index where a row is shorter than the others."""


def rows(recording: NDArray[np.str_], length: int, phase: int = 0) -> NDArray[np.int64]:
    """Cut the windows of each recording into rows of `length`.

    Args:
        recording: id of the recording each window is from, ``[N]``; those of one are in a row.
        length: windows a row.
        phase: windows in the first row of each recording, where not 0.

    Returns:
        Indices of windows int64 ``[M, length]``, filled up with NONE; each window is in one row.
    """
    starts = np.flatnonzero(np.r_[True, recording[1:] != recording[:-1]])
    found = [np.zeros((0, length), np.int64)]
    for start, end in zip(starts, np.r_[starts[1:], len(recording)], strict=True):
        first = min(start + phase, end) if phase else start
        for begin, until in ((start, first), (first, end)):
            count = -(-(until - begin) // length)
            found.append(np.arange(begin, begin + count * length).reshape(count, length))
            found[-1][found[-1] >= until] = NONE
    return np.concatenate(found)


def take(windows: WindowSet, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return what a network takes and should say for rows ``[B, S]``.

    Returns:
        Input float32 ``[B, channels, 1, S * window]``, context float32 ``[B, F]``, labels int64 ``[B, S]``,
        which are UNMARKED where a row is shorter.
    """
    held = windows.x[chosen]  # NONE takes the last window, which nothing after it sees
    x = to_input(held.reshape(len(held), -1, held.shape[-1]))
    y = np.where(chosen == NONE, UNMARKED, windows.y[chosen])
    return x, torch.from_numpy(windows.context[chosen[:, 0]]), torch.from_numpy(y)


def marked_only(windows: WindowSet, chosen: NDArray[np.bool_]) -> WindowSet:
    """Unmark windows that are not chosen, and leave out recordings without a mark.

    A state goes through all windows of a recording, also through those that no loss or score looks at.
    """
    y = np.where(chosen, windows.y, UNMARKED)
    kept = np.isin(windows.recording, np.unique(windows.recording[y != UNMARKED]))
    return replace(windows, y=y).select(kept)
