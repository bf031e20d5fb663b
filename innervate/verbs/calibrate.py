"""`innervate calibrate`: the device learns how loud its wearer's muscles are."""

import tempfile
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from edge import device_calibration
from edge.bundle import Bundle
from edge.calibration import HEADROOM, Calibration
from edge.errors import InnervateError
from edge.link import Link
from edge.messages import CalibrationPhase
from edge.signal_path import SignalPath
from innervate.output import Json, emit_json, emit_table, note, progress, say
from innervate.verbs.devices import FirmwareOption, PortOption

_PROMPTS = {
    CalibrationPhase.REST: "Relax for {seconds:g} s. Press Enter to begin",
    CalibrationPhase.MVC: "Make every movement, as hard as you can, for {seconds:g} s. Press Enter to begin",
}


def calibrate(
    bundle: Annotated[
        Path, typer.Argument(help="The bundle (.nrv) that the device runs.", show_default=False)
    ],
    port: PortOption,
    rest: Annotated[
        Path | None, typer.Option("--rest", help="Counts of rest (.npy, .csv) in place of the converter's.")
    ] = None,
    mvc: Annotated[
        Path | None, typer.Option("--mvc", help="Counts of the movements, as hard as can be, likewise.")
    ] = None,
    rest_seconds: Annotated[
        float, typer.Option("--rest-seconds", help="Length of the rest, for a device with a converter.")
    ] = 3.0,
    mvc_seconds: Annotated[
        float, typer.Option("--mvc-seconds", help="Length of the movements, likewise.")
    ] = 15.0,
    headroom: Annotated[
        float, typer.Option("--headroom", help="Times the mean of the movements that becomes full scale.")
    ] = HEADROOM,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the calibration to this JSON file.")
    ] = None,
    firmware: FirmwareOption = None,
    json: Json = False,
) -> None:
    """Calibrate a device to its wearer, at rest and at maximum contraction; the device stores the result."""
    from edge.sources.file import FileSource
    from innervate.firmware import board_of, build_firmware

    if (rest is None) != (mvc is None):
        raise InnervateError("one of --rest and --mvc is missing", "calibrate", "Give both or none")
    if not (rest_seconds > 0 and mvc_seconds > 0):
        raise InnervateError(
            f"phases of {rest_seconds:g} and {mvc_seconds:g} s",
            "calibrate",
            "Give more than 0, better 3 and 15",
        )
    checked = Bundle.load(bundle)
    path = checked.signal_path
    counts = None
    if rest is not None and mvc is not None:
        counts = FileSource(rest, path.channels).counts, FileSource(mvc, path.channels).counts
    with tempfile.TemporaryDirectory(prefix="innervate-calibrate-") as folder:
        board = board_of(port)
        if firmware is None and board is not None:
            note(f"building the firmware for {board}")
            firmware = build_firmware(checked, board, Path(folder) / "firmware").path
        with Link.open(port, firmware, checked.hash) as link:
            if counts is not None:
                with progress() as report:
                    found = link.calibrate(
                        path, counts[0], counts[1], headroom, lambda n, of: report("calibrating", n, of)
                    )
            else:
                found = _with_wearer(link, path, (rest_seconds, mvc_seconds), headroom)
    if out is not None:
        found.save(out)
    if json:
        emit_json(msgspec.to_builtins(found))
    else:
        _table(found, path, checked.hash)
        say(f"Stored with the device on {port}.")


def _with_wearer(link: Link, path: SignalPath, lengths: tuple[float, float], headroom: float) -> Calibration:
    """Ask the wearer for each phase of so many seconds, which the device's own converter then samples."""
    for (phase, prompt), seconds in zip(_PROMPTS.items(), lengths, strict=True):
        samples = max(1, round(seconds * path.filtered_hz))
        typer.prompt(prompt.format(seconds=seconds), default="", show_default=False, err=True)
        with progress() as report:
            device_calibration.gather(
                link, path, phase, samples, headroom, lambda n, of: report("calibrating", n, of)
            )
    return device_calibration.found(link, path)


def _table(found: Calibration, path: SignalPath, bundle_hash: str) -> None:
    uv = path.uv_per_count / 2**path.shift
    before, after = path.int8_per_uv, found.applied_to(path, bundle_hash).int8_per_uv
    emit_table(
        ("channel", "rest (µV)", "MVC (µV)", "MVC / rest", "int8/µV trained", "now", "gain"),
        (
            (name, r * uv, m * uv, m / r if r else None, b, a, a / b)
            for name, r, m, b, a in zip(found.channels, found.rest, found.mvc, before, after, strict=True)
        ),
        title="mean |x| of each filtered channel",
    )
