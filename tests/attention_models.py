"""Networks with self-attention, reached and left in the ways that lowering follows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from quantize.calibrate import calibrate
from quantize.lower import lower
from quantize.qat import QuantNetwork
from tests.quant_models import as_input, windows

CHANNELS, TOKENS, CLASSES, WIDTH = 8, 50, 6, 32
SHAPE = (CHANNELS, 1, TOKENS)


class Block(nn.Module):
    """The attention block that other converters are measured on: 4,774 parameters at its defaults.

    Linear 8 to 32 on each of 50 samples, attention with biases, a norm, the mean, Linear 32 to 6.
    """

    def __init__(self, heads: int = 4, **settings: Any) -> None:
        super().__init__()
        self.embed = nn.Linear(CHANNELS, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, heads, **{"batch_first": True, **settings})
        self.norm = nn.BatchNorm2d(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.embed(sequence(x))
        mixed = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        tokens = tokens + sequence(self.norm(image(mixed)))
        logits: torch.Tensor = self.head(tokens.mean(1))
        return logits


class Bare(nn.Module):
    """Attention on the window itself, so that what it reads is known to the integer."""

    def __init__(self, channels: int, heads: int, gain: float = 1.0, bias: bool = False) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(channels, heads, bias=bias, batch_first=True)
        self.pool = nn.AdaptiveAvgPool2d(1)
        with torch.no_grad():
            self.attention.in_proj_weight.mul_(gain)
            if bias:
                self.attention.in_proj_bias.normal_(0, 0.3)
                self.attention.out_proj.bias.normal_(0, 0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = sequence(x)
        mixed, _ = self.attention(tokens, tokens, tokens)
        logits: torch.Tensor = self.pool(image(mixed)).flatten(1)
        return logits


def sequence(x: torch.Tensor) -> torch.Tensor:
    return x.squeeze(2).permute(0, 2, 1)


def image(x: torch.Tensor) -> torch.Tensor:
    return x.permute(0, 2, 1).unsqueeze(2)


def signals(count: int, seed: int = 0, shape: tuple[int, int] = (TOKENS, CHANNELS)) -> NDArray[np.int8]:
    return windows(count, seed, shape)


def block(heads: int = 4, seed: int = 0, **settings: Any) -> Block:
    """With weights that a training could have left: none at its start of zero or one."""
    torch.manual_seed(seed)
    model = Block(heads, **settings)
    with torch.no_grad():
        for bias in (model.attention.in_proj_bias, model.attention.out_proj.bias):
            if bias is not None:
                bias.normal_(0, 0.2)
        model.attention.in_proj_weight.mul_(2)
        model.norm.weight.uniform_(0.5, 1.5)
        model.norm.bias.uniform_(-0.3, 0.3)
        assert model.norm.running_mean is not None
        assert model.norm.running_var is not None
        model.norm.running_mean.uniform_(-0.1, 0.1)
        model.norm.running_var.uniform_(0.01, 0.05)
        # Every class for some windows.
        model.head.bias.sub_(model.eval()(as_input(signals(200, 100))).mean(dim=0))
    return model


def quantized(model: nn.Module, shape: tuple[int, int, int] = SHAPE, seed: int = 1) -> QuantNetwork:
    network = QuantNetwork(lower(model, shape))
    calibrate(network, as_input(signals(256, seed, (shape[2], shape[0]))))
    return network
