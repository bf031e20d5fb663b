"""The page of a compiled model: layers, memory over time, what is proved and what measured."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from innervate.report import wording
from quantize.c99.report import ArenaBuffer, Report

_FOLDER = Path(__file__).parent
WIDTH: Final = 1000
"""Pixels of the drawing; its text is 13 pixels high."""
_LEFT, _TOP, _PLOT_HEIGHT, _BOTTOM = 74, 12, 300, 46
_LETTER: Final = 6.6  # pixels that a letter takes on average
_ROLES: Final = (("output", "series1"), ("scratch", "series2"), ("", "series3"))
"""What a buffer's name begins with, and its colour; anything else is kept from call to call."""


def render(report: Report) -> str:
    """Return the page as text; equal reports give equal text."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(number=wording.number)
    style = Markup((_FOLDER / "report.css").read_text("utf-8"))
    return environment.get_template("compiled.html").render(
        report=report, style=style, drawing=arena_drawing(report)
    )


def arena_drawing(report: Report) -> Markup:
    """Draw the arena: a rectangle a buffer, layers to the right, bytes upwards; empty without buffers.

    Buffers that lie over each other share their area: a layer writes behind what it has read.
    """
    steps = [layer.position for layer in report.layers if layer.kernel]
    if not report.arena or not steps:
        return Markup()
    column = (WIDTH - _LEFT - 8) / len(steps)
    per_byte = _PLOT_HEIGHT / report.arena_bytes
    height = _TOP + _PLOT_HEIGHT + _BOTTOM

    def y(offset: float) -> float:
        return _TOP + _PLOT_HEIGHT - offset * per_byte

    parts = [
        f'<path d="M{_LEFT} {y(tick):.1f}H{WIDTH - 8}" stroke="var(--fig-grid)"/>'
        f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:,}</text>'
        for tick in _ticks(report.arena_bytes)
    ]
    every = -(-len(steps) * 24 // (WIDTH - _LEFT))  # of the layers' numbers, where they come close
    for index, position in list(enumerate(steps))[::every]:
        x = _LEFT + (index + 0.5) * column
        parts.append(f'<text x="{x:.1f}" y="{height - 28}" text-anchor="middle">{position}</text>')
    for buffer in report.arena:
        first, last = sorted((steps.index(buffer.first), steps.index(buffer.last)))  # stripes
        x, width = _LEFT + first * column + 2, (last - first + 1) * column - 4
        parts.append(_rectangle(buffer, x, y(buffer.offset + buffer.size), width, buffer.size * per_byte))
    bound = y(report.arena_lower_bound)
    parts.append(
        f'<path d="M{_LEFT} {bound:.1f}H{WIDTH - 8}" stroke="var(--fig-ink)" stroke-dasharray="5 4"/>'
        f'<text x="{_LEFT + (WIDTH - _LEFT) / 2:.0f}" y="{height - 8}" text-anchor="middle">layer</text>'
    )
    alt = f"{len(report.arena)} buffers in {report.arena_bytes:,} bytes over {len(steps)} layers"
    return Markup(
        '<svg viewBox="0 0 {} {}" role="img" aria-label="{}" font-family="var(--font)" font-size="13" '
        'fill="var(--fig-muted)">{}</svg>'
    ).format(WIDTH, height, alt, Markup("".join(parts)))


def _rectangle(buffer: ArenaBuffer, x: float, y: float, width: float, height: float) -> str:
    role = next(role for start, role in _ROLES if buffer.name.startswith(start))
    told = f"{buffer.name}: {buffer.size:,} bytes"
    label = next(
        (text for text in (told, buffer.name, f"{buffer.size:,}") if len(text) * _LETTER < width - 8), ""
    )
    text = f'<text x="{x + 6:.1f}" y="{y + 16:.1f}" fill="var(--fig-ink)">{escape(label)}</text>'
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2" '
        f'fill="var(--fig-{role})" fill-opacity=".22" stroke="var(--fig-{role})">'
        f"<title>{escape(told)}, from byte {buffer.offset:,}</title></rect>"
        f"{text if label and height >= 20 else ''}"
    )


def _ticks(largest: int) -> list[int]:
    """Return some four round numbers of bytes from 0."""
    step = 4
    while largest // step > 5:
        step *= 2
    return list(range(0, largest + 1, step))
