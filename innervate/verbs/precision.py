"""Options of `innervate quantize` for how exact a model becomes, and the tables that say how exact it is."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from edge.errors import InnervateError
from innervate.output import emit_table, note

if TYPE_CHECKING:
    from quantize.calibrate import Method
    from quantize.noise import Noise
    from quantize.verify import Verification

SHOWN_LAYERS: Final = 8

Calibration = Annotated[
    str,
    typer.Option(
        "--calibration",
        help="How the scales of activations are chosen: percentile (99.99 % of values are not clipped) or "
        "mse (least squared error).",
    ),
]
Equalize = Annotated[
    bool,
    typer.Option("--equalize/--no-equalize", help="First give the channels of each activation equal ranges."),
]
Int16 = Annotated[
    list[str] | None,
    typer.Option(
        "--int16",
        metavar="LAYER",
        help="Layer whose input and output get 16 bits, or `worst`; may be repeated. Not every target takes "
        "such a file.",
        show_default=False,
    ),
]


def method(name: str) -> "Method":
    """Check the name of a calibration.

    Raises:
        InnervateError: there is none of that name.
    """
    from quantize.calibrate import METHODS

    for known in METHODS:
        if name == known:
            return known
    raise InnervateError(f"No calibration '{name}'", "--calibration", f"Choose {' or '.join(METHODS)}")


def tell_verification(verification: "Verification") -> None:
    """Print what every executor makes of the same windows."""
    emit_table(
        (
            "executor", "version", "accuracy", "LSB at most", "outputs differing", "decisions as reference",
        ),
        (
            (row.engine, row.version, row.accuracy, row.max_lsb, row.differing, row.agreement)
            for row in verification.rows
        ),
    )  # fmt: skip
    for row in verification.rows:
        if row.missing is not None:
            note(f"{row.engine}: {row.missing}")
        elif row.largest_gap is not None:
            note(
                f"{row.engine}: decisions differ only where the reference's two best outputs are "
                f"{row.smallest_gap} to {row.largest_gap} LSB apart"
            )


def tell_noise(noise: "Noise") -> None:
    """Print the layers that quantization costs most, the worst first."""
    worst = noise.ranked[:SHOWN_LAYERS]
    emit_table(
        ("layer", "dB at the logits, it alone", "dB at its output, all before it too"),
        ((one.layer, one.alone_db, one.output_db) for one in worst),
        title=f"Signal to quantization noise: {len(worst)} of {len(noise.layers)} layers, the worst first",
    )
