"""Convolutions along time, their mean, and a small classifier."""

from collections.abc import Sequence

from torch import nn

from train.models._context import classifier

DESCRIPTION = "1-D convolutions along time, mean over time, dense classifier"


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    layers: Sequence[Sequence[int]] = ((64, 3, 1, 10), (64, 1, 1)),
    hidden: Sequence[int] = (64,),
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    No layer pads, so that a streaming engine may keep what the last window computed.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        layers: filters, kernel length and stride of each convolution, and optionally how many of its outputs
            are averaged into one.
        hidden: units of each dense layer before the last; may be empty.
        dropout: before each dense layer.
        context: values of context.

    Raises:
        ValueError: the window is shorter than the kernels need.
    """
    stack: list[nn.Module] = []
    width, length = channels, window
    for filters, kernel, stride, *rest in layers:
        pool = rest[0] if rest else 1
        length = ((length - kernel) // stride + 1) // pool
        if length < 1:
            raise ValueError(f"a window of {window} samples is too short for its kernels")
        stack += [
            nn.Conv2d(width, filters, (1, kernel), (1, stride), bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        ]
        if pool > 1:
            stack.append(nn.AvgPool2d((1, pool)))
        width = filters
    stack += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    for units in hidden:
        stack += [nn.Dropout(dropout), nn.Linear(width, units), nn.ReLU()]
        width = units
    return classifier([*stack, nn.Dropout(dropout)], width, classes, context)
