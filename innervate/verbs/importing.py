"""The part of `innervate quantize` that takes models from elsewhere."""

from pathlib import Path
from typing import Annotated, Final

import typer

from edge.errors import InnervateError
from innervate.output import emit_json, progress, say

SUFFIXES: Final = (".keras", ".h5", ".hdf5", ".tflite")

Like = Annotated[
    Path | None,
    typer.Option(
        "--like",
        help="For a model from elsewhere: run or bundle (.nrv) whose signal path, labels and decision rule "
        "it is for.",
        show_default=False,
    ),
]
Calibrate = Annotated[
    Path | None,
    typer.Option(
        "--calibrate",
        help="For a Keras model or SavedModel: windows to find its int8 scales on: .npy or .npz of the "
        "floats it takes, or a run or bundle whose windows to take; by default those of --like.",
        show_default=False,
    ),
]
Step = Annotated[
    float | None,
    typer.Option(
        "--step",
        help="For a model from elsewhere: what an int8 step of a window was for it in training; "
        "by default 1/128, as for innervate train.",
        show_default=False,
    ),
]


def is_model(place: Path) -> bool:
    """Whether a path is a model to import, rather than a run."""
    return place.suffix in SUFFIXES or (place / "saved_model.pb").exists()


def check_unused(*options: object) -> None:
    """Refuse options for models from elsewhere where there is none.

    Raises:
        InnervateError: one was given.
    """
    if any(option is not None for option in options):
        raise InnervateError(
            "--like, --calibrate and --step are for a model from elsewhere",
            "",
            "Give a .keras, .h5 or .tflite file or a SavedModel folder, or leave them out",
        )


def import_model(
    source: Path, out: Path, like: Path | None, calibrate: Path | None, step: float | None, json: bool
) -> None:
    """Import a model and say what was done."""
    from quantize.importing.model import import_model as convert
    from train.models import INPUT_SCALE

    with progress() as report:
        report("import", 0, 1)
        result = convert(source, out, like, calibrate, INPUT_SCALE if step is None else step)
    if json:
        emit_json(result.to_json())
        return
    for line in result.notes:
        say(f"- {line}")
    if result.agreement is not None:
        say(f"Decides {result.agreement:.1%} of {result.compared} calibration windows as the model itself.")
    if result.metrics is not None:
        figure = result.metrics.accuracy.value
        say(f"{figure:.1%} of {result.metrics.windows:,} test windows right (int8, host).")
    kind = "Bundle" if out.suffix == ".nrv" else "Model"
    say(f"{kind}: {out}, {len(result.tflite):,} bytes of .tflite.")
