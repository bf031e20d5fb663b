"""How accuracy falls as each layer alone is pruned, without fine-tuning: which layers can spare how much."""

from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from torch import nn

from quantize.forms import lower
from quantize.pruning.pruner import Cut, Pruner
from quantize.pruning.stage import judging, ranking
from train.experiment import predict_classes
from train.recording import UNMARKED
from train.run import Run

MAX_POINTS: Final = 12
"""Of a layer, about evenly spaced over its cuts."""


class Point(msgspec.Struct, frozen=True):
    """One layer pruned by so much, all others whole.

    Attributes:
        removed: units of the layer that are gone.
        fraction: the same as a share of the layer's units.
        macs: multiply-accumulates a window that the network then takes.
        accuracy: share of windows decided right.
    """

    removed: int
    fraction: float
    macs: int
    accuracy: float


class LayerSensitivity(msgspec.Struct, frozen=True):
    """A layer's curve.

    Attributes:
        layer: path of the module.
        module: its class.
        kind: channels, units or heads.
        size: how many there are.
        points: from nothing removed to all but the last step.
    """

    layer: str
    module: str
    kind: str
    size: int
    points: tuple[Point, ...]

    def spare(self, loss: float) -> Point:
        """The point up to which accuracy never falls by more than `loss` (0..1)."""
        kept = self.points[0]
        for point in self.points[1:]:
            if point.accuracy < self.points[0].accuracy - loss:
                break
            kept = point
        return kept


class Sensitivity(msgspec.Struct, frozen=True):
    """All layers' curves.

    Attributes:
        part: validation, or training where the task keeps no windows for validation.
        windows: how many.
        accuracy: of the whole network on them.
        macs: multiply-accumulates a window of the whole network.
        layers: in the order they run.
    """

    part: str
    windows: int
    accuracy: float
    macs: int
    layers: tuple[LayerSensitivity, ...]


def measure_sensitivity(run: Run, progress: Callable[[str, int, int], None] | None = None) -> Sensitivity:
    """Prune each layer of a run's network alone, step by step, and look at the windows again each time.

    Args:
        run: a finished training.
        progress: called with stage, done, total.

    Raises:
        InnervateError: a network without an int8 form.
    """
    report = progress or (lambda stage, done, total: None)
    report("read", 0, 1)
    model = run.model()
    windows, context, labels = ranking(run)
    judged = judging(run, model)
    shape, facts = tuple(windows.shape[1:]), 0 if context is None else context.shape[1]
    marked = judged.y != UNMARKED
    pruner = Pruner(model, windows, labels, context)

    def point(network: nn.Module, removed: int, size: int) -> Point:
        right = predict_classes(network, judged)[marked] == judged.y[marked]
        return Point(removed, removed / size, lower(network, shape, facts).macs, float(right.mean()))

    whole = point(model, 0, 1)
    chosen = {name: spread(len(cuts)) for name, cuts in pruner.cuts.items()}
    total, done = sum(len(counts) for counts in chosen.values()), 0
    layers = []
    for layer in pruner.layers:
        points = [whole]
        for count in chosen[layer.name]:
            cuts: tuple[Cut, ...] = pruner.cuts[layer.name][:count]
            removed = sum(len(cut.units) for cut in cuts)
            points.append(point(pruner.without(cuts), removed, layer.size))
            done += 1
            report("sensitivity", done, total)
        module = type(model.get_submodule(layer.name)).__name__
        layers.append(LayerSensitivity(layer.name, module, layer.kind, layer.size, tuple(points)))
    part = "validation" if judged is run.windows("valid") else "training"
    return Sensitivity(part, int(marked.sum()), whole.accuracy, whole.macs, tuple(layers))


def spread(count: int) -> list[int]:
    """Choose at most `MAX_POINTS` of 1 to `count`, about evenly spaced, the last always among them."""
    return sorted({round(x) for x in np.linspace(0, count, min(count, MAX_POINTS) + 1)[1:]})
