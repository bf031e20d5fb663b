"""A long short-term memory over the window's samples, and a dense layer on where it ends.

Hochreiter S., Schmidhuber J.: Long short-term memory. Neural Computation 1997, 9:1735-1780; with the forget
gate of Gers, Schmidhuber and Cummins 2000, which is torch's nn.LSTM.
"""

from typing import Final

import torch
from torch import nn

from train.models._recurrent import Recurrent

DESCRIPTION = "long short-term memory over the window's samples, dense classifier"
RECURRENT: Final = True
FORGET_BIAS: Final = 1.0
"""At the start of training, so that a memory is kept rather than lost (Jozefowicz 2015)."""


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    units: int = 32,
    stride: int = 1,
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        units: of the memory.
        stride: samples averaged into one step; less work, and a memory that has to reach less far.
        dropout: before the dense layer.
        context: values of context.

    Raises:
        ValueError: the window is shorter than a step.
    """
    if not 1 <= stride <= window:
        raise ValueError(f"a window of {window} samples has no step of {stride}")
    return _Lstm(channels, units, classes, stride, dropout, context)


class _Lstm(Recurrent):
    """Logits ``[N, classes]`` of ``[N, channels, 1, T]``."""

    def __init__(
        self, channels: int, units: int, classes: int, stride: int, dropout: float, context: int
    ) -> None:
        super().__init__(units, classes, dropout, context)
        self.pool = nn.AvgPool2d((1, stride)) if stride > 1 else nn.Identity()
        self.lstm = nn.LSTM(channels, units, batch_first=True)
        with torch.no_grad():
            self.lstm.get_parameter("bias_ih_l0")[units : 2 * units] += FORGET_BIAS

    def steps(self, x: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = self.pool(x)
        return pooled.squeeze(2).permute(0, 2, 1)

    def states(self, steps: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.lstm(steps)[0]
        return output
