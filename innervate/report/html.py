"""Write a Report as one HTML file: style and pictures inside, no scripts, nothing fetched from anywhere."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edge.errors import InnervateError
from innervate.report import figures, layer_figures, path_figures, wording
from innervate.report.data import MISSING, Confusion, Measured, ParityRow, Report, Subjects

_FOLDER = Path(__file__).parent
SHADES = (0.005, 0.05, 0.15, 0.4, 0.8)
"""Shares of a row from which a cell of a confusion matrix takes the next shade."""


def write_report(report: Report, out: Path) -> Path:
    """Write `report` to the file `out`, whole or not at all; equal reports give equal bytes.

    Returns:
        `out`.

    Raises:
        InnervateError: the file cannot be written.
    """
    page = render(report).encode("utf-8")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)
    except OSError as error:
        raise _unwritable(out, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(page)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp's files are private; a report is to be handed on
        temporary.replace(out)
    except OSError as error:
        raise _unwritable(out, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return out


def _unwritable(out: Path, error: OSError) -> InnervateError:
    reason = error.strerror or str(error)
    what = f"the report cannot be written: {reason}"
    return InnervateError(what, str(out), "Name a file in a folder you may write to")


def render(report: Report) -> str:
    """Return the page of `report` as text."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters.update(
        number=wording.number,
        percent=wording.percent,
        ms=wording.milliseconds,
        column_ms=wording.column_milliseconds,
        size=wording.size,
        plural=wording.plural,
        differ=wording.differ,
    )
    template = environment.get_template("report.html")
    style = Markup((_FOLDER / "report.css").read_text("utf-8"))
    return template.render(
        report=report,
        style=style,
        verdict=wording.verdict(report),
        pictures=_pictures(report),
        matrices=_matrices(report.confusion),
        devices=_devices(report.parity),
        columns=_columns(report.subjects),
        HOST=Measured.HOST,
        MISSING=MISSING,
        deviation=report.filter_response and path_figures.largest_deviation_db(report.filter_response),
    )


def _finalize(value: Any) -> Any:
    """Clean text on its way into the page; mark-up made here passes."""
    return wording.clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _pictures(report: Report) -> dict[str, Markup]:
    """Pictures of the parts that are there and have something to show."""
    found: dict[str, Markup] = {}
    if report.signals is not None and report.signals.raw.size:
        found["signals"] = figures.signals(report.signals)
    if report.filter_response is not None and report.filter_response.segments:
        found["filter"] = path_figures.path_response(report.filter_response)
        if report.filter_response.bounds:
            found["bounds"] = path_figures.path_bounds(report.filter_response)
    if report.subjects is not None and report.subjects.rows:
        found["subjects"] = figures.subjects(report.subjects)
    if report.delay is not None and report.delay.parts:
        found["delay"] = figures.delay(report.delay)
    if report.training is not None and report.training.epoch.size:
        found["training"] = figures.training(report.training)
    if report.timeline is not None and report.timeline.time_s.size:
        found["timeline"] = figures.timeline(report.timeline)
    if report.noise is not None and report.noise.layers:
        found["noise"] = layer_figures.noise(report.noise)
    if report.sensitivity is not None and report.sensitivity.layers:
        found["sensitivity"] = layer_figures.sensitivity(report.sensitivity)
    return found


def _devices(rows: Sequence[ParityRow]) -> list[dict[str, Any]]:
    """Rows of the comparison by device, both in the order given."""
    keys = dict.fromkeys((row.device, row.measured) for row in rows)
    return [
        {"url": url, "measured": how, "rows": [r for r in rows if (r.device, r.measured) == (url, how)]}
        for url, how in keys
    ]


def _matrices(part: Confusion | None) -> list[dict[str, Any]]:
    """Confusion matrices as rows of (count, shade) with totals and recall; equal ones once, all named."""
    made: list[dict[str, Any]] = []
    if part is None:
        return made
    for name, matrix in part.matrices.items():
        source = {"name": name, "measured": part.measured[name]}
        twin = next((other for other in made if np.array_equal(other["matrix"], matrix)), None)
        if twin is not None:
            twin["sources"].append(source)
            continue
        rows = []
        for index, label in enumerate(part.labels):
            total = int(matrix[index].sum())
            shades = np.searchsorted(SHADES, matrix[index] / max(total, 1), side="right")
            cells = [{"count": int(n), "shade": int(s)} for n, s in zip(matrix[index], shades, strict=True)]
            rows.append(
                {
                    "label": label,
                    "cells": cells,
                    "total": total,
                    "recall": float(matrix[index, index]) / total if total else None,
                }
            )
        total = int(matrix.sum())
        made.append(
            {
                "matrix": matrix,
                "sources": [source],
                "rows": rows,
                "decided": [int(n) for n in matrix.sum(axis=0)],
                "total": total,
                "accuracy": float(matrix.trace()) / total if total else None,
            }
        )
    return made


def _columns(part: Subjects | None) -> list[str]:
    """Names of the accuracies that at least one subject has."""
    if part is None:
        return []
    names = ("float", "int8", "device", "floor")
    return [name for name in names if any(getattr(row, f"accuracy_{name}") is not None for row in part.rows)]
