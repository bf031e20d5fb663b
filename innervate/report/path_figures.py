"""Pictures of what a signal path does: gain, group delay, rounding noise, room in its integers."""

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from innervate.report.data import Reals
from innervate.report.figures import NARROW, WIDE, both_sizes
from innervate.report.svg import COLOUR, figure
from innervate.report.wording import shorten
from train.filter_response import PathResponse, SegmentResponse

FLOOR_DB = -100.0
"""Gains below this are drawn at the lower edge."""

_PASSES_DB = -20.0
"""Group delays are drawn where more than this passes: elsewhere nobody waits for the signal."""


def path_response(part: PathResponse) -> Markup:
    """Draw a row for each segment: gain, group delay, noise floor."""
    segments = part.segments
    rows = len(segments)

    def draw(wide: bool) -> Figure:
        if wide:
            drawn = figure(WIDE, 250 * rows + 50)
            grid = drawn.subplots(rows, 3, squeeze=False)
        else:
            drawn = figure(NARROW, 3 * 230 * rows)
            grid = drawn.subplots(3 * rows, 1, squeeze=False).reshape(rows, 3)
        for axes, segment in zip(grid, segments, strict=True):
            title = f"{segment.name}: " if rows > 1 else ""
            span = _shown(segment)
            _gain(axes[0], segment, title)
            _delay(axes[1], segment, title)
            _noise(axes[2], segment, title)
            for axis in axes:
                _frequencies(axis, span)
        return drawn

    alt = "Gain, group delay and rounding noise over frequency: design and integers."
    return both_sizes("filter", alt, draw)


def path_bounds(part: PathResponse) -> Markup:
    """Draw the largest value that any input can bring about, section by section, as a share of int32."""
    names = [shorten(bound.name, 30) for bound in part.bounds]
    shares = [bound.share for bound in part.bounds]

    def draw(wide: bool) -> Figure:
        drawn = figure(WIDE if wide else NARROW, 80 + 24 * len(names))
        axis = drawn.subplots()
        axis.barh(range(len(names)), shares, 0.6, color=COLOUR["series1"], zorder=3)
        axis.axvline(1.0, color=COLOUR["alarm"], linewidth=1.5)
        axis.set_yticks(range(len(names)), names)
        axis.tick_params(axis="y", length=0, labelcolor=COLOUR["ink"])
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.set_xlim(0, 1.05)
        axis.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        axis.set_xlabel("of the range of int32, at worst")
        axis.grid(visible=False, axis="y")
        return drawn

    highest = max(shares, default=0.0)
    return both_sizes("bounds", f"Largest values for any input: at most {highest:.1%} of int32.", draw)


def largest_deviation_db(part: PathResponse) -> float | None:
    """Return the largest difference between design and integers where the design passes more than -40 dB."""
    largest = [
        float(np.abs(s.design_db - s.quantized_db)[s.design_db > -40.0].max())
        for s in part.segments
        if (s.design_db > -40.0).any()
    ]
    return max(largest, default=None)


def _shown(segment: SegmentResponse) -> tuple[float, float]:
    """Frequencies to show: decades in which nothing passes would only squeeze the rest."""
    hz = segment.freqs_hz
    passed = np.flatnonzero(np.maximum(segment.design_db, segment.quantized_db) > 0.8 * FLOOR_DB)
    return (float(hz[passed[0]]) if len(passed) else float(hz[0])), float(hz[-1])


def _gain(axis: Axes, segment: SegmentResponse, title: str) -> None:
    design = np.maximum(segment.design_db, FLOOR_DB)
    integers = np.maximum(segment.quantized_db, FLOOR_DB)
    _pair(axis, segment, design, integers)
    lowest = float(min(design.min(initial=0.0), integers.min(initial=0.0)))
    axis.set_ylim(max(FLOOR_DB, lowest) - 3, max(6.0, float(design.max(initial=0.0)) + 3))
    axis.set_title(f"{title}gain, dB")
    axis.legend(loc="lower center", fontsize=9)


def _delay(axis: Axes, segment: SegmentResponse, title: str) -> None:
    passes = segment.design_db > _PASSES_DB
    design = np.where(passes, segment.design_delay_ms, np.nan)
    integers = np.where(passes, segment.quantized_delay_ms, np.nan)
    _pair(axis, segment, design, integers)
    axis.set_title(f"{title}group delay, ms")


def _noise(axis: Axes, segment: SegmentResponse, title: str) -> None:
    axis.semilogx(segment.freqs_hz, segment.noise_db, color=COLOUR["series2"])
    axis.set_title(f"{title}rounding noise, dB/Hz")


def _pair(axis: Axes, segment: SegmentResponse, design: Reals, integers: Reals) -> None:
    axis.semilogx(
        segment.freqs_hz, integers, color=COLOUR["series1"], linewidth=3.5, label="integers that run"
    )
    axis.semilogx(segment.freqs_hz, design, color=COLOUR["ink"], linestyle=(0, (4, 3)), label="design")


def _frequencies(axis: Axes, span: tuple[float, float]) -> None:
    axis.set_xlim(*span)
    decades = np.log10(span[1] / span[0])
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2 else (1,)))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda hz, _: f"{hz:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("frequency, Hz")
