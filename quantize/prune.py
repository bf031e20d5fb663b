"""Structured pruning: whole channels go, with everything that depends on them.

Zeros scattered over a weight make nothing smaller or faster on a device; a removed channel does.
torch-pruning follows which layers share a channel. The caller fine-tunes what is left.
"""

import copy
from typing import Final

import torch
import torch_pruning
from torch import nn
from torch.nn import functional

from edge.errors import InnervateError
from quantize.lower import lower
from quantize.lstm.layer import Lstm
from quantize.network import Conv, Dense

ROUND_TO: Final = 4
"""Channels are left in multiples of this, which is what integer kernels do at once."""
MAX_FRACTION: Final = 0.95


def prune(
    model: nn.Module, fraction: float, example: torch.Tensor, labels: torch.Tensor | None = None
) -> nn.Module:
    """Remove the least important channels of every layer but the output layer.

    Args:
        model: a network that `lower` takes; left as it is.
        fraction: of the channels of each layer, 0 (nothing) to `MAX_FRACTION`; rounded so that the channels
            left are a multiple of `ROUND_TO` where the layer's were.
        example: float32 windows [N, C, H, W].
        labels: int64 [N], classes of `example`. With them a channel counts by what its loss would do to the
            error (Taylor, Molchanov 2019), without by the size of its weights.

    Returns:
        a new, smaller network, in the mode of `model`.

    Raises:
        InnervateError: a fraction out of range, or a module that `lower` refuses.
    """
    if not 0 <= fraction <= MAX_FRACTION:
        raise InnervateError(
            f"cannot prune {fraction:g} of the channels", "prune", f"Give 0 to {MAX_FRACTION:g}"
        )
    network = lower(model, tuple(example.shape[1:]))
    pruned = copy.deepcopy(model)
    if fraction == 0:
        return pruned
    for layer in network.layers:
        if isinstance(layer, Lstm):
            raise InnervateError("an LSTM cannot be pruned yet", layer.name, "Build it with fewer units")
    was_training = pruned.training
    pruned.eval()
    output = next(layer.name for layer in reversed(network.layers) if isinstance(layer, Conv | Dense))
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    if labels is not None:
        importance = torch_pruning.importance.GroupTaylorImportance()
    pruner = torch_pruning.pruner.BasePruner(
        pruned,
        example[:1],
        importance=importance,
        pruning_ratio=fraction,
        ignored_layers=[pruned.get_submodule(output)],
        round_to=ROUND_TO,
    )
    if labels is not None:
        pruned.zero_grad()
        functional.cross_entropy(pruned(example), labels).backward()
    pruner.step()
    pruned.zero_grad()
    return pruned.train(was_training)
