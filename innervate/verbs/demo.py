"""`innervate demo`: the whole chain, ending with a report."""

from pathlib import Path
from typing import Annotated

import typer

from innervate.output import Json, emit_json, emit_table, note, progress, say
from innervate.verbs.training import DataOption, FastOption, SeedOption, pick_dataset


def demo(
    task: Annotated[
        str, typer.Option("--task", help="A task's name (`innervate tasks`) or a .toml file.")
    ] = "emg_gestures",
    data: DataOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for all files; by default out/demo-DATASET.")
    ] = None,
    port: Annotated[
        str | None,
        typer.Option(
            "--port", help="qemu:BOARD or host:; by default the emulated board if its tools are there."
        ),
    ] = None,
    seed: SeedOption = 0,
    fast: FastOption = False,
    json: Json = False,
) -> None:
    """Run the whole chain: recordings, training, int8 bundle, firmware, validation on a device, HTML report.

    Without --data it simulates surface EMG of 8 people. Exit status 1: the device differed from the host.
    """
    dataset = pick_dataset(data)
    from innervate.demo import default_device, run_demo
    from innervate.report.validation import measured_at

    if port is None:
        port, reason = default_device()
        if reason:
            note(reason)
    folder = out or Path("out") / f"demo-{dataset}"
    with progress() as report:
        result = run_demo(
            task, dataset, data, folder, device=port, seed=seed, fast=fast, progress=report, say=note
        )
    metrics, parity = result.quantized.metrics, result.validation.parity
    measured = measured_at(port).value
    if json:
        emit_json(
            {
                "passed": result.passed,
                "report": result.report.resolve(),
                "bundle": result.quantized.bundle_path,
                "accuracy": {
                    "float": metrics.trained.accuracy.value,
                    "int8": metrics.int8.accuracy.value,
                    "device": result.device_accuracy,
                    "linear": result.run.metrics.floor.accuracy.value,
                },
                "differing": {stage.stage: stage.differing for stage in parity},
                "decisions": result.replayed.decisions,
                "differing_decisions": result.replayed.differing_decisions,
                "seconds": result.seconds,
            }
        )
    else:
        device = result.device_accuracy
        rows = [
            (
                "accuracy, linear discriminant",
                f"{100 * result.run.metrics.floor.accuracy.value:.1f} %",
                "host",
            ),
            ("accuracy, float network", f"{100 * metrics.trained.accuracy.value:.1f} %", "host"),
            ("accuracy, int8", f"{100 * metrics.int8.accuracy.value:.1f} %", "host"),
            (
                "accuracy, int8, of the windows streamed",
                "-" if device is None else f"{100 * device:.1f} %",
                measured,
            ),
            *(
                (f"differing integers, {s.stage}", f"{s.differing:,} of {s.values:,}", measured)
                for s in parity
            ),
            (
                "differing decisions, streamed",
                f"{result.replayed.differing_decisions:,} of {result.replayed.decisions:,}",
                measured,
            ),
            (
                "flash, RAM",
                f"{result.firmware.flash:,} and {result.firmware.ram:,} bytes",
                f"built for {result.firmware.board}",
            ),
        ]
        emit_table(("what", "figure", "where"), rows)
        say(
            f"{'PASSED' if result.passed else 'FAILED'} in {result.seconds:.0f} s. "
            f"Report: {result.report.resolve()}"
        )
    if not result.passed:
        raise typer.Exit(1)
