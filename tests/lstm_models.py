"""Networks with an LSTM, reached and left in every way that lowering follows."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from quantize.calibrate import calibrate
from quantize.lower import lower
from quantize.qat import QuantNetwork
from tests.quant_models import as_input, windows

CHANNELS, STEPS, CLASSES, UNITS = 8, 50, 6, 32
SHAPE = (CHANNELS, 1, STEPS)


class Recurrent(nn.Module):
    """An LSTM reached and left in one of the ways of `FORMS`."""

    def __init__(self, form: str, **settings: Any) -> None:
        super().__init__()
        self.form = form
        self.lstm = nn.LSTM(CHANNELS, UNITS, **{"batch_first": True, **settings})
        self.second = nn.LSTM(UNITS, 12, batch_first=True)
        self.conv = nn.Conv2d(CHANNELS, CHANNELS, (1, 3), stride=(1, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(12 if form == "two LSTMs" else UNITS, CLASSES)
        self.flat = nn.Linear(UNITS * STEPS, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = FORMS[self.form](self, x)
        return logits


def signals(count: int, seed: int = 0, shape: tuple[int, int] = (STEPS, CHANNELS)) -> NDArray[np.int8]:
    return windows(count, seed, shape)


def sequence(x: torch.Tensor) -> torch.Tensor:
    return x.squeeze(2).permute(0, 2, 1)


def image(x: torch.Tensor) -> torch.Tensor:
    return x.transpose(1, 2).unsqueeze(2)


FORMS: dict[str, Any] = {
    "last output": lambda m, x: m.head(m.drop(m.lstm(sequence(x))[0])[:, -1]),
    "last output of all channels": lambda m, x: m.head(m.lstm(x[:, :, 0].permute((0, 2, 1)))[0][:, -1, :]),
    "hidden state": lambda m, x: m.head(m.lstm(x.flatten(2).transpose(1, 2))[1][0][-1]),
    "hidden state, squeezed": lambda m, x: m.head(m.lstm(x.permute(0, 2, 3, 1).squeeze(1))[1][0].squeeze(0)),
    "mean of outputs": lambda m, x: m.head(m.pool(image(m.lstm(sequence(x))[0])).flatten(1)),
    "all outputs": lambda m, x: m.flat(image(m.lstm(sequence(x))[0]).flatten(1)),
    "last of an image": lambda m, x: m.head(image(m.lstm(sequence(x))[0])[:, :, 0, -1]),
    "after a convolution": lambda m, x: m.head(m.lstm(sequence(torch.relu(m.conv(x))))[0][:, -1]),
    "two LSTMs": lambda m, x: m.head(m.second(m.lstm(sequence(x))[0])[0][:, -1]),
}


def made(form: str = "last output", seed: int = 0, **settings: Any) -> Recurrent:
    torch.manual_seed(seed)
    return Recurrent(form, **settings).eval()


def quantized(model: nn.Module, shape: tuple[int, int, int] = SHAPE, seed: int = 1) -> QuantNetwork:
    network = QuantNetwork(lower(model, shape))
    calibrate(network, as_input(signals(256, seed, (shape[2], shape[0]))))
    return network
