"""`innervate bench filters`: what things cost, beside what others make of the same."""

from dataclasses import asdict
from typing import Annotated

import typer

from innervate.output import Json, emit_json, emit_table, note

app = typer.Typer(no_args_is_help=True, help="Measure what things cost, beside others in the same run.")


@app.callback()
def group() -> None:
    """Keeps `filters` a verb of its own while it is the only one."""


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
