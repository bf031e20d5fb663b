"""Limits of `innervate quantize`, and `innervate sensitivity`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from innervate.output import Json, emit_json, emit_table, note, progress, say

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
    str,
    typer.Option(
        "--target",
        help="Processor that the limits hold for: generic, cortex-m4, cortex-m7, cortex-m33 (not emulated).",
    ),
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


def sensitivity(
    run: Annotated[Path, typer.Argument(help="Folder that `innervate train` wrote.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Page (.html) to write, with curves.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Show what each layer of a network can spare: accuracy as it alone is pruned, nothing trained again.

    Look here before `innervate quantize --prune` or `--max-...`: a layer that loses nothing until half of it
    is gone is wider than its task needs; in one that falls at once there is nothing to spare.
    """
    from quantize.pruning.sensitivity import measure_sensitivity
    from train.run import Run

    loaded = Run.load(run)
    with progress() as report:
        found = measure_sensitivity(loaded, report)
    if out is not None:
        from innervate.report.sensitivity import write_sensitivity

        write_sensitivity(loaded, found, out)
        note(f"Curves: {out}")
    if json:
        emit_json(msgspec.to_builtins(found))
        return
    emit_table(
        ("layer", "removed as", "all", "gone at -1 point", "MACs then", "gone at -5 points", "MACs then"),
        (
            (
                f"{layer.layer} {layer.module}",
                layer.kind,
                layer.size,
                one.removed,
                one.macs,
                five.removed,
                five.macs,
            )
            for layer in found.layers
            for one, five in [(layer.spare(0.01), layer.spare(0.05))]
        ),
    )
    say(
        f"Nothing removed: {found.macs:,} MACs, {100 * found.accuracy:.1f} % of {found.windows:,} windows of "
        f"{found.part}. Figures: host, float."
    )
