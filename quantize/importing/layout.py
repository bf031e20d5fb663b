"""Operators that move values without changing them: RESHAPE, TRANSPOSE and their kin.

What such an operator does is one array: output value i is input value `order[i]`, both counted in C order.
"""

from typing import Any, Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from quantize.importing.editing import Graph, Node

Shape = tuple[int, ...]
RESHAPES: Final = frozenset({"RESHAPE", "EXPAND_DIMS", "SQUEEZE"})
LAYOUT: Final = RESHAPES | {"TRANSPOSE"}


def is_layout(graph: Graph, node: Node | None) -> bool:
    """Whether an operator only moves values, in a way known beforehand."""
    if node is None or node.name not in LAYOUT:
        return False
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    if node.name != "TRANSPOSE":
        return source.size == target.size
    if graph.tensors[node.inputs[1]].data is None:
        return False
    axes = permutation(graph, node)
    orderly = sorted(axes) == list(range(len(source.shape)))
    return orderly and tuple(source.shape[axis] for axis in axes) == target.shape


def order_of(graph: Graph, node: Node) -> NDArray[np.int64]:
    """Return the order of a layout operator, int64 [values]."""
    source = graph.tensors[node.inputs[0]]
    order = np.arange(source.size)
    if node.name == "TRANSPOSE":
        order = order.reshape(source.shape).transpose(permutation(graph, node)).reshape(-1)
    return order


def permutation(graph: Graph, node: Node) -> tuple[int, ...]:
    """Return which input axis becomes each output axis of a TRANSPOSE."""
    values = graph.tensors[node.inputs[1]].data
    assert values is not None
    return tuple(int(axis) for axis in values.reshape(-1))


def steps(source: Shape, target: Shape, order: NDArray[np.int64]) -> tuple[Shape, tuple[int, ...]] | None:
    """Factor an order: the shape whose axes are permuted, and how; an empty permutation where none is needed.

    The shape is `source` itself where that will do. What then differs from `target` is a RESHAPE. None where
    one permutation cannot do it: two with a RESHAPE between that cuts across the axes.
    """
    if np.array_equal(order, np.arange(len(order))):
        return target, ()
    loops = _loops(order)
    if loops is None:
        return None
    extents, strides = loops
    by_stride = sorted(range(len(strides)), key=lambda axis: -strides[axis])
    shape = tuple(extents[axis] for axis in by_stride)
    axes = tuple(by_stride.index(axis) for axis in range(len(extents)))
    groups = _groups(source, shape)
    if groups is not None:
        moved = [axis for group in axes for axis in groups[group]]
        shape, axes = source, _interleaved(source, target, moved)
    return shape, axes


def _groups(source: Shape, joined: Shape) -> list[list[int]] | None:
    """Axes above 1 that make each axis of `joined`, a shape of as many values; None where one is split."""
    groups: list[list[int]] = [[]]
    size = 1
    for axis in (axis for axis, extent in enumerate(source) if extent > 1):
        if size == joined[len(groups) - 1]:
            groups.append([])
            size = 1
        groups[-1].append(axis)
        size *= source[axis]
        if joined[len(groups) - 1] % size:
            return None
    return groups


def _interleaved(source: Shape, target: Shape, moved: list[int]) -> tuple[int, ...]:
    """Place axes of 1 where `target` has them if that gives its shape, else before the others."""
    ones = [axis for axis, extent in enumerate(source) if extent == 1]
    if len(source) == len(target) and [e for e in target if e > 1] == [source[axis] for axis in moved]:
        real, empty = iter(moved), iter(ones)
        return tuple(next(real if extent > 1 else empty) for extent in target)
    return (*ones, *moved)


def _loops(order: NDArray[np.int64]) -> tuple[list[int], list[int]] | None:
    """Extents and strides, outermost first, of the nested loops that give an order; None where none do."""
    extents: list[int] = []
    strides: list[int] = []
    while len(order) > 1:
        stride = int(order[1] - order[0])
        breaks = np.flatnonzero(np.diff(order) != stride)
        extent = int(breaks[0]) + 1 if len(breaks) else len(order)
        # The first run may go on by chance into what is another loop's.
        while len(order) % extent or not _repeats(order, extent, stride):
            extent -= 1
        if extent == 1:
            return None
        extents.insert(0, extent)
        strides.insert(0, stride)
        order = order[::extent]
    return extents, strides


def _repeats(order: NDArray[np.int64], extent: int, stride: int) -> bool:
    """Whether all of an order is runs of one extent and stride."""
    return bool((order.reshape(-1, extent) == order[::extent, None] + np.arange(extent) * stride).all())


def axis_map(graph: Graph, node: Node) -> dict[int, int] | None:
    """Return for each output axis above 1 the input axis it is; None where a RESHAPE splits or joins axes."""
    source = graph.tensors[node.inputs[0]].shape
    target = graph.tensors[node.output].shape
    if node.name == "TRANSPOSE":
        return {i: axis for i, axis in enumerate(permutation(graph, node)) if target[i] > 1}
    before = [axis for axis, extent in enumerate(source) if extent > 1]
    after = [axis for axis, extent in enumerate(target) if extent > 1]
    if [source[axis] for axis in before] != [target[axis] for axis in after]:
        return None
    return dict(zip(after, before, strict=True))


def reshape(graph: Graph, source: int, target: int) -> Node:
    """Make a RESHAPE between two tensors."""
    node = Node("RESHAPE", 1, [source], [target])
    shape = graph.tensors[target].shape
    node.inputs.append(graph.constant("shape", np.array(shape, np.int32)))
    options = schema.ReshapeOptionsT()
    options.newShape = list(shape)
    return _with_options(node, "ReshapeOptions", options)


def transpose(graph: Graph, source: int, target: int, axes: tuple[int, ...]) -> Node:
    """Make a TRANSPOSE between two tensors."""
    permuted = graph.constant("permutation", np.array(axes, np.int32))
    node = Node("TRANSPOSE", 2, [source, permuted], [target])
    return _with_options(node, "TransposeOptions", schema.TransposeOptionsT())


def _with_options(node: Node, kind: str, options: Any) -> Node:
    node.table.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    node.table.builtinOptions = options
    return node
