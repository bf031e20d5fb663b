"""A temporal convolutional network: residual blocks of dilated causal convolutions.

Bai S., Kolter J. Z., Koltun V.: An empirical evaluation of generic convolutional and recurrent networks for
sequence modeling. arXiv 1803.01271, 2018. For EMG on small devices: Zanghieri M. et al.: Robust real-time
embedded EMG recognition framework using temporal convolutional networks. IEEE TBioCAS 2020, 14(2):244-256.

A block is two dilated convolutions, each padded on the left by as much as it looks back, and the sum with the
block's input, through a 1x1 convolution where the number of channels changes. What differs from Bai et al.:
batch norm, which folds away, in place of weight norm; the mean over time in place of the last output, which
uses the whole window; and, as Zanghieri et al. do, a pooling after a block where asked for.
"""

from collections.abc import Sequence

import torch
from torch import nn

from train.models._context import classifier

DESCRIPTION = "temporal convolutional network (Bai 2018): residual blocks of dilated causal convolutions"


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    blocks: Sequence[Sequence[int]] = ((32, 3, 1, 2), (32, 3, 2, 2), (32, 3, 4)),
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        blocks: filters, kernel length and dilation of each block, and optionally how many of its outputs are
            averaged into one. A block reaches 2 x dilation x (kernel - 1) samples of its input back.
        dropout: after each convolution (whole channels), and before the dense layer.
        context: values of context.

    Raises:
        ValueError: the window is shorter than the poolings need.
    """
    stack: list[nn.Module] = []
    width, length = channels, window
    for filters, kernel, dilation, *rest in blocks:
        pool = rest[0] if rest else 1
        length //= pool
        if length < 1:
            raise ValueError(f"a window of {window} samples is too short for its poolings")
        stack.append(_Block(width, filters, kernel, dilation, dropout))
        if pool > 1:
            stack.append(nn.AvgPool2d((1, pool)))
        width = filters
    stack += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return classifier(stack, width, classes, context)


class _Block(nn.Module):
    """Two dilated causal convolutions beside their input: ``[N, inputs, 1, L] -> [N, filters, 1, L]``."""

    def __init__(self, inputs: int, filters: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_causal(inputs, filters, kernel, dilation, dropout),
            *_causal(filters, filters, kernel, dilation, dropout),
        )
        self.beside = nn.Identity() if inputs == filters else nn.Conv2d(inputs, filters, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolutions(x) + self.beside(x))


def _causal(inputs: int, filters: int, kernel: int, dilation: int, dropout: float) -> list[nn.Module]:
    return [
        nn.ZeroPad2d((dilation * (kernel - 1), 0, 0, 0)),
        nn.Conv2d(inputs, filters, (1, kernel), dilation=(1, dilation), bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
        nn.Dropout2d(dropout),
    ]
