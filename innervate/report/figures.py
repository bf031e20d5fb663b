"""The report's pictures. Each is drawn twice, for wide pages and for phones; the style sheet shows one."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from innervate.report.data import (
    MISSING,
    NO_DECISION,
    Counts,
    Delay,
    Reals,
    Signals,
    Span,
    Subjects,
    Timeline,
    Training,
)
from innervate.report.svg import COLOUR, drawing, figure, to_svg
from innervate.report.wording import column_milliseconds, milliseconds, percent, plural, shorten

WIDE, NARROW = 920, 380
SUBJECT_SERIES = (
    ("floor", "linear floor", "D", "muted", False),
    ("float", "float", "o", "series1", False),
    ("int8", "int8", "s", "series3", False),
    ("device", "device", "x", "series2", True),
)
"""(column, name, marker, role, filled): shape tells them apart as well as colour."""


def envelope(signal: Reals, columns: int) -> tuple[Reals, Reals]:
    """Reduce a trace to what `columns` pixel columns can show: the smallest and largest sample of each.

    Args:
        signal: float64 [n].
        columns: number of pixel columns.

    Returns:
        Sample positions and values, float64 [m] with m <= 2 * columns; each column's extremes in the order in
        which they occur. A trace with no more than 2 * columns samples is returned whole.
    """
    n = len(signal)
    if n <= 2 * columns:
        return np.arange(n, dtype=np.float64), signal
    edges = np.linspace(0, n, columns + 1).astype(np.int64)
    low = np.empty(columns, dtype=np.int64)
    high = np.empty(columns, dtype=np.int64)
    for column, (start, end) in enumerate(pairwise(edges)):
        low[column] = start + signal[start:end].argmin()
        high[column] = start + signal[start:end].argmax()
    picked = np.sort(np.stack([low, high], axis=1), axis=1).ravel()
    return picked.astype(np.float64), signal[picked]


def both_sizes(name: str, alt: str, draw: Callable[[bool], Figure]) -> Markup:
    """Draw a picture for wide pages and for phones; the style sheet shows one."""
    with drawing():
        wide = to_svg(draw(True), f"{name}-wide", alt, "wide")
        narrow = to_svg(draw(False), f"{name}-narrow", alt, "narrow")
    return Markup("{}\n{}").format(wide, narrow)


def signals(part: Signals) -> Markup:
    """Traces before and after the signal path, one lane a channel, each panel with its own scale."""
    per_count = part.uv_per_count or 1.0
    unit = "µV" if part.uv_per_count else "counts"
    seconds = len(part.raw) / part.fs_hz
    count = max(values.shape[1] for _, values, *_ in part.panels)

    def draw(wide: bool) -> Figure:
        lane = 34 if count <= 12 else 20
        height = 110 + lane * max(count, 2)
        drawn = figure(WIDE, height) if wide else figure(NARROW, 2 * height)
        axes = drawn.subplots(1, 2, sharey=False) if wide else drawn.subplots(2, 1)
        for axis, (name, values, channels, fs_hz) in zip(axes, part.panels, strict=True):
            scale = per_count / (2.0**part.shift if name == "filtered" else 1.0)
            lanes = _Lanes(values * scale, channels, fs_hz, name.capitalize(), unit)
            _draw_lanes(axis, lanes, part.annotations, 420 if wide else 300)
        if wide and part.filtered_channels is None:
            axes[1].tick_params(axis="y", labelleft=False)
        return drawn

    alt = f"{plural(part.raw.shape[1], 'channel')} over {seconds:.3g} seconds, before and after the filter."
    return both_sizes("signals", alt, draw)


class _Lanes(NamedTuple):
    """Traces [n, C] of one panel."""

    values: Reals
    channels: Sequence[str]
    fs_hz: float
    title: str
    unit: str


def _draw_lanes(axis: Axes, part: _Lanes, spans: Sequence[Span], columns: int) -> None:
    values, fs_hz = part.values, part.fs_hz
    centred = values - np.median(values, axis=0) if len(values) else values
    reach = float(np.quantile(np.abs(centred), 0.9995)) if centred.size else 0.0
    spacing = 2 * reach or 1.0
    count = values.shape[1]
    for channel in range(count):
        position, trace = envelope(centred[:, channel], columns)
        axis.plot(position / fs_hz, trace / spacing - channel, color=COLOUR["series1"], linewidth=0.7)
    seconds = len(values) / fs_hz
    for span in spans:
        start, end = max(span.onset_s, 0.0), min(span.onset_s + span.duration_s, seconds)
        if end <= start:
            continue
        axis.axvspan(start, end, color=COLOUR["band"], linewidth=0, zorder=0)
        letters = int((end - start) / seconds * columns / 5.8)
        if letters >= 3:
            middle = (start + end) / 2
            axis.text(middle, 0.62, shorten(span.label, letters), ha="center", va="bottom", fontsize=10)
    axis.set_xlim(0, seconds or 1)
    axis.set_ylim(-count + 0.3, 1.05)
    axis.set_yticks([-c for c in range(count)], [shorten(name, 10) for name in part.channels])
    axis.tick_params(axis="y", length=0)
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    axis.set_xlabel("seconds")
    axis.set_title(f"{part.title} (height of a lane: {_nice(spacing)} {part.unit})")


def _nice(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def subjects(part: Subjects) -> Markup:
    """Accuracy of every subject, one column (on phones: one row) a subject."""
    names = [shorten(row.subject, 12) for row in part.rows]
    series = []
    for column, name, marker, role, filled in SUBJECT_SERIES:
        values = [getattr(row, f"accuracy_{column}") for row in part.rows]
        if any(value is not None for value in values):
            accuracies = np.array([np.nan if v is None else v for v in values], dtype=np.float64)
            series.append((name, accuracies, marker, role, filled))
    place = np.arange(len(names))
    lowest = min((float(np.nanmin(values)) for _, values, *_ in series), default=0.0)
    start = max(0.0, np.floor(lowest * 10 - 0.3) / 10)

    def draw(wide: bool) -> Figure:
        drawn = figure(WIDE, 300) if wide else figure(NARROW, 90 + 19 * max(len(names), 4))
        axis = drawn.subplots()
        for index, (name, accuracies, marker, role, filled) in enumerate(series):
            face = COLOUR[role] if filled else "none"
            # Side by side: nearly equal values would hide each other.
            beside = place + 0.2 * min(1.0, len(names) / 8) * (index - (len(series) - 1) / 2)
            xy = (beside, accuracies) if wide else (accuracies, beside)
            axis.plot(
                *xy,
                marker,
                label=name,
                color=COLOUR[role],
                markerfacecolor=face,
                markersize=6,
                markeredgewidth=1.5,
            )
        value_axis, name_axis = (axis.yaxis, axis.xaxis) if wide else (axis.xaxis, axis.yaxis)
        value_axis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=" %"))
        turned = wide and max(map(len, names), default=0) * len(names) > 110
        name_axis.set_ticks(place, names)
        name_axis.set_tick_params(labelrotation=90 if turned else 0)
        (axis.set_ylim if wide else axis.set_xlim)(start, 1.02)
        if wide:
            axis.set_xlim(-0.6, len(names) - 0.4)
            axis.set_xlabel("subject")
            axis.set_ylabel("accuracy")
        else:
            axis.set_ylim(len(names) - 0.4, -0.6)
            axis.set_xlabel("accuracy")
        axis.legend(
            loc="lower center",
            ncols=len(series),
            bbox_to_anchor=(0.5, 1.0),
            columnspacing=1.2,
            handletextpad=0.2,
        )
        return drawn

    alt = f"Accuracy of {plural(len(names), 'subject')}; the values are in the table."
    return both_sizes("subjects", alt, draw)


def delay(part: Delay) -> Markup:
    """Cascade of delays: each part starts where the one before it ended, mean above worst."""
    parts = part.parts
    means = [p.mean_ms for p in parts]
    worsts = [p.worst_ms for p in parts]
    names = [shorten(p.name, 22) for p in parts] + ["total"]
    furthest = 1.12 * max(part.worst_ms, part.limit_ms or 0.0)

    def draw(wide: bool) -> Figure:
        height = 96 + 42 * len(names)
        drawn = figure(WIDE, height) if wide else figure(NARROW, height)
        axis = drawn.subplots()
        for offset, lengths, total, role, hatch, label in (
            (-0.19, means, part.mean_ms, "series1", None, "mean"),
            (0.19, worsts, part.worst_ms, "series2", "////", "worst"),
        ):
            starts = [0.0, *np.cumsum(lengths)[:-1], 0.0]
            rows = np.arange(len(names)) + offset
            widths = [*lengths, total]
            axis.barh(
                rows,
                widths,
                0.34,
                left=starts,
                label=label,
                hatch=hatch,
                linewidth=1.2,
                zorder=3,
                edgecolor=COLOUR[role],
                facecolor=COLOUR[role] if hatch is None else "none",
            )
            for row, left, length in zip(rows, starts, widths, strict=True):
                axis.annotate(
                    column_milliseconds(length),
                    (left + length, row),
                    (5, 0),
                    textcoords="offset points",
                    va="center",
                    fontsize=10,
                    zorder=4,
                    bbox={"facecolor": COLOUR["face"], "linewidth": 0, "pad": 1},
                )
        for limit, style in ((part.target_ms, (0, (4, 3))), (part.limit_ms, "solid")):
            if limit is None:
                continue
            axis.axvline(limit, color=COLOUR["ink"], linewidth=1.2, linestyle=style, zorder=2)
            axis.text(limit, -0.62, milliseconds(limit), ha="center", va="bottom", size=10, weight="bold")
        axis.set_yticks(range(len(names)), names)
        axis.tick_params(axis="y", length=0, labelcolor=COLOUR["ink"])
        axis.set_ylim(len(names) - 0.5, -0.6)
        axis.set_xlim(0, furthest)
        axis.set_xlabel("milliseconds")
        axis.grid(visible=False, axis="y")
        drawn.legend(loc="outside upper right", ncols=2, handlelength=1.4)
        return drawn

    alt = f"Delay budget: {milliseconds(part.mean_ms)} in the mean, {milliseconds(part.worst_ms)} at worst."
    return both_sizes("delay", alt, draw)


def training(part: Training) -> Markup:
    """Loss and validation accuracy over epochs."""
    changes = [i for i in range(1, len(part.phase)) if part.phase[i] != part.phase[i - 1]]

    def draw(wide: bool) -> Figure:
        drawn = figure(WIDE, 260) if wide else figure(NARROW, 420)
        axes = drawn.subplots(1, 2) if wide else drawn.subplots(2, 1)
        panels = (
            (part.train_loss, "Training loss", "series2"),
            (part.valid_accuracy, "Validation accuracy", "series1"),
        )
        for axis, (values, title, role) in zip(axes, panels, strict=True):
            axis.plot(part.epoch, values, color=COLOUR[role], marker="o", markersize=3)
            axis.set_title(title, pad=18 if part.phase else 6)
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
            for index in changes:
                between = (part.epoch[index] + part.epoch[index - 1]) / 2
                axis.axvline(between, color=COLOUR["muted"], linestyle=":")
            for index in [0, *changes] if part.phase else []:
                name, where = shorten(part.phase[index], 12), axis.get_xaxis_transform()
                axis.text(part.epoch[index], 1.0, name, transform=where, va="bottom", fontsize=10)
            if part.kept_epoch is not None:
                axis.axvline(part.kept_epoch, color=COLOUR["ink"], linestyle=(0, (4, 3)), linewidth=1.2)
        axes[1].yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
        return drawn

    best = percent(float(part.valid_accuracy.max())) if len(part.valid_accuracy) else "unknown"
    return both_sizes(
        "training", f"{plural(len(part.epoch), 'epoch')}; best validation accuracy {best}.", draw
    )


def timeline(part: Timeline) -> Markup:
    """Labels as rows, time across: truth as a band, in it a line for the host and one for the device."""
    rows = [*(shorten(label, 18) for label in part.labels), "no decision"]
    step = float(np.median(np.diff(part.time_s))) if len(part.time_s) > 1 else 1.0
    lost = part.device is not None and bool((part.device == MISSING).any())
    if lost:
        rows.append("not received")

    def draw(wide: bool) -> Figure:
        height = 96 + 30 * len(rows)
        drawn = figure(WIDE, height) if wide else figure(NARROW, height)
        axis = drawn.subplots()
        known = _runs(part.truth, part.time_s, step, len(part.labels))
        truth = [(row, a, b) for row, a, b in known if row < len(part.labels)]
        for index, (row, start, end) in enumerate(truth):
            name = "true label" if index == 0 else "_"
            axis.barh(row, end - start, 0.86, left=start, color=COLOUR["band"], linewidth=0, label=name)
        _strip(axis, _runs(part.host, part.time_s, step, len(part.labels)), -0.18, "series1", "host")
        if part.device is not None:
            runs = _runs(part.device, part.time_s, step, len(part.labels))
            _strip(axis, runs, 0.18, "series2", "device")
            for when in part.time_s[part.device != part.host]:
                axis.axvline(when, ymin=0.97, color=COLOUR["alarm"], linewidth=2)
        axis.set_yticks(range(len(rows)), rows)
        axis.tick_params(axis="y", length=0, labelcolor=COLOUR["ink"])
        axis.set_ylim(len(rows) - 0.4, -0.6)
        if len(part.time_s):
            axis.set_xlim(part.time_s[0] - step, part.time_s[-1])
        axis.grid(visible=False, axis="y")
        axis.set_xlabel("seconds")
        handles, names = axis.get_legend_handles_labels()
        order = np.argsort([name != "true label" for name in names], kind="stable")
        axis.legend(
            [handles[i] for i in order],
            [names[i] for i in order],
            loc="lower center",
            ncols=3,
            bbox_to_anchor=(0.5, 1.0),
        )
        return drawn

    alt = f"{plural(len(part.time_s), 'decision')} over time, the true label beside what was decided."
    return both_sizes("timeline", alt, draw)


def _runs(decisions: Counts, time_s: Reals, step: float, labels: int) -> list[tuple[int, float, float]]:
    """Merge equal neighbours: (row, start, end) in seconds; a decision covers the hop that ends with it."""
    row = np.select([decisions == NO_DECISION, decisions == MISSING], [labels, labels + 1], decisions)
    if not len(row):
        return []
    first = np.flatnonzero(np.diff(row, prepend=row[0] - 1))
    last = np.append(first[1:], len(row)) - 1
    pairs = zip(first, last, strict=True)
    return [(int(row[a]), float(time_s[a]) - step, float(time_s[b])) for a, b in pairs]


def _strip(axis: Axes, runs: Sequence[tuple[int, float, float]], offset: float, role: str, name: str) -> None:
    shortest = (runs[-1][2] - runs[0][1]) / 250 if runs else 0.0  # a single decision must stay visible
    lines = [[(start, row + offset), (max(end, start + shortest), row + offset)] for row, start, end in runs]
    axis.add_collection(LineCollection(lines, colors=COLOUR[role], linewidths=5, capstyle="butt", label=name))
