"""Operators on one tensor, element by element, to steps: the table of their 256 results."""

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import tables
from quantize.c99.context import Context
from quantize.c99.program import Step


def _looked_up(c: Context, table: NDArray[np.int8]) -> Step:
    return Step(
        c.operator,
        "lookup",
        {"count": c.output.size, "table": table},
        (c.inputs[0].index,),
        c.output.index,
    )


def lower_squashing(c: Context) -> Step:
    """Return a LOGISTIC or TANH as a step."""
    return _looked_up(c, tables.squashing(c.operator.name, c.inputs[0], c.output))
