"""Random networks of one input and output in which operators of every kind follow one another."""

from math import prod

import numpy as np

from tests.random_graphs import Graph, f32
from tests.tflite_maker import SAME

_LEAST_SCALE = 2.0**-14


class _Network(Graph):
    """A chain over NHWC, as of `random_graphs`, with branches, gates, moves and attention."""

    branch_scale = 0.0

    def output(self, shape: tuple[int, ...], scale: float, zero: int) -> int:
        """Scales stay above a floor, however often they are squared."""
        return super().output(shape, max(scale, _LEAST_SCALE), zero)

    def branch(self) -> int:
        """A pointwise convolution of this, which stays where it is; the branch's tensor."""
        before, shape, scale, zero = self.at, self.shape, self.scale, self.zero
        channels = shape[-1]
        constants, out_scale = self.weights((channels, 1, 1, channels), 0, channels)
        branch = self.output(shape, out_scale, self.some_zero())
        self.maker.operator("CONV_2D", [before, *constants], branch, strideH=1, strideW=1, padding=SAME)
        self.branch_scale = out_scale
        self.at, self.shape, self.scale, self.zero = before, shape, scale, zero
        return branch

    def joined(self, name: str) -> None:
        """ADD, SUB or MUL of this and a branch, or of this and a constant for each channel."""
        before, shape = self.at, self.shape
        if self.rng.random() < 0.5:
            second = self.branch()
            scale = self.branch_scale
        else:
            scale = self.some_scale()
            data = self.rng.integers(-128, 128, shape[-1:], np.int8)
            second = self.maker.constant(data, scale, zero_point=self.some_zero())
        inputs = [before, second] if self.rng.random() < 0.5 else [second, before]
        total = self.scale * scale * 64 if name == "MUL" else self.scale + scale
        out = self.output(shape, f32(total * 2.0 ** self.rng.uniform(-2, 1)), self.some_zero())
        self.maker.operator(name, inputs, out, fusedActivationFunction=self.activation())

    def squashed(self) -> None:
        name = str(self.rng.choice(["LOGISTIC", "TANH"]))
        scale, zero = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}[name]
        before = self.at
        self.maker.operator(name, [before], self.output(self.shape, scale, zero))

    def requantized(self) -> None:
        name = str(self.rng.choice(["QUANTIZE", "RELU", "LEAKY_RELU"]))
        options = {"alpha": 0.125} if name == "LEAKY_RELU" else {}
        before, scale = self.at, f32(self.scale * 2.0 ** self.rng.uniform(-1, 1))
        self.maker.operator(name, [before], self.output(self.shape, scale, self.some_zero()), **options)

    def concatenated(self) -> None:
        """This and the higher of this and a branch, along any axis."""
        before, shape, scale, zero = self.at, self.shape, self.scale, self.zero
        turned = self.maker.tensor(shape, scale, zero)
        constant = self.maker.constant(self.rng.integers(-128, 128, (1,), np.int8), scale, zero_point=zero)
        self.maker.operator("MAXIMUM", [before, constant], turned)
        axis = self.integer(1, len(shape) - 1)
        wider = tuple(2 * n if i == axis else n for i, n in enumerate(shape))
        self.maker.operator("CONCATENATION", [turned, before], self.output(wider, scale, zero), axis=axis)

    def halves(self) -> None:
        """One part of a split times the other, where the channels are even."""
        channels = self.shape[-1]
        if channels % 2:
            return
        before, half = self.at, (*self.shape[:-1], channels // 2)
        parts = [self.maker.tensor(half, self.scale, self.zero) for _ in range(2)]
        axis = self.maker.constant(np.array(len(self.shape) - 1, np.int32))
        self.maker.operator("SPLIT", [axis, before], *parts, numSplits=2)
        out = self.output(half, f32(self.scale**2 * 64), self.some_zero())
        self.maker.operator("MUL", parts, out)

    def transposed(self) -> None:
        """Height and width change places, or rows and channels."""
        order = [[0, 2, 1, 3], [0, 1, 3, 2], [0, 3, 1, 2]][self.integer(0, 2)]
        before, constant = self.at, self.maker.constant(np.array(order, np.int32))
        shape = tuple(self.shape[i] for i in order)
        self.maker.operator("TRANSPOSE", [before, constant], self.output(shape, self.scale, self.zero))

    def widened(self) -> None:
        """A convolution in 16 bits."""
        before, shape, scale = self.at, self.shape, f32(self.scale / 64)
        channels = self.integer(1, 6)
        wide = self.maker.tensor(shape, scale, int16=True)
        self.maker.operator("QUANTIZE", [before], wide)
        size = (channels, 1, 1, shape[-1])
        weights = self.maker.constant(self.rng.integers(-127, 128, size).astype(np.int8), 0.01)
        bias = self.maker.constant(self.rng.integers(-(10**6), 10**6, channels), f32(scale * 0.01))
        total = f32(scale * 2.0 ** self.rng.uniform(-1, 1))
        summed = self.maker.tensor((*shape[:-1], channels), total, int16=True)
        options = {"strideH": 1, "strideW": 1, "padding": SAME}
        self.maker.operator("CONV_2D", [wide, weights, bias], summed, **options)
        out = self.output((*shape[:-1], channels), f32(total * 64), self.some_zero())
        self.maker.operator("QUANTIZE", [summed], out)

    def attended(self) -> None:
        """Rows of channels weighed by the softmax of their products with one another."""
        before, shape, scale, zero = self.at, self.shape, self.scale, self.zero
        rows, depth = shape[-2:]
        total = max(f32(scale**2 * 74 * depth**0.5), _LEAST_SCALE)
        scores = self.maker.tensor((*shape[:-1], rows), total, self.some_zero())
        weights = self.maker.tensor((*shape[:-1], rows), 1 / 256, -128)
        self.maker.operator("BATCH_MATMUL", [before, before], scores, adjX=False, adjY=True)
        self.maker.operator("SOFTMAX", [scores], weights, beta=1.0)
        out = self.output(shape, f32(scale * 2.0 ** self.rng.uniform(-1, 0.5)), zero)
        self.maker.operator("BATCH_MATMUL", [weights, before], out, adjX=False, adjY=False)


def random_network(seed: int) -> bytes:
    """Three to seven layers, then perhaps a mean, dense layer, softmax."""
    graph = _Network(np.random.default_rng(seed))
    layers = [
        lambda: graph.convolution(False),
        lambda: graph.joined("ADD"),
        lambda: graph.joined("SUB"),
        lambda: graph.joined("MUL"),
        graph.squashed,
        graph.requantized,
        graph.concatenated,
        graph.halves,
        graph.transposed,
        graph.attended,
        graph.pool,
        graph.widened,
    ]
    for _ in range(graph.integer(3, 7)):
        if prod(graph.shape) < 4000:
            layers[graph.integer(0, len(layers) - 1)]()
    if graph.rng.random() < 0.3:
        graph.mean()
    if graph.rng.random() < 0.3:
        graph.dense()
    if graph.rng.random() < 0.3:
        graph.softmax()
    return graph.maker.finish(graph.at)
