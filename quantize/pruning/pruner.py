"""Pruning of one network by any amount, the least important units first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from quantize.pruning.importance import by_error, by_size
from quantize.pruning.removal import remove
from quantize.pruning.units import Layer, find_units

MAX_FRACTION: Final = 0.95


@dataclass(frozen=True)
class Cut:
    """Units of one layer that go together.

    Attributes:
        layer: its name.
        units: their numbers.
        share: of the layer's units that are gone after this cut and those before it.
        importance: mean of the units'.
    """

    layer: str
    units: tuple[int, ...]
    share: float
    importance: float


class Pruner:
    """What can be taken out of a network, ranked.

    Args:
        model: left as it is.
        windows: float32 [N, C, H, W].
        labels: int64 [N]. With them a unit counts by what its loss would do to the error, without by the size
            of the weights that read it.
        context: float32 [N, F] for a model that takes a context vector.

    Raises:
        InnervateError: the model cannot be traced, or states the width of a layer in `forward`.
    """

    def __init__(
        self,
        model: nn.Module,
        windows: torch.Tensor,
        labels: torch.Tensor | None = None,
        context: torch.Tensor | None = None,
    ) -> None:
        self.model = model
        inputs = [windows] if context is None else [windows, context]
        self._units = find_units(model, inputs)
        if labels is None:
            importance = by_size(model, self._units)
        else:
            importance = by_error(model, self._units, inputs, labels)
        self.cuts = {layer.name: _cuts(layer, importance) for layer in self.layers}
        self._check([x[:2] for x in inputs])

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers that have units to lose, in the order they run."""
        return self._units.layers

    def evenly(self, fraction: float = 1.0) -> list[Cut]:
        """Cuts in an order in which every layer loses the same share, up to a fraction of its units."""
        return sorted((cut for cut in self._all() if cut.share <= fraction + 1e-9), key=lambda cut: cut.share)

    def by_importance(self, worth: Mapping[str, float]) -> list[Cut]:
        """All cuts, those first whose units matter least for what they cost.

        Args:
            worth: of each layer, what is saved with a unit of it.
        """
        return sorted(self._all(), key=lambda cut: cut.importance / max(worth[cut.layer], 1e-9))

    def savings(self, cost: Callable[[nn.Module], float]) -> dict[str, float]:
        """What a unit of each layer costs: the difference that half of the layer makes, by the unit."""
        whole, saved = cost(self.model), {}
        for name, cuts in self.cuts.items():
            half = cuts[: (len(cuts) + 1) // 2]
            saved[name] = (whole - cost(self.without(half))) / sum(len(cut.units) for cut in half)
        return saved

    def without(self, cuts: Sequence[Cut]) -> nn.Module:
        """Copy the network without the units of `cuts`."""
        return remove(self.model, self._units, [unit for cut in cuts for unit in cut.units])

    def _check(self, inputs: Sequence[torch.Tensor]) -> None:
        """See that the network runs without the first cut of each layer."""
        smaller = self.without([cuts[0] for cuts in self.cuts.values()]).eval()
        was_training = self.model.training
        with torch.no_grad():
            whole = self.model.eval()(*inputs).shape
            self.model.train(was_training)
            try:
                ran: bool = smaller(*inputs).shape == whole
            except (RuntimeError, ValueError):
                ran = False
        if not ran:
            raise InnervateError(
                "the model does not run with narrower layers",
                type(self.model).__name__,
                "Have forward() take widths from its tensors, or -1, and not as numbers",
            )

    def _all(self) -> list[Cut]:
        return [cut for cuts in self.cuts.values() for cut in cuts]


def prune(
    model: nn.Module,
    fraction: float,
    windows: torch.Tensor,
    labels: torch.Tensor | None = None,
    context: torch.Tensor | None = None,
) -> nn.Module:
    """Copy `model` without a share of the units of every layer, the least important ones.

    Args:
        model: a network that torch.fx can trace; left as it is.
        fraction: of the units of each layer, 0 (nothing) to `MAX_FRACTION`; rounded down so that what is left
            is a multiple of the layer's `step`, and never nothing.
        windows: as of `Pruner`.
        labels: as of `Pruner`.
        context: as of `Pruner`.

    Raises:
        InnervateError: a fraction out of range, or a model that cannot be traced.
    """
    check_fraction(fraction)
    pruner = Pruner(model, windows, labels, context)
    return pruner.without(pruner.evenly(fraction))


def check_fraction(fraction: float) -> None:
    """Check the share of units that is to go.

    Raises:
        InnervateError: it is out of range.
    """
    if not 0 <= fraction <= MAX_FRACTION:
        raise InnervateError(
            f"cannot prune {fraction:g} of the channels", "prune", f"Give 0 to {MAX_FRACTION:g}"
        )


def _cuts(layer: Layer, importance: NDArray[np.float64]) -> tuple[Cut, ...]:
    """Cuts of a layer, least important units first; after each a multiple of the layer's step is left."""
    ranked = layer.units[np.argsort(importance[layer.units], kind="stable")]
    left = list(range((layer.size - 1) // layer.step * layer.step, 0, -layer.step))
    ends = [layer.size - count for count in left]
    return tuple(
        Cut(
            layer.name,
            tuple(int(unit) for unit in ranked[start:end]),
            end / layer.size,
            float(importance[ranked[start:end]].mean()),
        )
        for start, end in zip([0, *ends], ends, strict=False)
    )
