"""Random shapes, scales and values for operators that become parts of a file."""

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


def reaches(shape: Shape, rng: Generator) -> Shape:
    """A shape that is repeated to this one: extents of 1, leading ones left out."""
    reached = [1 if rng.random() < 0.4 else n for n in shape]
    while len(reached) > 1 and reached[0] == 1 and rng.random() < 0.5:
        reached = reached[1:]
    return tuple(reached)


def ints(d: Draw, values: Any) -> int:
    return d.maker.constant(np.array(values, np.int32))


def named(function: Callable[[str, Draw], int], name: str) -> Callable[[Draw], int]:
    return lambda draw: function(name, draw)
