"""Pictures of a network's layers: what each can spare, and what its integers cost."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from innervate.report.figures import NARROW, WIDE, both_sizes
from innervate.report.svg import COLOUR, figure
from innervate.report.wording import shorten

if TYPE_CHECKING:  # they bring torch
    from quantize.noise import Noise
    from quantize.pruning.sensitivity import LayerSensitivity, Sensitivity

PANEL: Final = 190
"""Pixels of a layer's panel, downwards."""
BARS: Final = 38
"""Pixels of a layer's pair of bars, downwards."""


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


def noise(found: "Noise") -> Markup:
    """Draw the ratios of signal to quantization noise, a pair of bars a layer, in the order they run."""
    layers = found.layers
    rows = np.arange(len(layers))
    series = (
        (-0.19, [one.alone_db for one in layers], "series1", "", "at the logits, this layer alone"),
        (0.19, [one.output_db for one in layers], "series2", "////", "at its output, all before it too"),
    )

    def draw(wide: bool) -> Figure:
        drawn = figure(WIDE if wide else NARROW, 100 + BARS * len(layers))
        axis = drawn.subplots()
        for offset, values, role, hatch, label in series:
            widths = [np.nan if value is None else value for value in values]
            axis.barh(
                rows + offset, widths, 0.34, label=label, hatch=hatch, linewidth=1.2, zorder=3,
                edgecolor=COLOUR[role], facecolor="none" if hatch else COLOUR[role],
            )  # fmt: skip
            for row, value in zip(rows, values, strict=True):
                said = " exact" if value is None else f" {value:.0f}"
                axis.text(max(value or 0.0, 0.0), row + offset, said, va="center", fontsize=9)
        axis.set_yticks(rows, [shorten(one.layer, 30 if wide else 14) for one in layers])
        axis.invert_yaxis()
        axis.margins(x=0.08)
        axis.set_xlabel("dB")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -70 / (100 + BARS * len(layers))))
        return drawn

    worst = found.ranked[0]
    told = "nothing" if worst.alone_db is None else f"{worst.layer} most, {worst.alone_db:.0f} dB"
    alt = f"Signal to quantization noise of {len(layers)} layers; to the logits costs {told}."
    return both_sizes("noise", alt, draw)


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
