"""An int8 `.tflite` file from anywhere: checked, freed of what does nothing, fitted to a signal path."""

from dataclasses import dataclass
from math import prod

from edge.errors import InnervateError
from edge.signal_path import SignalPath
from quantize.importing.editing import Graph
from quantize.importing.ends import (
    check_int8,
    end_in_probabilities,
    fit_window,
    fix_batch,
    name_context,
    name_ends,
    strip_conversions,
    trim_input,
)
from quantize.importing.fold import fold
from train.models import INPUT_SCALE


@dataclass(frozen=True)
class Cleaned:
    """A file after clean-up.

    Attributes:
        tflite: its bytes.
        notes: what was changed, a phrase each.
    """

    tflite: bytes
    notes: tuple[str, ...]


def clean(
    tflite: bytes, where: str = "", path: SignalPath | None = None, step: float = INPUT_SCALE
) -> Cleaned:
    """Make an int8 file smaller: the same outputs, to the bit, from the same int8 inputs.

    Conversions from and to float at the ends go, as do operators that only move values, constants that
    nothing uses, and whatever describes the conversion. With a signal path the file then takes its windows
    and gives probabilities.

    Args:
        tflite: the file.
        where: its name, for messages.
        path: signal path whose windows it is to take.
        step: real value of one int8 step of a window, as the model was trained.

    Raises:
        InnervateError: damaged, not int8 throughout, or not made for such windows.
    """
    graph = Graph(tflite, where)
    try:
        notes = _changed(graph, path, step)
        written = graph.write()
    except (IndexError, ValueError, TypeError, AttributeError, KeyError):
        # Operators are taken to be as the specification has them; damaged ones are not.
        raise InnervateError(
            "The operators of the file do not fit their tensors", where, "Convert the model again"
        ) from None
    if len(written) < len(tflite):
        notes.append(f"{len(tflite):,} -> {len(written):,} bytes")
    return Cleaned(written, tuple(notes))


def _changed(graph: Graph, path: SignalPath | None, step: float) -> list[str]:
    """Clean a graph up; what was done."""
    notes = fix_batch(graph) + strip_conversions(graph)
    check_int8(graph)
    name_context(graph)
    if path is not None:
        rows, columns = path.model_shape
        if len(graph.outputs) > 1:  # with a state: its input is a part of the window, which the bundle checks
            rows = prod(graph.tensors[graph.inputs[0]].shape[:-1])
        notes += fit_window(graph, rows, columns, step)
        notes += end_in_probabilities(graph)
    gone = fold(graph)
    if path is not None:
        trim_input(graph, path.model_shape[1])
        name_ends(graph)
    folded = ", ".join(f"{count} {name}" for name, count in sorted(gone.items()) if count > 0)
    if folded:
        notes.append(f"folded away: {folded}")
    graph.shorten_names()
    return notes
