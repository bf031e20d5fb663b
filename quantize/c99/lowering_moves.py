"""Operators that only move values to steps."""

from math import prod

import numpy as np

from quantize.c99.context import Context
from quantize.c99.program import Step
from quantize.tflite_move_rules import concat_axis


def lower_concatenation(c: Context) -> Step:
    """Return a CONCATENATION as a step."""
    axis = concat_axis(c.model, c.operator)
    return Step(
        c.operator,
        "concat",
        {
            "outer": prod(c.output.shape[:axis]),
            "parts": len(c.inputs),
            "sizes": np.array([prod(part.shape[axis:]) for part in c.inputs], np.int32),
        },
        tuple(part.index for part in c.inputs),
        c.output.index,
        lists_inputs=True,
    )
