"""What each unit of a network is worth: what its loss would do to the error.

With a gate g = 1 on a unit's output, the change of the loss L by closing it is about dL/dg (Molchanov P. et
al.: Importance estimation for neural network pruning. CVPR 2019), which is the sum of weight times gradient
over all weights that read the unit. Squared and added up over small batches it is large where the unit
matters to some windows, even if over all of them the derivatives cancel, as they do after training.
"""

import copy
from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from quantize.pruning.units import Axis, Units

BATCH: Final = 16
"""Windows to a gradient."""


def by_error(
    model: nn.Module, units: Units, inputs: Sequence[torch.Tensor], labels: torch.Tensor
) -> NDArray[np.float64]:
    """Importance of every unit, by its number: mean over batches of the squared change of the loss.

    Args:
        model: the network in which `units` were found; left as it is.
        units: of `model`.
        inputs: float32 [N, ...], one tensor for each argument of `forward`.
        labels: int64 [N].
    """
    model = copy.deepcopy(model).eval().requires_grad_(True)  # also where weights are not trained
    total = np.zeros(count(units))
    for chosen in torch.arange(len(labels)).split(BATCH):
        model.zero_grad()
        functional.cross_entropy(model(*(x[chosen] for x in inputs)), labels[chosen]).backward()
        change = np.zeros_like(total)
        for axis in _readers(units):
            weight = model.get_submodule(axis.module).get_parameter(axis.tensor)
            assert weight.grad is not None
            np.add.at(change, axis.units, _sums(weight.detach() * weight.grad, axis))
        total += change**2 * len(chosen) / len(labels)
    return total


def by_size(model: nn.Module, units: Units) -> NDArray[np.float64]:
    """Sum of squares of the weights that read each unit, by its number: for want of labelled windows."""
    total = np.zeros(count(units))
    for axis in _readers(units):
        weight = model.get_submodule(axis.module).get_parameter(axis.tensor)
        np.add.at(total, axis.units, _sums(weight.detach() ** 2, axis))
    return total


def count(units: Units) -> int:
    """One more than the highest number of a unit."""
    return 1 + max((int(axis.units.max()) for axis in units.axes), default=0)


def _readers(units: Units) -> list[Axis]:
    """Axes of inputs; the weights of outputs would only count the same once more."""
    return [axis for axis in units.axes if axis.axis == 1 and axis.units.any()]


def _sums(values: torch.Tensor, axis: Axis) -> NDArray[np.float64]:
    rows = values.double().movedim(axis.axis, 0)
    return rows.reshape(len(rows), -1).sum(dim=1).numpy()
