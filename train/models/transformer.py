"""A small transformer encoder: overlapping patches of the window attend to each other.

Vaswani A. et al.: Attention is all you need. NeurIPS 2017; for EMG on microcontrollers, with a convolution
that makes the tokens: Burrello A. et al.: Bioformers. DATE 2022, arXiv 2203.12932.

What differs is chosen for int8 on small devices. Each branch is normalised where it ends (Liu Z. et al.: Swin
Transformer V2. CVPR 2022), by a batch norm, which folds into the branch's last layer: no normalisation is
left to compute. Position is told by a depthwise convolution over the tokens (Chu X. et al.: Conditional
positional encodings. ICLR 2023). The classifier reads the mean of the tokens. Attention has no biases: those
of keys and values change nothing that a later bias cannot, and queries do without.
"""

import torch
from torch import nn

from train.models._context import classifier

DESCRIPTION = "transformer (Vaswani 2017): self-attention between overlapping patches of the window"


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    width: int = 32,
    heads: int = 4,
    blocks: int = 2,
    tokens: int = 24,
    patch: int = 0,
    expansion: int = 2,
    position: int = 7,
    dropout: float = 0.1,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        width: numbers of a token.
        heads: of each attention; divides `width`.
        blocks: of an attention and a perceptron each.
        tokens: about how many the window is cut into; their products grow with the square.
        patch: samples that a token sees; 0 for twice the distance between tokens.
        expansion: hidden units of a perceptron, in widths.
        position: tokens that the convolution for position sees, an odd number.
        dropout: in each branch, and before the classifier.
        context: values of context.

    Raises:
        ValueError: the window is too short for its tokens, or heads do not divide the width.
    """
    if width % heads:
        raise ValueError(f"{heads} heads do not divide a width of {width}")
    stride = max(1, window // tokens)
    patch = patch or min(2 * stride, window)
    if patch > window:
        raise ValueError(f"a window of {window} samples is shorter than a patch of {patch}")
    embedding = [
        nn.Conv2d(channels, width, (1, patch), (1, stride), bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.ZeroPad2d((position // 2, position // 2, 0, 0)),
        nn.Conv2d(width, width, (1, position), groups=width, bias=False),
        nn.BatchNorm2d(width),
    ]
    stack = [_Block(width, heads, expansion * width, dropout) for _ in range(blocks)]
    end = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return classifier([*embedding, *stack, *end], width, classes, context)


class _Block(nn.Module):
    """Attention and perceptron, each added to what it reads: ``[N, width, 1, T] -> [N, width, 1, T]``."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, dropout, bias=False, batch_first=True)
        self.norm = nn.BatchNorm2d(width)
        self.perceptron = nn.Sequential(
            nn.Conv2d(width, hidden, 1),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Conv2d(hidden, width, 1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = x.squeeze(2).permute(0, 2, 1)
        mixed, _ = self.attention(tokens, tokens, tokens, need_weights=False)
        x = x + self.norm(mixed.permute(0, 2, 1).unsqueeze(2))
        result: torch.Tensor = x + self.perceptron(x)
        return result
