"""Networks, one file each: the registry is this folder.

A module offers ``DESCRIPTION`` and ``build(channels, window, classes, *, context=0, **params) -> nn.Module``.
A network takes float32 ``[N, channels, 1, window]``, windows of int8 divided by 128, and returns logits ``[N,
classes]``; where `context` is not zero it takes as many values of context too, float32 ``[N, context]``. A
recurrent network is a `Recurrent`, and its module says ``RECURRENT = True``.

It is made of layers that the quantizer knows: Conv2d of height 1, BatchNorm2d, ReLU, AvgPool2d, MaxPool2d,
AdaptiveAvgPool2d(1), ZeroPad2d before a Conv2d, LSTM, MultiheadAttention, Flatten, Linear, Dropout, and sums
of two, `train.reshape.Reshape`; and torch.fx can trace it. GRUs are built by `Stepwise`.
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
from train.models._recurrent import Recurrent

__all__ = [
    "INPUT_SCALE",
    "Recurrent",
    "build",
    "describe",
    "is_recurrent",
    "keeps_state",
    "names",
    "to_input",
]

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


def is_recurrent(name: str) -> bool:
    """Whether a network has a state that can be kept from window to window.

    Raises:
        InnervateError: there is none of that name.
    """
    return bool(getattr(_module(name), "RECURRENT", False))


def build(
    name: str,
    channels: int,
    window: int,
    classes: int,
    params: dict[str, Any],
    context: int = 0,
    keeps_state: bool = False,
) -> nn.Module:
    """Build a network with fresh weights from torch's global generator.

    Args:
        name: which.
        channels: of the signal.
        window: samples.
        classes: outputs.
        params: of the network.
        context: values of context that it takes beside the window.
        keeps_state: whether its state goes on from window to window.

    Raises:
        InnervateError: unknown network or parameter, one that does not fit the window, or a network without
            a state to keep.
    """
    module = _module(name)
    known = [param for param in list(inspect.signature(module.build).parameters)[3:] if param != "context"]
    for param in params:
        if param not in known:
            raise InnervateError(
                f"The network '{name}' has no parameter '{param}'",
                "model_params",
                f"It has {', '.join(known)}",
            )
    try:
        beside = {"context": context} if context else {}
        network: nn.Module = module.build(channels, window, classes, **params, **beside)
        example = [torch.zeros(1, channels, 1, window), *([torch.zeros(1, context)] if context else [])]
        with torch.no_grad():
            network.eval()(*example)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InnervateError(
            f"The network '{name}' cannot be built: {error}",
            "model_params",
            "Correct the parameters or lengthen the window",
        ) from None
    if keeps_state:
        if not isinstance(network, Recurrent):
            raise InnervateError(
                f"The network '{name}' has no state to keep from window to window",
                "keeps_state",
                f"Take {', '.join(one for one in names() if is_recurrent(one))}, or leave keeps_state out",
            )
        network.keeps_state = True
    return network


def keeps_state(model: nn.Module) -> bool:
    """Whether a network's state goes on from window to window."""
    return bool(getattr(model, "keeps_state", False))


def to_input(x: NDArray[np.int8]) -> torch.Tensor:
    """Turn windows int8 ``[N, window, channels]`` into input float32 ``[N, channels, 1, window]``."""
    return torch.from_numpy(x).permute(0, 2, 1).unsqueeze(2).to(torch.float32).mul_(INPUT_SCALE)


def _module(name: str) -> Any:
    if name not in names():
        raise InnervateError(f"Unknown network '{name}'", "", f"Choose one of {', '.join(names())}")
    return importlib.import_module(f"{__name__}.{name}")
