"""What operators that only move values demand of their tensors; see `tflite_rules`.

`taken` says of those that take boxes out of their input where each output begins, and in which steps.
"""

from dataclasses import dataclass

import numpy as np

from quantize.tflite_checker import Checker
from quantize.tflite_model import AxisOptions, ConcatOptions, Model, Operator, StridedSliceOptions, Tensor

_MAX_INPUTS = 64
MAX_RANK = 4  # of what is moved about
Numbers = tuple[int, ...]


@dataclass(frozen=True)
class Box:
    """What is taken along each axis of an input: where it begins, in which steps, how many."""

    begin: Numbers
    step: Numbers
    size: Numbers


def _numbers(tensor: Tensor) -> list[int]:
    assert tensor.data is not None
    return [int(n) for n in tensor.data.reshape(-1)]


def joined_axis(model: Model, operator: Operator) -> int:
    """Return the axis of a CONCATENATION or PACK, in its output, counted from the front."""
    options = operator.options
    assert isinstance(options, ConcatOptions | AxisOptions)
    return options.axis % len(model.tensors[operator.outputs[0]].shape)


def concatenation(c: Checker) -> None:
    """Check CONCATENATION."""
    c.arity(1, _MAX_INPUTS)
    options, shape = c.operator.options, list(c.output.shape)
    assert isinstance(options, ConcatOptions)
    c.require(options.activation == "NONE", f"fused activation {options.activation}, which int8 cannot have")
    axis = c.axis(options.axis, len(shape))
    parts = _parts(c)
    for part in parts:
        fits = len(part.shape) == len(shape) and all(
            part.shape[i] == shape[i] for i in range(len(shape)) if i != axis
        )
        c.require(fits, f"input '{part.label}' of shape {list(part.shape)} does not fit {shape}")
    shape[axis] = sum(part.shape[axis] for part in parts)
    c.shape(tuple(shape))


def pack(c: Checker) -> None:
    """Check PACK."""
    c.arity(1, _MAX_INPUTS)
    options = c.operator.options
    assert isinstance(options, AxisOptions)
    parts = _parts(c)
    shape = parts[0].shape
    c.require(all(part.shape == shape for part in parts), "the inputs' shapes differ")
    axis = c.axis(options.axis, len(shape) + 1)
    c.shape((*shape[:axis], len(parts), *shape[axis:]))


def _parts(c: Checker) -> list[Tensor]:
    c.require(-1 not in c.operator.inputs, "an input is left out")
    parts = [c.operand(c.input(i)) for i in range(len(c.operator.inputs))]
    for position in range(len(parts)):
        c.same_quantization(position)
    c.require(any(part.data is None for part in parts), "all inputs are constants")
    return parts


def reshape(c: Checker) -> None:
    """Check RESHAPE, EXPAND_DIMS or SQUEEZE: the values stay as they are."""
    c.arity(1, 2)
    source = c.activation(c.input(0))
    c.require(
        source.size == c.output.size, f"{source.size} values do not make a shape of {list(c.output.shape)}"
    )


def transpose(c: Checker) -> None:
    """Check TRANSPOSE."""
    c.arity(2, 2)
    source = c.activation(c.input(0))
    order = _numbers(c.constant_int32(1, "order of axes"))
    rank = len(source.shape)
    c.require(sorted(order) == list(range(rank)), f"{order} is no order of {rank} axes")
    moved = sum(n > 1 for n in source.shape)
    c.require(moved <= MAX_RANK, f"{moved} dimensions are transposed; at most {MAX_RANK} are supported")
    c.shape(tuple(source.shape[i] for i in order))
    c.same_quantization()


def pad(c: Checker) -> None:
    """Check PAD or PADV2."""
    valued = c.operator.name == "PADV2"
    c.arity(2 + valued, 2 + valued)
    source = c.activation(c.input(0))
    paddings = c.constant_int32(1, "paddings")
    assert paddings.data is not None
    rank = len(source.shape)
    c.require(rank <= MAX_RANK, f"{rank} dimensions are padded; at most {MAX_RANK} are supported")
    c.require(paddings.shape == (rank, 2), f"paddings of shape {list(paddings.shape)} for {rank} dimensions")
    amounts = np.asarray(paddings.data, dtype=np.int64)
    c.require(bool((amounts >= 0).all()), "a padding is negative")
    c.shape(tuple(extent + int(a.sum()) for extent, a in zip(source.shape, amounts, strict=True)))
    if valued:
        value = c.operand(c.input(2))
        c.require(value.data is not None and value.size == 1, "what is filled in is not one constant")
        c.same_quantization(2)


def strided_slice(c: Checker) -> None:
    """Check STRIDED_SLICE with strides of 1 and more."""
    c.arity(4, 4)
    rank = len(c.activation(c.input(0)).shape)
    c.require(1 <= rank <= MAX_RANK, f"{rank} dimensions are sliced; 1 to {MAX_RANK} are supported")
    for position, what in ((1, "begins"), (2, "ends"), (3, "strides")):
        tensor = c.constant_int32(position, what)
        c.require(tensor.shape == (rank,), f"the {what} '{tensor.label}' are not one an axis")
    options = c.operator.options
    assert isinstance(options, StridedSliceOptions)
    c.require(
        not (options.ellipsis_mask or options.new_axis_mask),
        "an ellipsis or a new axis, which is not supported",
        "Slice every axis, and use RESHAPE",
    )
    c.require(min(_numbers(c.input(3))) >= 1, "a stride below 1, which is not supported")
    shrunk = [a for a in range(rank) if options.shrink_axis_mask >> a & 1]
    _check_boxes(c, shrunk)


def slice_(c: Checker) -> None:
    """Check SLICE."""
    c.arity(3, 3)
    rank = len(c.activation(c.input(0)).shape)
    c.require(1 <= rank <= MAX_RANK, f"{rank} dimensions are sliced; 1 to {MAX_RANK} are supported")
    for position, what in ((1, "begins"), (2, "sizes")):
        tensor = c.constant_int32(position, what)
        c.require(tensor.size == rank, f"the {what} '{tensor.label}' are not one an axis")
    _check_boxes(c)


def split(c: Checker) -> None:
    """Check SPLIT: so many equal parts."""
    count = len(c.operator.outputs)
    c.require(1 <= count <= _MAX_INPUTS, f"{count} outputs, but 1 to {_MAX_INPUTS} are expected")
    c.arity(2, 2, count)
    rank = len(c.activation(c.input(1)).shape)
    c.require(1 <= rank <= MAX_RANK, f"{rank} dimensions are split; 1 to {MAX_RANK} are supported")
    axis = c.constant_int32(0, "axis")
    c.require(axis.size == 1, "there are several axes")
    extent = c.input(1).shape[c.axis(_numbers(axis)[0], rank)]
    c.require(extent % count == 0, f"an extent of {extent} does not split into {count} equal parts")
    _check_boxes(c)


def unpack(c: Checker) -> None:
    """Check UNPACK."""
    count = len(c.operator.outputs)
    c.require(1 <= count <= _MAX_INPUTS, f"{count} outputs, but 1 to {_MAX_INPUTS} are expected")
    c.arity(1, 1, count)
    options = c.operator.options
    assert isinstance(options, AxisOptions)
    shape = c.activation(c.input(0)).shape
    c.require(1 <= len(shape) <= MAX_RANK, f"{len(shape)} dimensions are unpacked; 1 to {MAX_RANK} are")
    axis = c.axis(options.axis, len(shape))
    c.require(shape[axis] == count, f"an extent of {shape[axis]} does not make {count} outputs")
    _check_boxes(c, [axis])


def _check_boxes(c: Checker, shrunk: list[int] | None = None) -> None:
    """Check that boxes lie within the input and make the outputs; `shrunk` axes are left out of these."""
    source = c.model.tensors[box_source(c.operator)]
    for number, box in enumerate(taken(c.model, c.operator)):
        ends = [b + (n - 1) * s + 1 for b, s, n in zip(box.begin, box.step, box.size, strict=True)]
        inside = all(b >= 0 and e <= n for b, e, n in zip(box.begin, ends, source.shape, strict=True))
        c.require(inside and min(box.size) >= 1, "the slice is empty or outside its input")
        c.shape(tuple(n for axis, n in enumerate(box.size) if axis not in (shrunk or [])), number)
        c.activation(c.outputs[number])
        c.same_quantization(c.operator.inputs.index(source.index), number)


def box_source(operator: Operator) -> int:
    """Return the index of the tensor that boxes are taken from."""
    return operator.inputs[1 if operator.name == "SPLIT" else 0]


def taken(model: Model, operator: Operator) -> list[Box]:
    """Return the box of each output; sizes below 1 where it takes nothing."""
    shape = model.tensors[box_source(operator)].shape
    inputs = [model.tensors[i] for i in operator.inputs]
    match operator.name:
        case "SLICE":
            begin, size = (_numbers(t) for t in inputs[1:])
            whole = [n - b if s == -1 else s for n, b, s in zip(shape, begin, size, strict=True)]
            return [Box(tuple(begin), (1,) * len(shape), tuple(whole))]
        case "SPLIT":
            return _cut(shape, _numbers(inputs[0])[0] % len(shape), len(operator.outputs))
        case "UNPACK":
            assert isinstance(operator.options, AxisOptions)
            return _cut(shape, operator.options.axis % len(shape), len(operator.outputs))
        case _:
            assert isinstance(operator.options, StridedSliceOptions)
            return [_strided(shape, inputs[1:4], operator.options)]


def _cut(shape: Numbers, axis: int, count: int) -> list[Box]:
    """Return so many equal parts along an axis."""
    size = tuple(n // count if i == axis else n for i, n in enumerate(shape))
    starts = [tuple(k * size[axis] if i == axis else 0 for i in range(len(shape))) for k in range(count)]
    return [Box(begin, (1,) * len(shape), size) for begin in starts]


def _strided(shape: Numbers, parts: list[Tensor], options: StridedSliceOptions) -> Box:
    begins, sizes = [], []
    steps = _numbers(parts[2])
    for axis, (extent, first, last) in enumerate(
        zip(shape, _numbers(parts[0]), _numbers(parts[1]), strict=True)
    ):
        bit = 1 << axis
        first, last = (at + extent if at < 0 else at for at in (first, last))
        first = 0 if options.begin_mask & bit and not options.shrink_axis_mask & bit else first
        last = extent if options.end_mask & bit else last
        if options.shrink_axis_mask & bit:
            last = first + 1
        else:
            first, last = (min(max(at, 0), extent) for at in (first, last))
        begins.append(first)
        sizes.append(-(-(last - first) // steps[axis]))
    return Box(tuple(begins), tuple(steps), tuple(sizes))
