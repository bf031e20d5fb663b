"""`innervate validate` and `innervate run`: against a device, and on one."""

import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge.bundle import Bundle
from edge.engines import Engine
from edge.errors import InnervateError
from innervate.output import Json, emit_json, emit_table, note, say

BundleArgument = Annotated[Path, typer.Argument(help="A bundle (.nrv).", show_default=False)]
PortOption = Annotated[
    str,
    typer.Option(
        "--port",
        help="Device URL: qemu:BOARD, host:, /dev/ttyACM0, COM5, socket://HOST:PORT.",
        show_default=False,
    ),
]
FirmwareOption = Annotated[
    Path | None, typer.Option("--firmware", help="For qemu: and host:; built if not given.")
]


def validate(
    bundle: BundleArgument,
    port: PortOption,
    firmware: FirmwareOption = None,
    report: Annotated[
        Path | None, typer.Option("--report", help="Folder for report.json, JUnit and HTML.")
    ] = None,
    json: Json = False,
) -> None:
    """Prove over the link that the device computes what the host does, down to the stage that differs."""
    from hil_tests.run import validate as prove
    from innervate.firmware import board_of, build_firmware

    checked = Bundle.load(bundle)
    with tempfile.TemporaryDirectory(prefix="innervate-validate-") as folder:
        board = board_of(port)
        if firmware is None and board is not None:
            note(f"building the firmware for {board}")
            firmware = build_firmware(checked, board, Path(folder) / "firmware").path
        result = prove(bundle, port, firmware, report or Path(folder) / "report", progress=note)
    if report is not None:
        from innervate.report.validation import write_validation_report

        write_validation_report(checked, result, report / "report.html")
    if json:
        emit_json(msgspec.to_builtins(result))
    else:
        emit_table(
            ("stage", "integers compared", "differing", "first difference"),
            ((s.stage, s.values, s.differing, s.first) for s in result.parity),
        )
        for test in result.tests:
            if test.outcome != "passed":
                say(f"{test.outcome.upper()} {test.name}: {test.message}")
        say(f"{'PASSED' if result.passed else 'FAILED'}: {result.counted} on {port}.")
    if not result.passed:
        raise typer.Exit(1)


def make_engine(bundle: Bundle, name: str) -> Engine:
    """The engine of that name for a bundle's model.

    Raises:
        InnervateError: unknown name, or what it needs is not there (a compiler, a TFLite runtime).
    """
    keeps_state = bundle.pipeline.keeps_state
    if name == "native":
        from edge.engines.native import NativeEngine
        from quantize.c99 import build_shared

        return NativeEngine(build_shared(bundle.model, bundle.signal_path), keeps_state)
    from edge.engines.tflite import TfliteEngine

    match name:
        case "tflite":
            return TfliteEngine(bundle.model, "reference", keeps_state=keeps_state)
        case "tflite-optimised":
            return TfliteEngine(bundle.model, "optimised", keeps_state=keeps_state)
        case "tflite-xnnpack":
            return TfliteEngine(bundle.model, "xnnpack", keeps_state=keeps_state)
    raise InnervateError(
        f"Unknown engine '{name}'", "", "Choose native, tflite, tflite-optimised or tflite-xnnpack"
    )


def _facts(options: list[str]) -> dict[str, float | None]:
    facts: dict[str, float | None] = {}
    for option in options:
        name, _, value = option.partition("=")
        try:
            facts[name] = float(value)
        except ValueError:
            raise InnervateError(
                f"'{option}' is no fact", "--context", "Give NAME=NUMBER, such as age_years=63"
            ) from None
    return facts


def run(
    bundle: BundleArgument,
    source: Annotated[
        Path | None,
        typer.Option(
            "--source", help="Counts as .csv or .npy, [samples, channels]; none: the golden counts."
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            help="native (generated C, needs a C compiler), tflite, tflite-optimised, tflite-xnnpack.",
        ),
    ] = "native",
    context: Annotated[
        list[str] | None,
        typer.Option(
            "--context", help="NAME=VALUE, a fact of the person, e.g. age_years=63; may be repeated."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Run a bundle on recorded counts and print a decision a line; --json prints one JSON document a line."""
    from edge.pipeline import Pipeline
    from edge.sources.file import FileSource

    checked = Bundle.load(bundle)
    pipeline = Pipeline(checked, make_engine(checked, engine), context=_facts(context or []))
    fs_hz = checked.signal_path.fs_hz
    golden = [(0, checked.golden.counts)]
    for first, chunk in FileSource(source, checked.signal_path.channels) if source else golden:
        for decision in pipeline.push(chunk, first):
            label = None if decision.label is None else checked.labels[decision.label]
            if json:
                facts = {**msgspec.to_builtins(decision), "label": label, "reasons": decision.reasons}
                print(msgspec.json.encode(facts).decode())
                continue
            seconds = decision.sample_index / fs_hz
            said = f"{seconds:10.3f} s  {label or 'no decision':<24} {decision.confidence:.2f}"
            print(f"{said}  {', '.join(decision.reasons)}".rstrip())
