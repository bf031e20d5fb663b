"""`innervate compile` and `innervate build`: from a model to C99, from a bundle to firmware."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.bundle import Bundle
from innervate.output import Json, emit_json, emit_table, say
from innervate.verbs.quantizing import read_model

if TYPE_CHECKING:
    from quantize.c99.report import StreamingReport

BoardOption = Annotated[
    str, typer.Option("--board", help="A board of `innervate boards`.", show_default=False)
]

MaxFlash = Annotated[
    int | None,
    typer.Option("--max-flash", min=1, help="Bytes of constants and code at most.", show_default=False),
]
MaxArena = Annotated[
    int | None,
    typer.Option("--max-arena", min=1, help="Bytes of memory between layers at most.", show_default=False),
]
MaxInstructions = Annotated[
    int | None,
    typer.Option(
        "--max-instructions",
        min=1,
        help="Instructions of a call at most, counted in the emulator.",
        show_default=False,
    ),
]


def c_name(file: Path) -> str:
    """A C identifier made of a file's name."""
    name = re.sub(r"\W", "_", file.stem, flags=re.ASCII).lower()
    return name if name[:1].isalpha() else f"model_{name}"


def compile_model(
    file: Annotated[Path, typer.Argument(help="A bundle (.nrv) or a .tflite file.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option("--out", help="Folder to write; one written before is replaced.", show_default=False),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--target",
            help="Processor: generic, cortex-m4, cortex-m7, cortex-m33, cortex-m55, cortex-a72, cortex-a76, "
            "host.",
        ),
    ] = "generic",
    measure: Annotated[
        bool, typer.Option("--measure", help="Count each layer's instructions in the emulator.")
    ] = False,
    optimize: Annotated[
        str | None,
        typer.Option(
            "--optimize",
            help="speed: the target's kernels, -O2; balanced: those at -Os; size: portable ones at -Os. "
            "By default the first that keeps the limits.",
            show_default=False,
        ),
    ] = None,
    max_flash: MaxFlash = None,
    max_arena: MaxArena = None,
    max_instructions: MaxInstructions = None,
    hop: Annotated[
        int | None,
        typer.Option(
            "--hop",
            min=1,
            help="Also take so many samples at a time and compute only what they add.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Compile an int8 model to plain C99: sources, packages, report.json and report.html in one folder."""
    from innervate.report.compiled import render
    from quantize.c99.choice import Limits, emit_within

    limits = Limits(max_flash, max_arena, max_instructions)
    report = emit_within(
        read_model(file), c_name(file), out, limits, target, optimize, str(file), measure, render, hop
    )
    if json:
        emit_json(report.to_json())
        return
    counted = ("instructions",) if report.emulated else ()
    emit_table(
        ("layer", "operator", "output", "MACs", *counted),
        (
            (
                *(layer.position, layer.operator, "x".join(map(str, layer.output_shape)), layer.macs),
                *(getattr(layer, column) for column in counted),
            )
            for layer in report.layers
        ),
    )
    say(
        f"{out}: {report.macs:,} MACs, arena {report.arena_bytes:,} bytes, "
        f"constants {report.constant_bytes:,} bytes, "
        f"optimized for {report.optimize}"
    )
    if report.emulated:
        say(f"{report.emulated.instructions:,} instructions, emulated on {report.emulated.board}")
    if report.streaming:
        _say_streaming(report.streaming, report.macs)
    for check in report.checks:
        if not check.passed:
            say(f"Does not hold: {check.what} ({check.how}): {check.evidence}")


def _say_streaming(streaming: "StreamingReport", macs: int) -> None:
    """Tell what a push computes, and what keeps it from computing less."""
    share = f", {streaming.macs / macs:.0%} of a window's" if macs else ""
    counted = f", {streaming.push_instructions:,} instructions" if streaming.push_instructions else ""
    say(
        f"A hop of {streaming.hop} of {streaming.window} samples: {streaming.macs:,} MACs{share}{counted}; "
        f"{streaming.kept_bytes:,} bytes of the arena stay from call to call"
    )
    for layer in streaming.layers:
        if layer.border_columns:
            say(
                f"Layer {layer.position}, {layer.operator}: {layer.new_columns} new columns and "
                f"{layer.border_columns} at the window's ends, of {layer.columns}"
            )
    if streaming.obstacle:
        whole = sum(layer.macs for layer in streaming.layers if not layer.streamed)
        say(
            f"From layer {streaming.obstacle.position}, {streaming.obstacle.operator}, on all is computed "
            f"anew, {whole:,} MACs: {streaming.obstacle.why_not}"
        )


def build(
    bundle: Annotated[Path, typer.Argument(help="A bundle (.nrv).", show_default=False)],
    board: BoardOption,
    out: Annotated[Path, typer.Option("--out", help="Firmware file to write.", show_default=False)],
    json: Json = False,
) -> None:
    """Build the firmware of a bundle for a board."""
    from innervate.firmware import build_firmware

    firmware = build_firmware(Bundle.load(bundle), board, out)
    if json:
        emit_json(asdict(firmware))
        return
    say(
        f"{firmware.path} for {firmware.board}: flash {firmware.flash:,} bytes, RAM {firmware.ram:,} bytes, "
        f"build {firmware.build_id[:12]}, bundle {firmware.bundle_hash[:12]}."
    )
