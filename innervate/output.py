"""How verbs speak: tables for people, one JSON document for programs, progress on standard error."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document instead of a table.")]
ProgressCall = Callable[[str, int, int], None]
"""(what is being done, steps done, steps in all)"""

_stdout = Console(highlight=False, soft_wrap=True)
_stderr = Console(stderr=True, highlight=False)


def _plain(value: Any) -> Any:
    """Turn what JSON does not know (numpy, paths) into what it does."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"cannot write {type(value).__name__} as JSON")


def say(text: str) -> None:
    """Print a line for people."""
    _stdout.print(text, markup=False)


def note(text: str) -> None:
    """Print a line about the work itself, on standard error so that it never mixes with results."""
    _stderr.print(text, markup=False, style="dim", soft_wrap=True)


def emit_json(document: Any) -> None:
    """Print one JSON document."""
    print(json.dumps(document, default=_plain, indent=2))


def emit_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Print a table; numbers are set right, floats with four significant digits."""
    rows = [list(row) for row in rows]
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for i, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[i], int | float | type(None)) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row))
    _stdout.print(table, markup=False)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def progress() -> Iterator[ProgressCall]:
    """Show what is being done on standard error; yields the call that long work reports to."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=_stderr, transient=True, disable=not _stderr.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        yield lambda stage, done, total: bar.update(task, description=stage, completed=done, total=total)
