"""`innervate bench ...`: what things cost, beside what others make of the same."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.errors import InnervateError
from innervate.output import Json, emit_json, emit_table, note, progress

if TYPE_CHECKING:
    from innervate.bench_compile import Row

app = typer.Typer(no_args_is_help=True, help="Measure what things cost, beside others in the same run.")


@app.command()
def filters(
    peer: Annotated[
        bool,
        typer.Option(
            "--peer/--no-peer", help="Beside CMSIS-DSP, whose sources are downloaded the first time."
        ),
    ] = True,
    json: Json = False,
) -> None:
    """Filter cascade: instructions on an emulated Cortex-M4, time on this host."""
    from innervate.bench_filters import BOARD, device_rows, host_rows
    from innervate.cmsis_sources import VERSION, cmsis_sources

    sources = cmsis_sources() if peer else None
    note(f"emulating {BOARD}")
    device = device_rows(sources)
    note("timing this host")
    host = host_rows()
    if json:
        emulated = {"board": BOARD, "peer": f"CMSIS-DSP {VERSION}" if peer else None}
        emit_json(
            {
                "emulated": {**emulated, "rows": [asdict(row) | {"ratio": row.ratio} for row in device]},
                "host": [
                    asdict(row) | {"runner_ratio": row.runner_ratio, "core_ratio": row.core_ratio}
                    for row in host
                ],
            }
        )
        return
    emit_table(
        (
            "samples a call",
            "channels",
            "sections",
            "b_shift",
            "core",
            "core in C",
            "q31",
            "32x64",
            "core / q31",
        ),
        (
            (
                *(row.samples, row.channels, row.sections, row.b_shift, row.instructions, row.portable),
                *(row.peer_q31, row.peer_32x64, row.ratio),
            )
            for row in device
        ),
        f"Instructions per sample and section, emulated Cortex-M4 ({BOARD}), gcc -O2; "
        f"q31 and 32x64: CMSIS-DSP {VERSION}",
    )
    emit_table(
        (
            "samples a call",
            "channels",
            "PathRunner us",
            "C us",
            "scipy us",
            "PathRunner / scipy",
            "C / scipy",
        ),
        (
            (
                *(row.samples, row.channels, row.runner_us, row.core_us, row.scipy_us),
                *(row.runner_ratio, row.core_ratio),
            )
            for row in host
        ),
        "Time of a call on this host: band-pass of order 4 and notch, five sections",
    )


@app.command()
def quantization(
    data: Annotated[
        list[str],
        typer.Option("--data", help="NAME=FOLDER of a data set, or simulated; may be repeated."),
    ],
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="A network; may be repeated. All of them by default.", show_default=False
        ),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Trainings of each.")] = 3,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for runs and results; a later call goes on from it.")
    ] = Path("quantization"),
    fast: Annotated[bool, typer.Option("--fast", help="Few epochs, to see that all works.")] = False,
    json: Json = False,
) -> None:
    """What int8 costs: points of accuracy lost from float, by network and data set, over seeds."""
    from msgspec import to_builtins

    from innervate.bench_quantization import losses, trials
    from train import models

    folders: dict[str, Path | None] = {}
    for item in data:
        name, _, folder = item.partition("=")
        if not folder and name != "simulated":
            raise InnervateError(f"'{item}' names no folder", "--data", "Write NAME=FOLDER")
        folders[name] = Path(folder) if folder else None
    with progress() as report:
        done = list(trials(model or models.names(), folders, seeds, out, fast, report))
    single, whole = losses(done, lambda t: (t.model, t.dataset)), losses(done, lambda t: t.model)
    if json:
        emit_json(
            {
                "trials": [to_builtins(trial) for trial in done],
                "models": {
                    str(name): {mode: asdict(loss) for mode, loss in by.items()} for name, by in whole.items()
                },
            }
        )
        return
    columns = ("network", "data set", "float %", "ptq loses", "qat loses", "file, bytes")
    rows: list[tuple[object, ...]] = []
    for name in dict.fromkeys(trial.model for trial in done):
        mine = [trial for trial in done if trial.model == name]
        for dataset in folders:
            here = [trial for trial in mine if trial.dataset == dataset]
            by = single[name, dataset]
            accuracy = 100 * sum(trial.trained for trial in here) / len(here)
            rows.append((name, dataset, accuracy, str(by["ptq"]), str(by["qat"]), here[0].bytes["qat"]))
        rows.append((name, "all", None, str(whole[name]["ptq"]), str(whole[name]["qat"]), None))
    emit_table(
        columns,
        rows,
        f"Points of accuracy lost from float to int8, {seeds} seeds, 95 % intervals; host, {done[0].engine}",
    )


@app.command(name="compile")
def compiled(
    files: Annotated[list[Path], typer.Argument(help="Bundles (.nrv) or .tflite files.", show_default=False)],
    target: Annotated[
        str,
        typer.Option("--target", help="Processor: generic, cortex-m4, cortex-m7, cortex-m33, cortex-m55."),
    ] = "cortex-m4",
    optimize: Annotated[
        str, typer.Option("--optimize", help="For speed, balanced or size, as innervate compile does.")
    ] = "speed",
    json: Json = False,
) -> None:
    """Compiled models: instructions and bytes on an emulated board, beside TensorFlow Lite Micro's."""
    from innervate.bench_compile import CONDITIONS, PEER, rows
    from quantize.c99.profile import board_of

    made, board = rows(files, target, optimize), board_of(target)
    sizes = ("instructions", "code_bytes", "arena_bytes", "stack_bytes")
    if json:
        emit_json(
            {
                "measured": "emulated",
                "board": board,
                "target": target,
                "optimize": optimize,
                "peer": PEER,
                "peer_conditions": CONDITIONS,
                "rows": [asdict(row) | {"ratios": {size: row.ratio(size) for size in sizes}} for row in made],
            }
        )
        return
    emit_table(
        ("model", "what", "own", "peer", "ratio"),
        (line for row in made for line in _lines(row)),
        f"A window, {target} ({optimize}) on emulated {board}; peer: {PEER}, stored figures",
    )
    note(f"Peer: {CONDITIONS}.")


def _lines(row: "Row") -> list[tuple[object, ...]]:
    """Lines of the table of `bench compile`, one a figure."""
    own, peer = row.own, row.peer
    sizes = {
        "code_bytes": "code",
        "beyond_weights_bytes": "flash less weights",
        "arena_bytes": "arena",
        "stack_bytes": "stack",
    }
    ratio = row.ratio("instructions")
    lines: list[tuple[object, ...]] = [
        (own.model, "instructions", own.instructions, peer and peer.instructions, ratio)
    ]
    if own.macs:
        each = peer and peer.instructions / peer.macs
        lines.append(("", f"of {own.macs:,} MACs, each", own.instructions / own.macs, each, ratio))
    return lines + [
        ("", f"{what}, bytes", getattr(own, name), getattr(peer, name, None), row.ratio(name))
        for name, what in sizes.items()
    ]


@app.command()
def native(
    files: Annotated[list[Path], typer.Argument(help="Bundles (.nrv) or .tflite files.", show_default=False)],
    json: Json = False,
) -> None:
    """Compiled models on this host: time of a window on one core, beside ai-edge-litert with XNNPACK."""
    from innervate.bench_native import PEER, rows

    made = rows(files)
    if json:
        emit_json(
            {"measured": "host", "peer": PEER, "rows": [asdict(row) | {"ratios": row.ratios} for row in made]}
        )
        return
    emit_table(
        ("model", "run us", "peer", "ratio", "model alone us", "peer", "ratio"),
        (
            (
                *(row.model, row.run_us, row.peer_run_us, row.ratios["run"]),
                *(row.invoke_us, row.peer_invoke_us, row.ratios["invoke"]),
            )
            for row in made
        ),
        f"Least time of a window, one core of this host, in turns; peer: {PEER}",
    )
