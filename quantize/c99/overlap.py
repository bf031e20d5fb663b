"""How far an output may lie over the input that it is made of.

Kernels read and write upwards. An output that starts `lead` bytes below its input, or further below, is
written only where nothing is read any more; a negative lead lets it start above.
"""

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

FREE = -(1 << 40)  # all of the input is read before anything is written


def _starts(window: Mapping[str, int], channels: int) -> NDArray[np.int64]:
    """Return the lowest element of the input that this window or any after it reads."""
    batch, y, x = np.meshgrid(*(np.arange(window[n]) for n in ("batches", "out_h", "out_w")), indexing="ij")
    row = np.maximum(y * window["stride_h"] - window["pad_top"], 0)
    column = np.maximum(x * window["stride_w"] - window["pad_left"], 0)
    starts = ((batch * window["in_h"] + row) * window["in_w"] + column).reshape(-1) * channels
    return np.minimum.accumulate(starts[::-1])[::-1].astype(np.int64)


def lead_of_blocks(
    window: Mapping[str, int], channels: int, outputs: float, block: int, whole: bool = False
) -> int:
    """Return the lead of a kernel that reads `block` windows, then writes `outputs` bytes for each.

    `whole`: more than one window that are left over are a whole block with those before, made anew, where
    they lie in one row.
    """
    starts = _starts(window, channels)
    ends = np.arange(block, len(starts), block)
    read = ends.copy()
    if whole and len(starts) % block > 1 and window["out_w"] >= block:
        read[-1] = len(starts) - block
    return int(max(ends * outputs - starts[read], default=FREE))


def lead_of_windows(window: Mapping[str, int], channels: int, outputs: int) -> int:
    """Return the lead of a kernel that reads a window anew for each of the `outputs` bytes it writes."""
    starts = _starts(window, channels)
    return int(max(np.arange(1, len(starts) + 1) * outputs - starts))


def lead_of_rows(rows: int, read: int, written: int) -> int:
    """Return the lead of a kernel that reads a row of `read` bytes, then writes one of `written`."""
    return (rows - 1) * (written - read) if written > read else written - read if rows > 1 else FREE


def lead_of_parts(parts: Iterable[tuple[int, int]]) -> int:
    """Return the lead of a kernel that reads a part of its input, then writes a part of its output, in turns.

    Args:
        parts: of each turn, the first byte that it reads and the end of what it writes.
    """
    starts, ends = np.array(list(parts), np.int64).T
    to_come = np.minimum.accumulate(starts[::-1])[::-1]
    return int(max(np.maximum.accumulate(ends)[:-1] - to_come[1:], default=FREE))
