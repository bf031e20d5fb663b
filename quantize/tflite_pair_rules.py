"""What operators on two tensors demand of them; see `tflite_rules`."""

from math import log2

import numpy as np

from quantize.tflite_checker import Checker
from quantize.tflite_model import AddOptions, MatmulOptions, Model, Operator

_MAX_RANK = 4
_POWER_TOLERANCE = 1e-3


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
    wide = c.output.dtype == "INT16"
    if wide:
        assert isinstance(c.operator.options, AddOptions)
        scales = (c.input(0).scale, c.input(1).scale, c.output.scale)
        c.require(
            not (c.operator.options.powers_of_two and all(map(_near_power_of_two, scales))),
            "an int16 ADD whose scales are powers of two, which the reference kernels compute otherwise",
            "Write it with pot_scale_int16 false",
        )
        tensors = c.input(0), c.input(1)
        c.require(all(t.data is None for t in tensors), "an int16 ADD of a constant, which is not supported")
    # The reference kernels work with 20 extra bits (15 for int16) and stop where this is not below 1.
    ratio = 2 * max(c.input(0).scale, c.input(1).scale) / ((1 << (15 if wide else 20)) * c.output.scale)
    c.require(ratio < 1, "the inputs' scales are too large for the output's")


def _near_power_of_two(scale: float) -> bool:
    """Whether the reference kernels may take a scale for a power of two: they allow its logarithm 0.001."""
    return abs(log2(scale) - round(log2(scale))) < 2 * _POWER_TOLERANCE


def squared_difference(c: Checker) -> None:
    """Check SQUARED_DIFFERENCE."""
    _pair(c)
    larger = 2 * max(c.input(0).scale, c.input(1).scale)
    # With 7 extra bits each; the reference kernels stop the process where this is not below 1.
    c.require(
        larger**2 / ((1 << 14) * c.output.scale) < 1, "the inputs' scales are too large for the output's"
    )


def mul(c: Checker) -> None:
    """Check MUL; whether its products fit is proved in lowering."""
    _pair(c)


def extremum(c: Checker) -> None:
    """Check MAXIMUM or MINIMUM."""
    _pair(c)
    c.same_quantization(0)
    c.same_quantization(1)


def batch_matmul(c: Checker) -> None:
    """Check BATCH_MATMUL."""
    c.arity(2, 2)
    first, second = c.operand(c.input(0)), c.operand(c.input(1))
    c.require(first.data is None or second.data is None, "both operands are constants")
    for tensor in (first, second):
        rank = len(tensor.shape)
        c.require(2 <= rank <= 5, f"'{tensor.label}' has {rank} dimensions; 2 to 5 are supported")
    rows, columns, depth = matrix_sizes(c.model, c.operator)
    shapes = f"shapes {list(first.shape)} and {list(second.shape)}"
    c.require(depth[0] == depth[1], f"{shapes} cannot be multiplied")
    try:
        batches = np.broadcast_shapes(first.shape[:-2], second.shape[:-2])
    except ValueError:
        c.require(False, f"{shapes} do not fit each other, not even by repeating extents of 1")
    c.shape((*batches, rows, columns))
    c.activation(c.output)


def matrix_sizes(model: Model, operator: Operator) -> tuple[int, int, tuple[int, int]]:
    """Return rows and columns of a BATCH_MATMUL's result, and what it sums over in each operand."""
    options = operator.options
    assert isinstance(options, MatmulOptions)
    shapes = [model.tensors[i].shape[-2:] for i in operator.inputs]
    (rows, first), (second, columns) = (
        shape[::-1] if swapped else shape for shape, swapped in zip(shapes, options.adjoint, strict=True)
    )
    return rows, columns, (first, second)
