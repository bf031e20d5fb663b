"""What operators on two tensors, element by element, demand of them; see `tflite_rules`."""

import numpy as np

from quantize.tflite_checker import Checker

_MAX_RANK = 4


def _pair(c: Checker) -> None:
    """Two operands whose shapes broadcast to the output's, at least one of them computed."""
    c.arity(2, 2)
    first, second = c.operand(c.input(0)), c.operand(c.input(1))
    c.require(first.data is None or second.data is None, "both operands are constants")
    shapes = f"shapes {list(first.shape)} and {list(second.shape)}"
    for tensor in (first, second):
        c.require(len(tensor.shape) <= _MAX_RANK, f"{shapes} have more than {_MAX_RANK} dimensions")
    try:
        expected = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        c.require(False, f"{shapes} do not fit each other, not even by repeating extents of 1")
    c.shape(expected)
    c.activation(c.output)


def add(c: Checker) -> None:
    """Check ADD or SUB."""
    _pair(c)
    # The reference kernels work with 20 extra bits and stop the process where this is not below 1.
    ratio = 2 * max(c.input(0).scale, c.input(1).scale) / ((1 << 20) * c.output.scale)
    c.require(ratio < 1, "the inputs' scales are too large for the output's")


def mul(c: Checker) -> None:
    """Check MUL; whether its products fit is proved in lowering."""
    _pair(c)


def extremum(c: Checker) -> None:
    """Check MAXIMUM or MINIMUM."""
    _pair(c)
    c.same_quantization(0)
    c.same_quantization(1)
