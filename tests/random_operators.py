"""Random int8 operators, within what the reference kernels define, many side by side in one file."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.random import Generator

from tests.tflite_maker import Maker

_ACTIVATIONS = [schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU]
_ACTIVATIONS += [schema.ActivationFunctionType.RELU6, schema.ActivationFunctionType.RELU_N1_TO_1]
Shape = tuple[int, ...]


def f32(x: float) -> float:
    return float(np.float32(x))


class Draw:
    """Random shapes, scales and values of one operator, which becomes part of a file."""

    def __init__(self, maker: Maker, seed: int) -> None:
        self.rng: Generator = np.random.default_rng(seed)
        self.maker = maker

    def shape(self, least: int = 1, most: int = 4, largest: int = 6) -> Shape:
        return tuple(int(n) for n in self.rng.integers(1, largest + 1, self.integer(least, most)))

    def integer(self, low: int, high: int) -> int:
        """low .. high, both included."""
        return int(self.rng.integers(low, high + 1))

    def scale(self, low: float = -9, high: float = -1) -> float:
        return f32(2.0 ** self.rng.uniform(low, high))

    def zero(self) -> int:
        return int(self.rng.choice([-128, 127, 0, -1, self.integer(-128, 127)]))

    def activation(self) -> int:
        return int(self.rng.choice(_ACTIVATIONS, p=[0.5, 0.3, 0.1, 0.1]))

    def values(self, shape: Shape, scale: float, zero: int) -> int:
        """A constant."""
        return self.maker.constant(self.rng.integers(-128, 128, shape, np.int8), scale, zero_point=zero)


def _reaches(shape: Shape, rng: Generator) -> Shape:
    """A shape that is repeated to this one: extents of 1, leading ones left out."""
    reached = [1 if rng.random() < 0.4 else n for n in shape]
    while len(reached) > 1 and reached[0] == 1 and rng.random() < 0.5:
        reached = reached[1:]
    return tuple(reached)


def _pair(d: Draw, scales: tuple[float, float], zeros: tuple[int, int]) -> tuple[list[int], Shape]:
    """Two operands, one of them perhaps a constant or repeated, and the shape of their result."""
    shape = d.shape()
    match int(d.rng.integers(5)):
        case 0:
            shapes = [shape, shape]
        case 1:
            shapes = [shape, _reaches(shape, d.rng)]
        case 2:
            shapes = [_reaches(shape, d.rng), shape]
        case 3:
            first = _reaches(shape, d.rng)
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
    d.rng.shuffle(parts)
    extent = sum(d.maker.graph.tensors[i].shape[axis] for i in parts)
    out = d.maker.tensor((*shape[:axis], extent, *shape[axis + 1 :]), scale, zero)
    axis -= len(shape) if d.rng.random() < 0.5 else 0
    return d.maker.operator("CONCATENATION", parts, out, axis=axis)


def _named(function: Callable[[str, Draw], int], name: str) -> Callable[[Draw], int]:
    return lambda draw: function(name, draw)


OPERATORS: dict[str, Callable[[Draw], int]] = {
    **{name: _named(pair, name) for name in ("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM")},
    **{name: _named(squashing, name) for name in ("LOGISTIC", "TANH")},
    "CONCATENATION": concatenation,
}
"""Operator, what adds one to a file and returns its output."""


def random_operators(name: str, first: int, count: int) -> bytes:
    """A file of so many operators of one kind side by side, each with its own inputs and output."""
    maker = Maker()
    return maker.finish(*(OPERATORS[name](Draw(maker, seed)) for seed in range(first, first + count)))
