"""Folds away operators that only move values, where the result stays the same to the bit.

Converters wrap layers in RESHAPE and TRANSPOSE because their source has another layout. Each rule here moves
such an operator one step towards the output or takes it into the constants of a layer; neighbours then merge,
and two that undo each other vanish. Rules are tried until none applies; each brings a layout operator nearer
to the output or removes one, so this ends.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from quantize.importing.editing import Graph, Node
from quantize.importing.layout import (
    RESHAPES,
    Shape,
    axis_map,
    is_layout,
    order_of,
    permutation,
    reshape,
    steps,
    transpose,
)

LARGEST: Final = 1 << 22
"""Values of a tensor that is looked at: more than any input of a device."""
UNARY: Final = frozenset({
    "ABS", "DEQUANTIZE", "ELU", "EXP", "GELU", "HARD_SWISH", "LEAKY_RELU", "LOG", "LOGISTIC", "NEG",
    "QUANTIZE", "RELU", "RELU6", "RELU_N1_TO_1", "RSQRT", "SQRT", "SQUARE", "TANH",
})  # fmt: skip
BINARY: Final = frozenset({"ADD", "DIV", "MAXIMUM", "MINIMUM", "MUL", "SQUARED_DIFFERENCE", "SUB"})
WINDOWED: Final = frozenset({"AVERAGE_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "L2_POOL_2D", "MAX_POOL_2D"})
SWAP: Final = (0, 2, 1, 3)
"""Height and width of NHWC change places."""


def fold(graph: Graph) -> Counter[str]:
    """Fold layout operators of a graph away; returns how many fewer of each there are, negative for more."""
    before = Counter(node.name for node in graph.nodes)
    while _pass(graph):
        graph.drop_unused()
    graph.drop_unused()
    after = Counter(node.name for node in graph.nodes)
    return Counter(
        {name: before[name] - after[name] for name in before | after if before[name] != after[name]}
    )


def _pass(graph: Graph) -> bool:
    """Try every rule once on every layout operator; whether one applied."""
    changed = False
    for node in list(graph.nodes):
        if node not in graph.nodes or not is_layout(graph, node):
            continue
        if graph.tensors[node.inputs[0]].size > LARGEST:
            continue
        if _merge(graph, node):
            changed = True
            continue
        for reader in graph.readers(node.output):
            rule = _RULES.get(reader.name)
            if rule is not None and rule(graph, node, reader):
                changed = True
                break
    return changed


def _merge(graph: Graph, node: Node) -> bool:
    """The fewest operators for a chain of them, or none; the longest chain whose start is at hand."""
    chain = [node]
    while is_layout(graph, before := graph.producer(chain[0].inputs[0])):
        assert before is not None
        chain.insert(0, before)
    target = graph.tensors[node.output]
    for start in range(len(chain)):
        rest = chain[start:]
        root = rest[0].inputs[0]
        source = graph.tensors[root]
        if source.quantization != target.quantization or source.dtype != target.dtype:
            continue
        order = np.arange(source.size)
        for part in rest:
            order = order[order_of(graph, part)]
        found = steps(source.shape, target.shape, order)
        if found is None:
            continue
        shape, axes = found
        names = _names(source.shape, shape, axes, target.shape)
        if not names:
            if _bypass(graph, node, root):
                return True
        elif len(names) < _alone(graph, rest) or (len(names) == 1 and names != [n.name for n in rest]):
            return _replace(graph, node, root, shape, axes)
    return False


def _bypass(graph: Graph, node: Node, root: int) -> bool:
    """Let all that read the outcome of a chain read its start."""
    if node.output not in graph.outputs:
        if not graph.readers(node.output):
            return False
        graph.rename_reads(node.output, root)
        return True
    maker = graph.producer(root)
    if maker is None or root in graph.inputs or root in graph.outputs:
        return False
    graph.nodes.remove(node)
    maker.outputs = [node.output if index == root else index for index in maker.outputs]
    graph.rename_reads(root, node.output)
    return True


def _alone(graph: Graph, chain: list[Node]) -> int:
    """How many operators at the end of a chain vanish when its last one does."""
    shared = [i for i, node in enumerate(chain[:-1]) if not graph.only_reader(node.output)]
    return len(chain) - 1 - max(shared, default=-1)


def _names(source: Shape, shape: Shape, axes: tuple[int, ...], target: Shape) -> list[str]:
    """Operators from `source` over `shape`, whose axes are permuted, to `target`."""
    if not axes:
        return [] if source == target else ["RESHAPE"]
    before = ["RESHAPE"] if source != shape else []
    return [*before, "TRANSPOSE", *(["RESHAPE"] if tuple(shape[axis] for axis in axes) != target else [])]


def _replace(graph: Graph, node: Node, root: int, shape: Shape, axes: tuple[int, ...]) -> bool:
    """Put the operators that lead from a tensor to the output of a layout operator in the place of that."""
    tensor, at, made = graph.tensors[node.output], graph.nodes.index(node), []
    if axes:
        if graph.tensors[root].shape != shape:
            split = graph.add(tensor, f"{tensor.name}.split", shape=shape)
            made.append(reshape(graph, root, split))
            root = split
        moved = tuple(shape[axis] for axis in axes)
        if moved == tensor.shape:
            made.append(transpose(graph, root, node.output, axes))
        else:
            permuted = graph.add(tensor, f"{tensor.name}.permuted", shape=moved)
            made += [transpose(graph, root, permuted, axes), reshape(graph, permuted, node.output)]
    else:
        made = [reshape(graph, root, node.output)]
    graph.nodes[at : at + 1] = made
    return True


def _below(graph: Graph, move: Node, reader: Node, shape: tuple[int, ...]) -> None:
    """Put a layout operator, which was before `reader`, behind it; the reader then gives `shape`."""
    moved = reader.output
    tensor = graph.tensors[moved]
    name = tensor.name
    if moved in graph.outputs:
        inner = graph.add(tensor, f"{name}.unmoved", shape=shape)
    else:
        inner = graph.add(tensor, name, shape=shape)
        graph.tensors[moved] = replace(tensor, name=f"{name}.moved")
    reader.outputs = [inner]
    again = (
        reshape(graph, inner, moved)
        if move.name in RESHAPES
        else transpose(graph, inner, moved, permutation(graph, move))
    )
    graph.insert(again, after=reader)
    if not graph.readers(move.output):
        graph.nodes.remove(move)


def _whole(graph: Graph, tensor: int) -> bool:
    """Whether a tensor has at most one scale, so that moving its axes leaves that as it is."""
    quantization = graph.tensors[tensor].quantization
    return quantization is None or len(quantization.scale) == 1


def _unary(graph: Graph, move: Node, reader: Node) -> bool:
    """What is done to each value is done before it is moved."""
    if not (graph.only_reader(move.output) and _whole(graph, reader.output)):
        return False
    reader.inputs = [move.inputs[0]]
    _below(graph, move, reader, graph.tensors[move.inputs[0]].shape)
    return True


def _binary(graph: Graph, move: Node, reader: Node) -> bool:
    """Two operands that were moved alike, or one of them constant, are joined before they are moved."""
    source = graph.tensors[move.inputs[0]]
    target = graph.tensors[move.output]
    if graph.tensors[reader.output].shape != target.shape or not _whole(graph, reader.output):
        return False
    order = order_of(graph, move)
    inputs: list[int | NDArray[np.generic]] = []
    for index in reader.inputs:
        operand = graph.tensors[index]
        maker = graph.producer(index)
        if operand.data is not None and _whole(graph, index):
            inputs.append(_unmoved(operand.data, target.shape, source.shape, order))
        elif (
            maker is not None
            and is_layout(graph, maker)
            and graph.only_reader(index)
            and graph.tensors[maker.inputs[0]].shape == source.shape
            and np.array_equal(order_of(graph, maker), order)
        ):
            inputs.append(maker.inputs[0])
        else:
            return False
    reader.inputs = [
        new
        if isinstance(new, int)
        else graph.constant(graph.tensors[old].name, new, graph.tensors[old].quantization)
        for new, old in zip(inputs, reader.inputs, strict=True)
    ]
    _below(graph, move, reader, source.shape)
    return True


def _unmoved(
    values: NDArray[np.generic], target: tuple[int, ...], source: tuple[int, ...], order: NDArray[np.int64]
) -> NDArray[np.generic]:
    """A constant as it has to be before a move, as small as broadcasting allows."""
    if values.size == 1:
        return values
    whole = np.empty(len(order), values.dtype)
    whole[order] = np.broadcast_to(values, target).reshape(-1)
    constant = whole.reshape(source)
    for axis in range(len(source)):
        first = constant.take([0], axis)
        if np.array_equal(np.broadcast_to(first, constant.shape), constant):
            constant = first
    return constant


def _softmax(graph: Graph, move: Node, reader: Node) -> bool:
    """The last axis stays the last."""
    source, target = graph.tensors[move.inputs[0]].shape, graph.tensors[move.output].shape
    mapped = axis_map(graph, move)
    if mapped is None:
        # A RESHAPE that only splits or joins the axes before the last one.
        if move.name == "TRANSPOSE" or source[-1] != target[-1]:
            return False
    elif mapped.get(len(target) - 1) != len(source) - 1:
        return False
    return len(source) <= 4 and _unary(graph, move, reader)


def _pad(graph: Graph, move: Node, reader: Node) -> bool:
    """Padding is put to the axes as they are before the move."""
    source, target = graph.tensors[move.inputs[0]].shape, graph.tensors[move.output].shape
    amounts, mapped = graph.tensors[reader.inputs[1]].data, axis_map(graph, move)
    if amounts is None or mapped is None or not graph.only_reader(move.output):
        return False
    before = np.zeros((len(source), 2), np.int32)
    for axis in range(len(target)):
        if axis in mapped:
            before[mapped[axis]] = amounts[axis]
        elif amounts[axis].any():
            return False
    shape = tuple(int(extent + pads.sum()) for extent, pads in zip(source, before, strict=True))
    reader.inputs = [
        move.inputs[0], graph.constant(graph.tensors[reader.inputs[1]].name, before), *reader.inputs[2:]
    ]  # fmt: skip
    _below(graph, move, reader, shape)
    return True


def _concatenation(graph: Graph, move: Node, reader: Node) -> bool:
    """Operands that were transposed alike are joined along the axis that it was before."""
    if move.name != "TRANSPOSE":
        return False
    axes, sources = permutation(graph, move), []
    for index in reader.inputs:
        maker = graph.producer(index)
        if maker is None or maker.name != "TRANSPOSE" or not is_layout(graph, maker):
            return False
        if permutation(graph, maker) != axes or not graph.only_reader(index):
            return False
        sources.append(maker.inputs[0])
    axis = axes[reader.options.axis]
    shape = list(graph.tensors[sources[0]].shape)
    shape[axis] = sum(graph.tensors[index].shape[axis] for index in sources)
    reader.inputs, reader.options.axis = sources, axis
    _below(graph, move, reader, tuple(shape))
    return True


def _windowed(graph: Graph, move: Node, reader: Node) -> bool:
    """Height and width that changed places: the window over them does so instead."""
    source, target = graph.tensors[move.inputs[0]].shape, graph.tensors[move.output].shape
    if len(source) != 4 or len(target) != 4 or not graph.only_reader(move.output):
        return False
    swapped = tuple(source[axis] for axis in SWAP)
    order = np.arange(graph.tensors[move.output].size).reshape(source).transpose(SWAP).reshape(-1)
    if swapped != target or not np.array_equal(order_of(graph, move), order):
        return False
    inputs = [move.inputs[0], *reader.inputs[1:]]
    if len(inputs) > 1:
        weights = graph.tensors[inputs[1]]
        if weights.data is None:
            return False
        turned = np.ascontiguousarray(weights.data.transpose(SWAP))
        inputs[1] = graph.constant(weights.name, turned, weights.quantization)
    reader.inputs, options = inputs, reader.options
    options.strideH, options.strideW = options.strideW, options.strideH
    if hasattr(options, "dilationHFactor"):
        options.dilationHFactor, options.dilationWFactor = options.dilationWFactor, options.dilationHFactor
    else:
        options.filterHeight, options.filterWidth = options.filterWidth, options.filterHeight
    height_width = graph.tensors[reader.output].shape
    turn = transpose(graph, move.inputs[0], move.output, SWAP)
    graph.nodes[graph.nodes.index(move)] = turn
    _below(graph, turn, reader, tuple(height_width[axis] for axis in SWAP))
    return True


def _dense(graph: Graph, move: Node, reader: Node) -> bool:
    """The columns of the weights move instead of the values."""
    weights, source = graph.tensors[reader.inputs[1]], graph.tensors[move.inputs[0]]
    if reader.inputs[0] != move.output or weights.data is None:
        return False
    depth = weights.shape[1]
    target = graph.tensors[move.output].shape
    keep = reader.options.keepNumDims and source.shape[:-1] == target[:-1]
    result = graph.tensors[reader.output].shape
    if reader.options.keepNumDims and not keep and len(result) != 2:
        return False
    rows = order_of(graph, move).reshape(-1, depth) - np.arange(source.size)[::depth, None]
    if not (rows == rows[0]).all() or rows.min() < 0 or rows.max() >= depth:
        return False
    if not np.array_equal(rows[0], np.arange(depth)):
        columns = np.empty_like(weights.data)
        columns[:, rows[0]] = weights.data
        reader.inputs[1] = graph.constant(weights.name, columns, weights.quantization)
    reader.inputs[0], reader.options.keepNumDims = move.inputs[0], keep
    return True


def _mean(graph: Graph, move: Node, reader: Node) -> bool:
    """The mean is taken over the axes as they are before the move."""
    axes, mapped = graph.tensors[reader.inputs[1]].data, axis_map(graph, move)
    if axes is None or mapped is None:
        return False
    source, target = graph.tensors[move.inputs[0]].shape, graph.tensors[move.output].shape
    over = {int(axis) % len(target) for axis in axes.reshape(-1)}
    kept = [mapped[axis] for axis in sorted(mapped) if axis not in over]
    before = {mapped[axis] for axis in mapped if axis in over}
    if not before or kept != sorted(kept):
        return False
    keep = bool(reader.options.keepDims)
    before = _with_ones(source, before, graph.tensors[reader.output].shape, keep)
    if _special_mean(source, before, keep) != _special_mean(target, over, keep):
        return False  # another kernel, which rounds otherwise
    name = graph.tensors[reader.inputs[1]].name
    reader.inputs = [move.inputs[0], graph.constant(name, np.array(sorted(before), np.int32))]
    shape = tuple(1 if axis in before else extent for axis, extent in enumerate(source))
    if not keep:
        shape = tuple(extent for axis, extent in enumerate(source) if axis not in before)
    if shape != graph.tensors[reader.output].shape:
        inner = graph.add(
            graph.tensors[reader.output], f"{graph.tensors[reader.output].name}.mean", shape=shape
        )
        graph.insert(reshape(graph, inner, reader.output), after=reader)
        reader.outputs = [inner]
    return True


def _with_ones(source: tuple[int, ...], over: set[int], target: tuple[int, ...], keep: bool) -> set[int]:
    """Reduce axes of 1 as well where the result then has the wanted shape at once."""
    ones = [axis for axis, extent in enumerate(source) if extent == 1 and axis not in over]
    chosen = set(over)
    if not keep:
        for axis in reversed(ones):
            if len(source) - len(chosen) > len(target):
                chosen.add(axis)
    return chosen


def _special_mean(shape: tuple[int, ...], axes: set[int], keep: bool) -> bool:
    """Whether TFLite has a kernel of its own for this mean: over height and width of NHWC."""
    return len(shape) == 4 and axes == {1, 2} and keep


def _matmul(graph: Graph, move: Node, reader: Node) -> bool:
    """A matrix that is transposed for a product is read transposed; batches may have any shape."""
    if move.name != "TRANSPOSE":
        return _matmul_batches(graph, move, reader)
    axes = permutation(graph, move)
    rank = len(axes)
    if axes != (*range(rank - 2), rank - 1, rank - 2):
        return False
    for position, flag in enumerate(("adjX", "adjY")):
        if reader.inputs[position] == move.output:
            reader.inputs[position] = move.inputs[0]
            setattr(reader.options, flag, not getattr(reader.options, flag))
    return True


def _matmul_batches(graph: Graph, move: Node, reader: Node) -> bool:
    """Two operands whose batches were reshaped alike are multiplied before that."""
    makers = [graph.producer(index) for index in reader.inputs]
    sources, batches = [], set()
    for maker, index in zip(makers, reader.inputs, strict=True):
        if maker is None or maker.name not in RESHAPES or not graph.only_reader(index):
            return False
        source, target = graph.tensors[maker.inputs[0]].shape, graph.tensors[index].shape
        if source[-2:] != target[-2:] or not 2 <= len(source) <= 4:
            return False
        sources.append(maker.inputs[0])
        batches.add((source[:-2], target[:-2]))
    if len(batches) != 1:
        return False
    reader.inputs = sources
    ((before, _),) = batches
    _below(graph, move, reader, (*before, *graph.tensors[reader.output].shape[-2:]))
    return True


_RULES: Final[dict[str, Callable[[Graph, Node, Node], bool]]] = {
    **dict.fromkeys(UNARY, _unary),
    **dict.fromkeys(BINARY, _binary),
    **dict.fromkeys(WINDOWED, _windowed),
    "BATCH_MATMUL": _matmul,
    "CONCATENATION": _concatenation,
    "FULLY_CONNECTED": _dense,
    "MEAN": _mean,
    "PAD": _pad,
    "SOFTMAX": _softmax,
}
