"""What a network says of windows: each by itself, or in a row where its state is kept."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train.models import keeps_state, to_input
from train.sequences import NONE, rows, take
from train.windows import WindowSet

_BATCH = 2048


def logits_of(model: nn.Module, x: torch.Tensor, context: torch.Tensor, row: int = 1) -> torch.Tensor:
    """Logits ``[N, row, classes]`` of `row` windows in a row.

    Args:
        model: one that keeps its state where `row` is not 1.
        x: ``[N, channels, 1, row * window]``.
        context: ``[N, F]``; F is 0 for a network that takes none.
        row: windows.
    """
    given = (context,) if context.shape[1] else ()
    if row == 1:
        logits: torch.Tensor = model(x, *given)
        return logits.unsqueeze(1)
    sequence: Any = model
    count, channels, _, length = x.shape
    windows = x.reshape(count, channels, 1, row, length // row).permute(0, 3, 1, 2, 4)
    logits = sequence.sequence(windows, *given)
    return logits


def predict(
    model: nn.Module, x: NDArray[np.int8], context: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return a network's logits of windows, each from a state of zero.

    Args:
        model: network; left in evaluation mode.
        x: int8 ``[N, window, channels]``.
        context: float32 ``[N, F]``; None for a network that takes none.

    Returns:
        float32 ``[N, classes]``.
    """
    model.eval()
    given = torch.from_numpy(np.zeros((len(x), 0), np.float32) if context is None else context)
    with torch.no_grad():
        parts = [
            logits_of(model, to_input(x[start : start + _BATCH]), given[start : start + _BATCH])[:, 0].numpy()
            for start in range(0, max(1, len(x)), _BATCH)
        ]
    return np.concatenate(parts)


def predict_windows(model: nn.Module, windows: WindowSet) -> NDArray[np.float32]:
    """Return a network's logits float32 ``[N, classes]`` as a device would compute them.

    A network that keeps its state takes the windows of a recording in a row, and begins each recording with
    a state of zero.

    Args:
        model: network; left in evaluation mode.
        windows: for a network that keeps its state, all of each recording in their order.
    """
    if not keeps_state(model) or not len(windows):
        return predict(model, windows.x, windows.context)
    model.eval()
    longest = int(np.unique(windows.recording, return_counts=True)[1].max())
    chosen = rows(windows.recording, longest)
    logits: NDArray[np.float32] | None = None
    with torch.no_grad():
        for start in range(0, len(chosen), max(1, _BATCH // longest)):
            part = chosen[start : start + max(1, _BATCH // longest)]
            x, context, _ = take(windows, part)
            said = logits_of(model, x, context, longest).numpy()
            if logits is None:
                logits = np.empty((len(windows), said.shape[-1]), np.float32)
            logits[part[part != NONE]] = said[part != NONE]
    assert logits is not None
    return logits
