"""A small convolutional network on each part of the window, and gated recurrent units over the parts.

What a convolution does well, the shape of a moment, and what a memory does well, the order of moments, each
at its own rate. Only the newest part is computed when it comes: its features, then one step of the memory.
"""

from collections.abc import Sequence
from typing import Final

from torch import nn

from train.models._stepwise import Stepwise

DESCRIPTION = (
    "convolutions on each part of the window, gated recurrent units over the parts, dense classifier"
)
RECURRENT: Final = True
MAX_STEPS: Final = 10
"""Most parts of a window where their number is not given."""


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    steps: int | None = None,
    layers: Sequence[Sequence[int]] = ((32, 3, 1), (32, 3, 1)),
    features: int = 16,
    units: int = 32,
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        steps: parts of equal length that the window is cut into; by default the most, up to ten, that the
            kernels fit.
        layers: filters, kernel length and stride of each convolution, none of which pads; the mean over what
            is left of the part goes on.
        features: that the memory gets of a part.
        units: of the memory.
        dropout: before the dense layers.
        context: values of context.

    Raises:
        ValueError: the window is not a whole number of steps, or a part is shorter than the kernels need.
    """
    least = 1
    for _, kernel, stride in reversed(layers):
        least = (least - 1) * stride + kernel
    fitting = [n for n in range(1, MAX_STEPS + 1) if window % n == 0 and window // n >= least]
    count = max(fitting, default=1) if steps is None else steps
    if count < 1 or window % count:
        raise ValueError(f"a window of {window} samples cannot be cut into {count} equal parts")
    chunk = window // count
    if chunk < least:
        raise ValueError(f"a part of {chunk} samples is too short for its kernels")
    stack: list[nn.Module] = []
    width = channels
    for filters, kernel, stride in layers:
        stack += [
            nn.Conv2d(width, filters, (1, kernel), (1, stride), bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        ]
        width = filters
    stack += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(width, features)]
    return Stepwise(nn.Sequential(*stack), chunk, features, units, classes, dropout, context)
