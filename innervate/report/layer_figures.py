"""Pictures of a network's layers: what each can spare."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from innervate.report.figures import NARROW, WIDE, both_sizes
from innervate.report.svg import COLOUR, figure
from innervate.report.wording import shorten

if TYPE_CHECKING:  # they bring torch
    from quantize.pruning.sensitivity import LayerSensitivity, Sensitivity

PANEL: Final = 190
"""Pixels of a layer's panel, downwards."""


def sensitivity(found: "Sensitivity") -> Markup:
    """Draw accuracy over the share removed, a panel a layer, all with the same axes."""
    worst = min((point.accuracy for layer in found.layers for point in layer.points), default=0.0)

    def draw(wide: bool) -> Figure:
        columns = min(3, len(found.layers)) if wide else 1
        rows = -(-len(found.layers) // columns)
        drawn = figure(WIDE if wide else NARROW, PANEL * rows + 30)
        grid = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis, layer in zip(grid.flat, found.layers, strict=False):
            _panel(axis, layer, found.accuracy)
        for axis in grid.flat[len(found.layers) :]:
            axis.set_visible(False)
        grid.flat[0].set_ylim(max(0.0, worst - 0.05), min(1.03, found.accuracy + 0.05))
        drawn.supxlabel("share of the layer removed", fontsize=11, color=COLOUR["muted"])
        return drawn

    alt = "Accuracy over the share of each layer that is removed: " + "; ".join(_told(found.layers))
    return both_sizes("sensitivity", alt, draw)


def _panel(axis: Axes, layer: "LayerSensitivity", whole: float) -> None:
    axis.axhline(whole, color=COLOUR["muted"], linestyle=(0, (4, 3)), linewidth=1)
    axis.plot(
        [point.fraction for point in layer.points],
        [point.accuracy for point in layer.points],
        color=COLOUR["series1"],
        marker="o",
        markersize=4,
    )
    axis.set_xlim(0, 1)
    for values in (axis.xaxis, axis.yaxis):
        values.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
    axis.tick_params(labelbottom=True)
    axis.set_title(shorten(f"{layer.layer} {layer.module}, {layer.size} {layer.kind}", 34))


def _told(layers: Sequence["LayerSensitivity"]) -> list[str]:
    return [f"{layer.layer} {layer.points[-1].accuracy:.0%} at the end" for layer in layers]
