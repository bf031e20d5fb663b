"""Taking units out of a network."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import nn

from quantize.pruning.units import Units
from train.reshape import Reshape


def remove(model: nn.Module, units: Units, gone: Iterable[int]) -> nn.Module:
    """Copy `model` without some of its units.

    Args:
        model: the network in which `units` were found; left as it is.
        units: of `model`.
        gone: numbers of units, as in `Layer.units`.
    """
    smaller, numbers = copy.deepcopy(model), np.fromiter(gone, np.int64)
    for axis in units.axes:
        away = np.isin(axis.units, numbers)
        if not away.any():
            continue
        module = smaller.get_submodule(axis.module)
        if isinstance(module, Reshape):
            module.shape = (int((~away).sum()), *module.shape[1:])
            continue
        old: torch.Tensor = getattr(module, axis.tensor)
        with torch.no_grad():
            if axis.zeroed:
                # The gradients of a head are zero where it comes in and goes out with zeros: it stays away.
                old.index_fill_(axis.axis, torch.from_numpy(away.nonzero()[0]), 0)
                continue
            new = old.index_select(axis.axis, torch.from_numpy((~away).nonzero()[0]))
        setattr(module, axis.tensor, nn.Parameter(new, old.requires_grad) if _trains(old) else new)
        _resize(module)
    return smaller


def _trains(tensor: torch.Tensor) -> bool:
    return isinstance(tensor, nn.Parameter)


def _resize(module: Any) -> None:
    """Bring the sizes that a module states in line with its weights; called after each axis."""
    match module:
        case nn.Conv2d() if module.groups > 1:
            module.groups = module.in_channels = (
                module.in_channels * len(module.weight) // module.out_channels
            )
            module.out_channels = len(module.weight)
        case nn.Conv2d():
            module.out_channels, module.in_channels = module.weight.shape[:2]
        case nn.Linear():
            module.out_features, module.in_features = module.weight.shape
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            module.num_features = len(module.get_buffer("running_mean"))
        case nn.LSTM() | nn.GRU():
            module.hidden_size = module.get_parameter("weight_hh_l0").shape[1]
            module.input_size = module.get_parameter("weight_ih_l0").shape[1]
