"""Operators that only move values to steps; to none where they move nothing."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from quantize.c99.context import Context
from quantize.c99.program import Step
from quantize.tflite_model import Tensor
from quantize.tflite_move_rules import joined_axis, taken

_RANK = 4
Steps = Step | tuple[Step, ...]


def lower_joined(c: Context) -> Step:
    """Return a CONCATENATION or PACK as a step."""
    axis = joined_axis(c.model, c.operator)
    return Step(
        c.operator,
        "concat",
        {
            "outer": prod(c.output.shape[:axis]),
            "parts": len(c.inputs),
            "sizes": np.array([part.size // prod(c.output.shape[:axis]) for part in c.inputs], np.int32),
        },
        tuple(part.index for part in c.inputs),
        c.output.index,
        lists_inputs=True,
    )


def lower_pad(c: Context) -> Step:
    """Return a PAD or PADV2 as a step."""
    source, paddings = c.inputs[:2]
    assert paddings.data is not None
    missing = _RANK - len(source.shape)
    # In bytes along the last axis; a zero of int16 is two of them.
    sizes = np.array([1, 1, 1, source.item_bytes])
    fill = c.output.zero_point
    if len(c.inputs) > 2:
        value = c.inputs[2].data
        assert value is not None
        fill = int(value.reshape(-1)[0])
    return Step(
        c.operator,
        "pad",
        {
            "input": _scaled((1,) * missing + source.shape, sizes),
            "before": _scaled((0,) * missing + tuple(int(a) for a in paddings.data[:, 0]), sizes),
            "output": _scaled((1,) * missing + c.output.shape, sizes),
            "fill": fill,
        },
        (source.index,),
        c.output.index,
    )


def _scaled(numbers: tuple[int, ...], by: NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(n) for n in by * numbers)


def lower_reshape(c: Context) -> Steps:
    """Return no step: the values stay as they are."""
    return ()


def lower_transpose(c: Context) -> Steps:
    """Return a TRANSPOSE as a step; as none where only extents of 1 change places."""
    source, order = c.inputs
    assert order.data is not None
    strides = _strides(source)
    axes = [(source.shape[i], strides[i]) for i in map(int, order.data.reshape(-1))]
    return _rearranged(c, source, c.output, axes, 0)


def lower_boxes(c: Context) -> Steps:
    """Return a SLICE, STRIDED_SLICE, SPLIT or UNPACK as a step for each output."""
    source = c.source
    strides = _strides(source)
    steps: list[Step] = []
    for index, box in zip(c.operator.outputs, taken(c.model, c.operator), strict=True):
        axes = [(n, stride * step) for n, stride, step in zip(box.size, strides, box.step, strict=True)]
        start = sum(at * stride for at, stride in zip(box.begin, strides, strict=True))
        made = _rearranged(c, source, c.model.tensors[index], axes, start)
        if made == ():
            return ()  # all of it, and so the one output
        assert isinstance(made, Step)
        steps.append(made)
    return tuple(steps)


def _strides(tensor: Tensor) -> list[int]:
    return [prod(tensor.shape[axis + 1 :]) for axis in range(len(tensor.shape))]


def _rearranged(c: Context, source: Tensor, target: Tensor, axes: list[tuple[int, int]], start: int) -> Steps:
    """Return what walks over (extent, step in elements) from `start` and copies runs, in the fewest axes."""
    fewest: list[tuple[int, int]] = []
    for extent, step in axes:
        if extent == 1:
            continue
        if fewest and fewest[-1][1] == extent * step:
            fewest[-1] = (fewest[-1][0] * extent, step)
        else:
            fewest.append((extent, step))
    run = fewest.pop()[0] if fewest and fewest[-1][1] == 1 else 1
    if run == source.size:
        return ()
    size = source.item_bytes
    fewest = [(1, 0)] * (_RANK - len(fewest)) + fewest
    return Step(
        c.operator,
        "rearrange",
        {
            "extent": tuple(extent for extent, _ in fewest),
            "step": tuple(size * step for _, step in fewest),
            "start": size * start,
            "run": size * run,
        },
        (source.index,),
        target.index,
    )
