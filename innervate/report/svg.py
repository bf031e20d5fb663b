"""Matplotlib figures as inline SVG that takes its colours from the page's style sheet.

A figure is drawn with placeholder colours, one a role; they are replaced by CSS variables, so one picture
serves light, dark and print. Metadata, sizes and unused ids go; the bytes depend on the figure alone.
"""

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

ROLES = ("ink", "muted", "grid", "face", "band", "series1", "series2", "series3", "alarm")
"""Roles of colours; `--fig-ROLE` in the style sheet."""
COLOUR = {role: f"#0000{index + 1:02x}" for index, role in enumerate(ROLES)}
"""Role -> placeholder to draw with."""

_VARIABLE = {placeholder: f"var(--fig-{role})" for role, placeholder in COLOUR.items()}
_LINK = "{http://www.w3.org/1999/xlink}href"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: small, selectable, set in the page's typeface
    "svg.hashsalt": "innervate",
    "text.parse_math": False,  # labels come from files: a dollar sign is a dollar sign
    "font.family": "DejaVu Sans",  # ships with matplotlib, so the layout is the same everywhere
    "font.size": 11,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.unicode_minus": True,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "legend.frameon": False,
    "legend.fontsize": 10.5,
    "text.color": COLOUR["ink"],
    "axes.labelcolor": COLOUR["muted"],
    "axes.edgecolor": COLOUR["muted"],
    "axes.titlecolor": COLOUR["ink"],
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "grid.color": COLOUR["grid"],
    "xtick.color": COLOUR["muted"],
    "ytick.color": COLOUR["muted"],
    "legend.labelcolor": COLOUR["ink"],
}


@contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib's style for the figures of a report, whatever the user's own settings are."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        # The browser brings the glyphs; matplotlib only measures with its own.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        warnings.filterwarnings("ignore", message="Matplotlib currently does not support")
        yield


def figure(width: int, height: int) -> Figure:
    """Return an empty figure of `width` x `height` CSS pixels; font sizes are then in CSS pixels too."""
    drawn = Figure(figsize=(width / 72, height / 72), layout="constrained")
    FigureCanvasSVG(drawn)
    return drawn


def to_svg(drawn: Figure, name: str, alt: str, css_class: str) -> Markup:
    """Return `drawn` as an `<svg role="img">` element for a page.

    Args:
        drawn: a figure made under `drawing()`; the call must be under it, too.
        name: letters and hyphens, unique on the page; prefixes the ids.
        alt: what the picture shows, for those who cannot see it.
        css_class: class of the element.
    """
    stream = io.StringIO()
    silent = {"Date": None, "Creator": None, "Format": None, "Type": None}
    drawn.savefig(stream, format="svg", metadata=silent)
    root = ET.fromstring(stream.getvalue())
    for parent in root.iter():
        for child in [c for c in parent if c.tag.endswith("}metadata") or c.tag.endswith("}style")]:
            parent.remove(child)
    used = _references(root)
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        _finish(element, used, name)
    viewbox = escape(root.attrib["viewBox"])
    inner = "".join(ET.tostring(child, encoding="unicode") for child in root)
    return Markup('<svg class="{}" viewBox="{}" role="img" aria-label="{}">{}</svg>').format(
        css_class, viewbox, alt, Markup(inner)
    )


def _references(root: ET.Element) -> set[str]:
    """Ids that another element refers to."""
    used: set[str] = set()
    for element in root.iter():
        if link := element.get(_LINK):
            used.add(link.removeprefix("#"))
        for attribute in ("clip-path", "style"):
            used.update(re.findall(r"url\(#([^)]+)\)", element.get(attribute, "")))
    return used


def _finish(element: ET.Element, used: set[str], name: str) -> None:
    """Make ids unique on the page, colours variable and fonts the page's own."""
    identity = element.attrib.pop("id", "")
    if identity in used:
        element.set("id", f"{name}-{identity}")
    if link := element.attrib.pop(_LINK, ""):
        element.set("href", f"#{name}-{link.removeprefix('#')}")
    if clip := element.get("clip-path"):
        element.set("clip-path", clip.replace("url(#", f"url(#{name}-"))
    if path := element.get("d"):
        element.set("d", re.sub(r"(\.\d\d)\d+", r"\1", " ".join(path.split())))  # 1/100 px will do
    if style := element.get("style"):
        style = style.replace("url(#", f"url(#{name}-")
        style = re.sub(r"#0000[0-9a-f]{2}\b", lambda found: _VARIABLE.get(found[0], found[0]), style)
        style = re.sub(r"(font: [^;]*?\d+(?:\.\d+)?px) [^;]*", r"\1 var(--font)", style)
        element.set("style", style)
    if element.text is not None and not element.text.strip():
        element.text = None
    if element.tail is not None and not element.tail.strip():
        element.tail = None
