"""Networks, one file each: the registry is this folder.

A module offers ``DESCRIPTION`` and ``build(channels, window, classes, **params) -> nn.Module``. A network
takes float32 ``[N, channels, 1, window]``, windows of int8 divided by 128, and returns logits ``[N,
classes]``. It is made of layers that the quantizer knows: Conv2d of height 1, BatchNorm2d, ReLU, AvgPool2d,
MaxPool2d, AdaptiveAvgPool2d(1), ZeroPad2d before a Conv2d, LSTM, Flatten, Linear, Dropout, and sums of two;
and torch.fx can trace it.
"""

import importlib
import inspect
import pkgutil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError

INPUT_SCALE = 1 / 128
"""What one step of an int8 window is worth at the network's input."""


def names() -> list[str]:
    """Names of all networks, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_")


def describe(name: str) -> str:
    """Return one sentence about a network.

    Raises:
        InnervateError: there is none of that name.
    """
    return str(_module(name).DESCRIPTION)


def build(name: str, channels: int, window: int, classes: int, params: dict[str, Any]) -> nn.Module:
    """Build a network with fresh weights from torch's global generator.

    Raises:
        InnervateError: unknown network or parameter, or one that does not fit the window.
    """
    module = _module(name)
    known = list(inspect.signature(module.build).parameters)[3:]
    for param in params:
        if param not in known:
            raise InnervateError(
                f"The network '{name}' has no parameter '{param}'",
                "model_params",
                f"It has {', '.join(known)}",
            )
    try:
        network = module.build(channels, window, classes, **params)
        with torch.no_grad():
            network.eval()(torch.zeros(1, channels, 1, window))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InnervateError(
            f"The network '{name}' cannot be built: {error}",
            "model_params",
            "Correct the parameters or lengthen the window",
        ) from None
    assert isinstance(network, nn.Module)
    return network


def to_input(x: NDArray[np.int8]) -> torch.Tensor:
    """Turn windows int8 ``[N, window, channels]`` into input float32 ``[N, channels, 1, window]``."""
    return torch.from_numpy(x).permute(0, 2, 1).unsqueeze(2).to(torch.float32).mul_(INPUT_SCALE)


def _module(name: str) -> Any:
    if name not in names():
        raise InnervateError(f"Unknown network '{name}'", "", f"Choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
