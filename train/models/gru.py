"""Gated recurrent units over the window's samples, and a dense layer on the state they end in.

Cho K. et al.: Learning phrase representations using RNN encoder-decoder for statistical machine translation.
EMNLP 2014; the reset gate after the product, which is torch's nn.GRU.
"""

from typing import Final

from torch import nn

from train.models._stepwise import Stepwise

DESCRIPTION = "gated recurrent units over the window's samples, dense classifier"
RECURRENT: Final = True


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
        ValueError: the window is not a whole number of steps.
    """
    if stride < 1 or window % stride:
        raise ValueError(f"a window of {window} samples is not a whole number of steps of {stride}")
    front = nn.Sequential(nn.AvgPool2d((1, stride)), nn.Flatten()) if stride > 1 else nn.Flatten()
    return Stepwise(front, stride, channels, units, classes, dropout, context)
