"""Limits of `innervate quantize`, and `innervate sensitivity`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from quantize.convert import QuantizeResult

MaxMacs = Annotated[
    int | None,
    typer.Option(
        "--max-macs",
        min=1,
        help="Prune to at most so many multiply-accumulates a window.",
        show_default=False,
    ),
]
MaxFlash = Annotated[
    int | None,
    typer.Option(
        "--max-flash",
        min=1,
        help="Prune to at most so many bytes of flash: the model's constants and code.",
        show_default=False,
    ),
]
MaxArena = Annotated[
    int | None,
    typer.Option(
        "--max-arena",
        min=1,
        help="Prune to at most so many bytes of memory between layers.",
        show_default=False,
    ),
]
MaxInstructions = Annotated[
    int | None,
    typer.Option(
        "--max-instructions",
        min=1,
        help="Prune to at most so many instructions a window, counted in the emulator.",
        show_default=False,
    ),
]
LimitTarget = Annotated[
    str, typer.Option("--target", help="Processor that the limits hold for: generic, cortex-m4, cortex-m7.")
]


def pruned_lines(result: "QuantizeResult") -> list[str]:
    """What pruning removed, and what the model takes of each limit."""
    from quantize.pruning.cost import UNITS

    pruning, lines = result.pruning, []
    if pruning.removed:
        gone = ", ".join(f"{count} of {layer}" for layer, count in pruning.removed.items())
        lines.append(
            f"Removed {pruning.allotment}: {gone}; {result.before.macs:,} -> {result.after.macs:,} MACs."
        )
    if result.footprint is not None and pruning.budget is not None:
        taken = ", ".join(
            f"{getattr(result.footprint, name):,} of {limit:,} {UNITS[name]}"
            for name, limit in pruning.budget.limits.items()
        )
        lines.append(f"Within the limits on {pruning.budget.target}: {taken}.")
    return lines
