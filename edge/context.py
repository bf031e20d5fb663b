"""What is known of a person beside the signal (age, sex): the int8 vector that a model takes with a window.

The vector is in deviations from the mean of the training recordings, a 32nd a step: 0 is the mean, and what
stands for anything unknown.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError

INPUT: Final = "context"
"""Name of the model's input tensor."""
SCALE: Final = 1 / 32
"""Deviations a step: int8 reaches from -4 to almost 4 of them."""
FIELDS_MAX: Final = 64


class ContextField(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value of the vector.

    Attributes:
        name: with its unit: `age_years`, `sex_male` (0 or 1).
        mean: over the training recordings, in that unit.
        deviation: likewise, above zero.
    """

    name: str
    mean: float
    deviation: float


def check_fields(fields: Sequence[ContextField]) -> None:
    """Check that the fields can be used together.

    Raises:
        InnervateError: too many, names that are empty or not distinct, or figures that are not finite.
    """
    names = [field.name for field in fields]
    if len(fields) > FIELDS_MAX or not all(names) or len(set(names)) != len(names):
        raise InnervateError(
            f"context fields must be at most {FIELDS_MAX} of different names",
            ", ".join(names),
            "Name each fact once",
        )
    for field in fields:
        finite = math.isfinite(field.mean) and math.isfinite(field.deviation)
        if not finite or field.deviation <= 0:
            raise InnervateError(
                f"mean {field.mean} and deviation {field.deviation}, which must be finite and the deviation "
                "above zero",
                f"context {field.name}",
                "Fit the fields on recordings in which they vary",
            )


def quantize(fields: Sequence[ContextField], values: Mapping[str, float | None]) -> NDArray[np.int8]:
    """Return the vector int8 [F]: round_half_away((value - mean) / deviation * 32), saturated.

    Args:
        fields: in the model's order.
        values: by name, in each field's unit; None or missing where unknown.

    Raises:
        InnervateError: a name that is no field, or a value that is not finite.
    """
    known = {field.name for field in fields}
    if unknown := sorted(values.keys() - known):
        raise InnervateError(
            f"the model takes no context {', '.join(unknown)}",
            "context",
            f"Give {', '.join(field.name for field in fields)}" if fields else "Give none",
        )
    vector = np.zeros(len(fields), np.int8)
    for i, field in enumerate(fields):
        value = values.get(field.name)
        if value is None:
            continue
        if not math.isfinite(value):
            raise InnervateError(
                f"{value} is no value", f"context {field.name}", "Give a number or leave it out"
            )
        steps = (value - field.mean) / field.deviation / SCALE
        rounded = math.copysign(math.floor(min(abs(steps), 128.0) + 0.5), steps)
        vector[i] = np.clip(rounded, -128, 127)
    return vector


def numbers(fields: Sequence[ContextField], facts: Mapping[str, str]) -> dict[str, float | None]:
    """Read a recording's facts, which are texts, as the values of the fields; other facts are left out.

    Raises:
        InnervateError: a fact of a field that is not a finite number.
    """
    values: dict[str, float | None] = {}
    for field in fields:
        text = facts.get(field.name, "")
        try:
            value = float(text) if text else None
        except ValueError:
            value = math.nan
        if value is not None and not math.isfinite(value):
            raise InnervateError(
                f"'{text}' is no number", f"context {field.name}", "Give a number or leave it empty"
            )
        values[field.name] = value
    return values


def vector(
    fields: Sequence[ContextField], given: Mapping[str, float | None] | NDArray[np.int8] | None
) -> NDArray[np.int8]:
    """Return the vector int8 [F] of values by name, or a checked copy of one that is quantized already.

    Raises:
        InnervateError: as `quantize`, or a vector that is not int8 [F].
    """
    if not isinstance(given, np.ndarray):
        return quantize(fields, given or {})
    if given.dtype != np.int8 or given.shape != (len(fields),):
        raise InnervateError(
            f"a context of {given.dtype} {list(given.shape)} where int8 [{len(fields)}] belongs",
            "context",
            "Make it with edge.context.quantize",
        )
    return given.copy()
