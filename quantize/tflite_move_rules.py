"""What operators that only move values demand of their tensors; see `tflite_rules`."""

from quantize.tflite_checker import Checker
from quantize.tflite_model import ConcatOptions, Model, Operator

_MAX_INPUTS = 64


def concat_axis(model: Model, operator: Operator) -> int:
    """Return the axis of a CONCATENATION, counted from the front; out of range where the file's is."""
    options = operator.options
    assert isinstance(options, ConcatOptions)
    rank = len(model.tensors[operator.outputs[0]].shape)
    return options.axis + rank if options.axis < 0 else options.axis


def concatenation(c: Checker) -> None:
    """Check CONCATENATION."""
    c.arity(1, _MAX_INPUTS)
    c.require(-1 not in c.operator.inputs, "an input is left out")
    options = c.operator.options
    assert isinstance(options, ConcatOptions)
    c.require(options.activation == "NONE", f"fused activation {options.activation}, which int8 cannot have")
    parts = [c.operand(c.input(i)) for i in range(len(c.operator.inputs))]
    axis, shape = concat_axis(c.model, c.operator), list(c.output.shape)
    c.require(0 <= axis < len(shape), f"axis {options.axis} of {len(shape)} dimensions")
    for position, part in enumerate(parts):
        fits = len(part.shape) == len(shape) and all(
            part.shape[i] == shape[i] for i in range(len(shape)) if i != axis
        )
        c.require(fits, f"input '{part.label}' of shape {list(part.shape)} does not fit {shape}")
        c.same_quantization(position)
    shape[axis] = sum(part.shape[axis] for part in parts)
    c.shape(tuple(shape))
    c.require(any(part.data is None for part in parts), "all inputs are constants")
