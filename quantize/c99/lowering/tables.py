"""Operators on one tensor, element by element, to steps: the table of their 256 results."""

from typing import cast

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import tables
from quantize.c99.arithmetic import multiplier_of
from quantize.c99.context import Context
from quantize.c99.program import Step
from quantize.tflite_model import Activation, LeakyOptions


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


def lower_hard_swish(c: Context) -> Step:
    """Return a HARD_SWISH as a step."""
    return _looked_up(c, tables.hard_swish(c.inputs[0], c.output))


def lower_rsqrt(c: Context) -> Step:
    """Return an RSQRT as a step."""
    root = np.sqrt(np.float32(c.inputs[0].scale))
    scale = multiplier_of(1 / float(root * np.float32(c.output.scale)))
    # Of a value of up to 2^20, in steps of 2^-20.
    c.prove(1 << 20, scale.shift - 20)
    return _looked_up(c, tables.rsqrt(c.inputs[0], c.output, scale))


def lower_relu(c: Context) -> Step:
    """Return a RELU, RELU6 or RELU_N1_TO_1 as a step."""
    activation = cast("Activation", c.operator.name)
    scale = multiplier_of(float(np.float32(c.inputs[0].scale) / np.float32(c.output.scale)))
    c.prove(255, scale.shift)
    return _looked_up(c, tables.rescaled(c.inputs[0], c.output, scale, scale, activation))


def lower_leaky_relu(c: Context) -> Step:
    """Return a LEAKY_RELU as a step."""
    assert isinstance(c.operator.options, LeakyOptions)
    source, target = np.float32(c.inputs[0].scale), np.float32(c.output.scale)
    above = multiplier_of(float(source / target))
    below = multiplier_of(float(source * np.float32(c.operator.options.slope) / target))
    c.prove(255, max(above.shift, below.shift))
    return _looked_up(c, tables.rescaled(c.inputs[0], c.output, above, below))


def lower_quantize(c: Context) -> Step | tuple[()]:
    """Return a QUANTIZE from int8 to int8 as a step, or as none where nothing changes."""
    source, target = c.inputs[0], c.output
    if (source.scale, source.zero_point) == (target.scale, target.zero_point):
        return ()
    scale = multiplier_of(source.scale / target.scale)
    c.prove(255, scale.shift)
    return _looked_up(c, tables.rescaled(source, target, scale, scale))
