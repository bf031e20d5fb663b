"""`innervate quantize` and `innervate inspect`."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge.bundle import Bundle
from edge.errors import InnervateError
from innervate.output import Json, emit_json, emit_table, note, progress, say
from innervate.verbs import importing, precision
from innervate.verbs.pruning import LimitTarget, MaxArena, MaxFlash, MaxInstructions, MaxMacs, pruned_lines


def quantize(
    run: Annotated[
        Path,
        typer.Argument(
            help="Folder that `innervate train` wrote; or a model from elsewhere: .keras, .h5, SavedModel "
            "folder, int8 .tflite.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="Bundle to write (.nrv); of a model from elsewhere also .tflite.",
            show_default=False,
        ),
    ],
    prune: Annotated[
        float,
        typer.Option(
            "--prune", min=0.0, max=0.9, help="Share of channels, memory units and heads to remove."
        ),
    ] = 0.0,
    max_macs: MaxMacs = None,
    max_flash: MaxFlash = None,
    max_arena: MaxArena = None,
    max_instructions: MaxInstructions = None,
    target: LimitTarget = "cortex-m4",
    ptq: Annotated[
        bool, typer.Option("--ptq", help="Calibrate only; by default quantization-aware training follows.")
    ] = False,
    calibration: precision.Calibration = "percentile",
    equalize: precision.Equalize = False,
    int16: precision.Int16 = None,
    fast: Annotated[bool, typer.Option("--fast", help="Few epochs: to see that all works.")] = False,
    like: importing.Like = None,
    calibrate: importing.Calibrate = None,
    step: importing.Step = None,
    json: Json = False,
) -> None:
    """Prune, quantize to int8 and write a bundle: model, signal path, decision rule, golden vectors, card.

    Give limits (--max-...) and as little is removed as keeps the model within all of them; `innervate
    sensitivity` shows beforehand which layers can spare how much.

    A model from elsewhere is made int8 as it is: `innervate quantize MODEL.keras --like RUN --out X.nrv`.
    """
    limited = any((max_macs, max_flash, max_arena, max_instructions))
    if prune and limited:
        raise InnervateError("A share to prune and limits say the same twice", "--prune", "Give one of them")
    if importing.is_model(run):
        if prune or limited:
            fix = "Prune it where it was trained"
            raise InnervateError("A model from elsewhere is made int8 as it is", "--prune, --max-...", fix)
        importing.import_model(run, out, like, calibrate, step, json)
        return
    importing.check_unused(like, calibrate, step)
    from quantize.convert import quantize as convert
    from quantize.pruning.cost import Budget
    from train.run import Run

    limits = Budget(max_macs, max_flash, max_arena, max_instructions, target)

    with progress() as report:
        result = convert(
            Run.load(run),
            out,
            prune=prune,
            budget=limits if limited else None,
            mode="ptq" if ptq else "qat",
            calibration=precision.method(calibration),
            equalize=equalize,
            int16=tuple(int16 or ()),
            fast=fast,
            progress=report,
        )
    if json:
        emit_json(result.to_json())
        return
    precision.tell_verification(result.verification)
    precision.tell_noise(result.noise)
    for line in pruned_lines(result):
        say(line)
    say(f"Bundle: {out}. Figures: host, {result.windows:,} test windows.")


def inspect(
    file: Annotated[Path, typer.Argument(help="A bundle (.nrv) or a .tflite file.", show_default=False)],
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots",
            help="Page (.html) to write: what the signal path of a bundle does to a signal, and the delay.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            "--target",
            help="Does each operator fit: cortex-m4, cortex-m55, edgetpu, raspberry-pi or tflm.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Layers, shapes, sizes, scales and multiply-accumulates; what the file says of its task and signal path.

    With --target: does the model fit it? Exit status 1 means no.
    """
    from quantize.inspect import inspect as look
    from quantize.tflite_metadata import read_facts, read_signatures

    bundle = Bundle.load(file) if file.suffix == ".nrv" else None
    if plots is not None:
        write_plots(bundle, file, plots)
    if target is not None:
        _inspect_for(file, target, json)
        return
    model = read_model(file)
    table = look(model, str(file))
    facts, signatures = read_facts(model, str(file)), read_signatures(model, str(file))
    if json:
        of_bundle = (
            {} if bundle is None else {"hash": bundle.hash, "card": bundle.card, "pipeline": bundle.pipeline}
        )
        of_file = {"facts": facts, "signatures": signatures}
        emit_json({**msgspec.to_builtins(of_bundle | of_file), "model": table.to_json()})
        return
    if bundle is not None:
        say(f"Bundle {bundle.hash[:12]}")
    for line in () if facts is None else facts.lines:
        say(line)
    for one in signatures:
        say(f"Signature {one.key}: from {', '.join(one.inputs)} to {', '.join(one.outputs)}")
    emit_table(table.columns, table.rows)
    say(table.summary)


def write_plots(bundle: Bundle | None, file: Path, page: Path) -> None:
    """Write the page of a bundle's signal path.

    Raises:
        InnervateError: a model alone has no signal path.
    """
    from innervate.report.inspection import write_inspection

    if bundle is None:
        raise InnervateError("A model alone has no signal path to draw", str(file), "Give a bundle (.nrv)")
    write_inspection(bundle, page)
    note(f"Pictures: {page}")


def _inspect_for(file: Path, target: str, json: bool) -> None:
    """Say whether a file's model fits a target, and end with status 1 where it does not."""
    from quantize.targets import check

    report = check(read_model(file), target, str(file))
    if json:
        emit_json(report.to_json())
    else:
        emit_table(report.columns, report.rows)
        for line in (*report.file, *report.notes, report.verdict):
            say(line)
    if not report.fits:
        raise typer.Exit(1)


def read_model(file: Path) -> bytes:
    """Bytes of the `.tflite`, out of its bundle where it lies in one.

    Raises:
        InnervateError: neither a bundle nor a model, or not readable.
    """
    if file.suffix == ".nrv":
        return Bundle.load(file).model
    if file.suffix != ".tflite":
        raise InnervateError("Neither a bundle nor a model", str(file), "Give a .nrv or a .tflite file")
    return file.read_bytes()
