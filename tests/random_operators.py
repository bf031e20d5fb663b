"""Random int8 operators, within what the reference kernels define, many side by side in one file."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from tests.random_draw import Draw, Shape, f32, ints, named, reaches
from tests.random_wide import WIDE
from tests.tflite_maker import Maker


def _pair(d: Draw, scales: tuple[float, float], zeros: tuple[int, int]) -> tuple[list[int], Shape]:
    """Two operands, one of them perhaps a constant or repeated, and the shape of their result."""
    shape = d.shape()
    match int(d.rng.integers(5)):
        case 0:
            shapes = [shape, shape]
        case 1:
            shapes = [shape, reaches(shape, d.rng)]
        case 2:
            shapes = [reaches(shape, d.rng), shape]
        case 3:
            first = reaches(shape, d.rng)
            left = len(shape) - len(first)
            second = tuple(
                n if i < left or first[i - left] == 1 or d.rng.random() < 0.5 else 1
                for i, n in enumerate(shape)
            )
            shapes = [first, second]
        case _:
            shapes = [shape, shape[-1:]]
    held = d.integer(0, 2)  # which one is a constant; 2: neither
    operands = [
        d.values(shapes[k], scales[k], zeros[k])
        if held == k
        else d.maker.input(shapes[k], scales[k], zeros[k])
        for k in (0, 1)
    ]
    if held < 2 and d.rng.random() < 0.3:
        operands.reverse()
        shapes.reverse()
    return operands, tuple(int(n) for n in np.broadcast_shapes(*shapes))


def pair(name: str, d: Draw) -> int:
    """ADD, SUB, MUL, MAXIMUM or MINIMUM."""
    a, b = d.scale(), d.scale()
    zeros = d.zero(), d.zero()
    options: dict[str, Any] = {"fusedActivationFunction": d.activation()}
    if name == "MUL":
        out = f32(a * b * 64 * 2.0 ** d.rng.uniform(-3, 3))
    else:
        out = f32((a + b) * 2.0 ** d.rng.uniform(-2, 1))
    zero = d.zero()
    if name in ("MAXIMUM", "MINIMUM"):
        b, out, zeros, zero, options = a, a, (zeros[0], zeros[0]), zeros[0], {}
    operands, shape = _pair(d, (a, b), zeros)
    return d.maker.operator(name, operands, d.maker.tensor(shape, out, zero), **options)


def squashing(name: str, d: Draw) -> int:
    """LOGISTIC or TANH."""
    shape = d.shape(largest=9)
    source = d.maker.input(shape, d.scale(-9, 1), d.zero())
    scale, zero = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}[name]
    return d.maker.operator(name, [source], d.maker.tensor(shape, scale, zero))


def concatenation(d: Draw) -> int:
    shape, count = d.shape(), d.integer(1, 4)
    axis = d.integer(0, len(shape) - 1)
    scale, zero = d.scale(), d.zero()
    parts = []
    for k in range(count):
        part = (*shape[:axis], d.integer(1, 5), *shape[axis + 1 :])
        parts.append((d.maker.input if k == 0 or d.rng.random() < 0.7 else d.values)(part, scale, zero))
    if d.rng.random() < 0.2:
        parts.append(parts[0])
    parts = [parts[int(i)] for i in d.rng.permutation(len(parts))]
    extent = sum(d.maker.graph.tensors[i].shape[axis] for i in parts)
    out = d.maker.tensor((*shape[:axis], extent, *shape[axis + 1 :]), scale, zero)
    axis -= len(shape) if d.rng.random() < 0.5 else 0
    return d.maker.operator("CONCATENATION", parts, out, axis=axis)


def pack(d: Draw) -> int:
    shape, count = d.shape(1, 3), d.integer(1, 4)
    axis = d.integer(0, len(shape))
    scale, zero = d.scale(), d.zero()
    parts = [
        (d.maker.input if k == 0 or d.rng.random() < 0.7 else d.values)(shape, scale, zero)
        for k in range(count)
    ]
    out = d.maker.tensor((*shape[:axis], count, *shape[axis:]), scale, zero)
    axis -= len(shape) + 1 if d.rng.random() < 0.5 else 0
    return d.maker.operator("PACK", parts, out, axis=axis, valuesCount=count)


def unary(name: str, d: Draw) -> int:
    """RELU, RELU6, RELU_N1_TO_1, LEAKY_RELU, HARD_SWISH or QUANTIZE."""
    shape, scale, zero = d.shape(largest=9), d.scale(-9, 1), d.zero()
    out, out_zero = f32(scale * 2.0 ** d.rng.uniform(-3, 3)), d.zero()
    if d.rng.random() < 0.2:
        out = scale
    if d.rng.random() < 0.2:
        out, out_zero = scale, zero
    slopes = [0.0, 1.0, 0.25, f32(d.rng.uniform())]
    options = {"alpha": float(d.rng.choice(slopes))} if name == "LEAKY_RELU" else {}
    source = d.maker.input(shape, scale, zero)
    return d.maker.operator(name, [source], d.maker.tensor(shape, out, out_zero), **options)


def rsqrt(d: Draw) -> int:
    shape, scale = d.shape(largest=9), d.scale(-12, 1)
    out = f32(2.0 ** d.rng.uniform(-7, -3) / scale**0.5)
    source = d.maker.input(shape, scale, -128)
    return d.maker.operator("RSQRT", [source], d.maker.tensor(shape, out, d.zero()))


def squared_difference(d: Draw) -> int:
    a, b = d.scale(), d.scale()
    out = f32(max(a, b) ** 2 * 2.0 ** d.rng.uniform(-1, 14))
    operands, shape = _pair(d, (a, b), (d.zero(), d.zero()))
    return d.maker.operator("SQUARED_DIFFERENCE", operands, d.maker.tensor(shape, out, d.zero()))


def batch_matmul(d: Draw) -> int:
    batches = tuple(int(n) for n in d.rng.integers(1, 4, d.integer(0, 3)))
    sides = [reaches(batches, d.rng) if batches and d.rng.random() < 0.3 else batches, batches]
    if d.rng.random() < 0.5:
        sides.reverse()
    rows, columns, depth = (d.integer(1, 12) for _ in range(3))
    swapped = [bool(n) for n in d.rng.integers(0, 2, 2)]
    matrices = [(rows, depth), (depth, columns)]
    scales, zeros = (d.scale(), d.scale()), (d.zero(), d.zero())
    held = int(d.rng.choice([0, 1, 2, 2, 2]))  # which one is a constant; 2: neither
    operands = []
    for k in (0, 1):
        shape = (*sides[k], *(matrices[k][::-1] if swapped[k] else matrices[k]))
        operands.append((d.values if held == k else d.maker.input)(shape, scales[k], zeros[k]))
    out = f32(scales[0] * scales[1] * 74 * np.sqrt(depth) * 2.0 ** d.rng.uniform(-2, 3))
    target = d.maker.tensor((*batches, rows, columns), out, d.zero())
    return d.maker.operator("BATCH_MATMUL", operands, target, adjX=swapped[0], adjY=swapped[1])


def transpose(d: Draw) -> int:
    shape = d.shape(1, 4)
    order = [int(i) for i in d.rng.permutation(len(shape))]
    source, constant = d.maker.input(shape, 0.5, 3), d.maker.constant(np.array(order, np.int32))
    target = d.maker.tensor(tuple(shape[i] for i in order), 0.5, 3)
    return d.maker.operator("TRANSPOSE", [source, constant], target)


def slice_(d: Draw) -> int:
    shape = d.shape(1, 4)
    begin = [d.integer(0, n - 1) for n in shape]
    size = [d.integer(1, n - b) for n, b in zip(shape, begin, strict=True)]
    target = d.maker.tensor(size, 0.5, 3)
    size = [
        -1 if b + s == n and d.rng.random() < 0.5 else s for n, b, s in zip(shape, begin, size, strict=True)
    ]
    source = d.maker.input(shape, 0.5, 3)
    return d.maker.operator("SLICE", [source, ints(d, begin), ints(d, size)], target)


def strided_slice(d: Draw) -> int:
    """A box, its corners from either end or left open, in strides."""
    shape = d.shape(1, 4)
    begin = [d.integer(0, n - 1) for n in shape]
    end = [d.integer(b + 1, n) for b, n in zip(begin, shape, strict=True)]
    step = [d.integer(1, 3) if d.rng.random() < 0.4 else 1 for _ in shape]
    masks = {"beginMask": 0, "endMask": 0, "shrinkAxisMask": 0}
    sizes = []
    for axis, extent in enumerate(shape):
        kind = d.rng.choice(["plain", "begin", "end", "shrink"])
        if kind == "shrink":
            masks["shrinkAxisMask"] |= 1 << axis
            step[axis] = 1
        else:
            first = 0 if kind == "begin" else begin[axis]
            last = extent if kind == "end" else end[axis]
            masks["beginMask"] |= (kind == "begin") << axis
            masks["endMask"] |= (kind == "end") << axis
            sizes.append(-(-(last - first) // step[axis]))
        if d.rng.random() < 0.5:
            begin[axis] -= extent
        if end[axis] < extent and d.rng.random() < 0.5:
            end[axis] -= extent
    parts = [ints(d, part) for part in (begin, end, step)]
    out = d.maker.tensor(sizes, 0.5, 3)
    return d.maker.operator("STRIDED_SLICE", [d.maker.input(shape, 0.5, 3), *parts], out, **masks)


def _further(d: Draw, shape: Shape, count: int) -> list[int]:
    """So many outputs, of which those but the first two are nobody's."""
    return [d.maker.tensor(shape, 0.5, 3) for _ in range(count)]


def split(d: Draw) -> int:
    shape, count = list(d.shape(1, 4)), d.integer(1, 4)
    axis = d.integer(0, len(shape) - 1)
    part = tuple(shape)
    shape[axis] *= count
    source, outputs = d.maker.input(shape, 0.5, 3), _further(d, part, count)
    axis -= len(shape) if d.rng.random() < 0.5 else 0
    d.maker.operator("SPLIT", [ints(d, axis), source], *outputs, numSplits=count)
    return int(d.rng.choice(outputs))


def unpack(d: Draw) -> int:
    shape, count = list(d.shape(1, 3)), d.integer(1, 4)
    axis = d.integer(0, len(shape))
    part = tuple(shape)
    shape.insert(axis, count)
    source, outputs = d.maker.input(shape, 0.5, 3), _further(d, part, count)
    axis -= len(shape) if d.rng.random() < 0.5 else 0
    d.maker.operator("UNPACK", [source], *outputs, axis=axis, num=count)
    return int(d.rng.choice(outputs))


def pad(name: str, d: Draw) -> int:
    """PAD or PADV2."""
    shape, scale, zero = d.shape(), d.scale(), d.zero()
    amounts = d.rng.integers(0, 3, (len(shape), 2)).astype(np.int32)
    inputs = [d.maker.input(shape, scale, zero), d.maker.constant(amounts)]
    if name == "PADV2":
        inputs.append(d.values((1,), scale, zero))
    grown = tuple(int(n + a.sum()) for n, a in zip(shape, amounts, strict=True))
    return d.maker.operator(name, inputs, d.maker.tensor(grown, scale, zero))


def mean(d: Draw) -> int:
    """Over any axes."""
    shape = d.shape(1, 4, 7)
    rank = len(shape)
    axes = sorted({int(i) for i in d.rng.integers(0, rank, d.integer(1, rank))})
    keep = bool(d.rng.random() < 0.5)
    kept = tuple(1 if i in axes else n for i, n in enumerate(shape) if keep or i not in axes)
    scale, count = d.scale(), prod(shape[i] for i in axes)
    out = f32(scale * count**-0.5 * 2.0 ** d.rng.uniform(-2, 2))
    source = d.maker.input(shape, scale, d.zero())
    constant = ints(d, [a - rank if d.rng.random() < 0.3 else a for a in axes])
    return d.maker.operator("MEAN", [source, constant], d.maker.tensor(kept, out, d.zero()), keepDims=keep)


def reshaped(name: str, d: Draw) -> int:
    """EXPAND_DIMS or SQUEEZE, and a RELU so that there is something to do."""
    shape, scale, zero = d.shape(1, 3), d.scale(), d.zero()
    axis = d.integer(0, len(shape))
    longer = (*shape[:axis], 1, *shape[axis:])
    if name == "SQUEEZE":
        source, target = d.maker.input(longer, scale, zero), d.maker.tensor(shape, scale, zero)
        d.maker.operator(name, [source], target, squeezeDims=[axis])
    else:
        source, target = d.maker.input(shape, scale, zero), d.maker.tensor(longer, scale, zero)
        d.maker.operator(name, [source, ints(d, [axis])], target)
    final = d.maker.tensor(d.maker.graph.tensors[target].shape, scale, zero)
    return d.maker.operator("RELU", [target], final)


def softmax(d: Draw) -> int:
    shape = d.shape(1, 4, 9)
    source, target = d.maker.input(shape, d.scale(-7, 1), d.zero()), d.maker.tensor(shape, 1 / 256, -128)
    return d.maker.operator("SOFTMAX", [source], target, beta=float(d.rng.choice([1.0, 0.5, 3.0])))


def dense(d: Draw) -> int:
    """FULLY_CONNECTED that keeps its input's leading axes."""
    shape, units = d.shape(2, 4, 7), d.integer(1, 9)
    scale, weight_scale = d.scale(), d.scale(-10, -5)
    weights = d.maker.constant(d.rng.integers(-127, 128, (units, shape[-1])).astype(np.int8), weight_scale)
    typical = 74 * 74 * np.sqrt(shape[-1])
    bias = d.maker.constant(d.rng.normal(0, typical, units).astype(np.int32), f32(scale * weight_scale))
    out = f32(scale * weight_scale * typical / 50 * 2.0 ** d.rng.uniform(-2, 2))
    target = d.maker.tensor((*shape[:-1], units), out, d.zero())
    source = d.maker.input(shape, scale, d.zero())
    options = {"fusedActivationFunction": d.activation(), "keepNumDims": True}
    return d.maker.operator("FULLY_CONNECTED", [source, weights, bias], target, **options)


_UNARY = ("RELU", "RELU6", "RELU_N1_TO_1", "LEAKY_RELU", "HARD_SWISH", "QUANTIZE")
OPERATORS: dict[str, Callable[[Draw], int]] = {
    **{name: named(pair, name) for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")},
    **{name: named(squashing, name) for name in ("LOGISTIC", "TANH")},
    **{name: named(unary, name) for name in _UNARY},
    **{name: named(pad, name) for name in ("PAD", "PADV2")},
    **{name: named(reshaped, name) for name in ("EXPAND_DIMS", "SQUEEZE")},
    "BATCH_MATMUL": batch_matmul,
    "CONCATENATION": concatenation,
    "FULLY_CONNECTED": dense,
    "MEAN": mean,
    "PACK": pack,
    "RSQRT": rsqrt,
    "SLICE": slice_,
    "SOFTMAX": softmax,
    "SPLIT": split,
    "SQUARED_DIFFERENCE": squared_difference,
    "STRIDED_SLICE": strided_slice,
    "TRANSPOSE": transpose,
    "UNPACK": unpack,
    **WIDE,
}
"""Operator, what adds one to a file and returns its output; WIDE: between QUANTIZEs to int16 and back."""


def random_operators(name: str, first: int, count: int) -> bytes:
    """A file of so many operators of one kind side by side, each with its own inputs and output."""
    maker = Maker()
    return maker.finish(*(OPERATORS[name](Draw(maker, seed)) for seed in range(first, first + count)))
