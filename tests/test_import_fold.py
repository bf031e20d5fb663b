"""Layout operators fold away and not a bit changes: files of converters, and random graphs."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.importing.editing import Graph
from quantize.importing.fold import fold
from quantize.importing.layout import LAYOUT, steps
from quantize.importing.tflite import clean
from tests import imported
from tests.tflite_maker import VALID, Maker

FOLDED = {
    "litert_conv1d": [
        "RESHAPE", "TRANSPOSE", "CONV_2D", "MAX_POOL_2D", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX",
    ],
    "litert_gap": [
        "RESHAPE", "TRANSPOSE", "CONV_2D", "DEPTHWISE_CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX",
    ],
    "litert_res": [
        "RESHAPE", "TRANSPOSE", "CONV_2D", "CONV_2D", "CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX",
    ],
    "keras_open_batch": [
        "RESHAPE", "CONV_2D", "MUL", "MAX_POOL_2D", "CONV_2D", "MEAN", "FULLY_CONNECTED", "SOFTMAX",
    ],
}  # fmt: skip
"""What remains: the input's own layout, and what computes."""


@pytest.mark.parametrize("name", [*FOLDED, "litert_attn"])
def test_converters_files_give_the_same_bits(name: str) -> None:
    original = imported.read(name)
    folded = clean(original, name).tflite
    inputs = imported.random_inputs(original, 100)
    np.testing.assert_array_equal(imported.run(folded, inputs), imported.run(original, inputs))
    assert len(folded) < 0.85 * len(original)
    if name in FOLDED:
        assert imported.operators(folded) == FOLDED[name]


def test_attention_keeps_only_the_moves_that_split_its_heads() -> None:
    original, folded = (
        imported.operators(tflite)
        for tflite in (imported.read("litert_attn"), clean(imported.read("litert_attn")).tflite)
    )
    assert (original.count("RESHAPE"), original.count("TRANSPOSE")) == (12, 4)
    assert folded.count("RESHAPE") <= 4
    assert folded.count("TRANSPOSE") <= 4


@given(st.data())
def test_steps_lead_to_the_order(data: st.DataObject) -> None:
    """A chain of moves and the one reshape, transpose and reshape that stand for it move values alike."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=4)))
    numbers = np.arange(np.prod(shape)).reshape(shape)
    for _ in range(data.draw(st.integers(1, 4))):
        numbers = numbers.transpose(data.draw(st.permutations(range(numbers.ndim))))
        numbers = numbers.reshape(data.draw(st.sampled_from(_shapes_of(numbers.size))))
    found = steps(shape, numbers.shape, numbers.reshape(-1))
    if found is None:
        return  # a reshape cut across axes
    between, axes = found
    moved = np.arange(numbers.size).reshape(between)
    np.testing.assert_array_equal((moved.transpose(axes) if axes else moved).reshape(numbers.shape), numbers)


def _shapes_of(size: int) -> list[tuple[int, ...]]:
    """Shapes of up to four axes."""
    halves = [n for n in range(1, size + 1) if size % n == 0]
    pairs = [(n, size // n) for n in halves]
    return [(size,), *pairs, *((1, *pair) for pair in pairs), *((a, 1, b) for a, b in pairs)]


class Walk:
    """A random graph of moves and of what they can pass: layers, operands, ends."""

    def __init__(self, data: st.DataObject) -> None:
        self.draw = data.draw
        self.maker = Maker()
        self.shape = tuple(self.draw(st.lists(st.integers(1, 5), min_size=3, max_size=4)))
        self.shape = (1, *self.shape[1:])
        self.seed = self.draw(st.integers(0, 2**16))
        self.rng = np.random.default_rng(self.seed)
        self.scale, self.zero = 0.05, 3
        self.at = self.maker.input(self.shape, self.scale, self.zero)

    def emit(self, name: str, others: list[int], shape: tuple[int, ...], **options: object) -> None:
        output = self.maker.tensor(shape, self.scale, self.zero)
        self.at = self.maker.operator(name, [self.at, *others], output, **options)
        self.shape = shape

    def transpose(self) -> None:
        axes = self.draw(st.permutations(range(len(self.shape))))
        others = [self.maker.constant(np.array(axes, np.int32))]
        self.emit("TRANSPOSE", others, tuple(self.shape[axis] for axis in axes))

    def reshape(self) -> None:
        shape = self.draw(st.sampled_from(_shapes_of(int(np.prod(self.shape)))))
        self.emit("RESHAPE", [self.maker.constant(np.array(shape, np.int32))], shape, newShape=list(shape))

    def relu(self) -> None:
        self.emit("RELU", [], self.shape)

    def tanh(self) -> None:
        self.scale, self.zero = 1 / 128, 0
        self.emit("TANH", [], self.shape)

    def add_constant(self) -> None:
        whole = [self.draw(st.sampled_from((1, extent))) for extent in self.shape]
        values = self.rng.integers(-128, 128, whole).astype(np.int8)
        self.emit("ADD", [self.maker.constant(values, 0.02, zero_point=-5)], self.shape)

    def add_to_itself(self) -> None:
        self.emit("ADD", [self.at], self.shape)

    def pad(self) -> None:
        amounts = self.rng.integers(0, 2, (len(self.shape), 2)).astype(np.int32)
        shape = tuple(int(e + a.sum()) for e, a in zip(self.shape, amounts, strict=True))
        self.emit("PAD", [self.maker.constant(amounts)], shape)

    def pool(self) -> None:
        if len(self.shape) != 4:
            return
        kernel = [self.draw(st.integers(1, self.shape[axis])) for axis in (1, 2)]
        shape = (self.shape[0], self.shape[1] - kernel[0] + 1, self.shape[2] - kernel[1] + 1, self.shape[3])
        name = self.draw(st.sampled_from(("MAX_POOL_2D", "AVERAGE_POOL_2D")))
        self.emit(
            name, [], shape,
            padding=VALID, strideH=1, strideW=1, filterHeight=kernel[0], filterWidth=kernel[1],
        )  # fmt: skip

    def conv(self) -> None:
        if len(self.shape) != 4 or self.shape[0] != 1:
            return
        kernel = [self.draw(st.integers(1, self.shape[axis])) for axis in (1, 2)]
        weights = self.rng.integers(-127, 128, (3, *kernel, self.shape[3])).astype(np.int8)
        scale = 0.01
        others = [
            self.maker.constant(weights, scale),
            self.maker.constant(np.zeros(3, np.int32), self.scale * scale),
        ]
        self.scale, self.zero = 0.1, -7
        shape = (1, self.shape[1] - kernel[0] + 1, self.shape[2] - kernel[1] + 1, 3)
        self.emit(
            "CONV_2D", others, shape,
            padding=VALID, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
        )  # fmt: skip

    def mean(self) -> None:
        if len(self.shape) == 1:
            return
        axes = self.draw(
            st.sets(st.integers(0, len(self.shape) - 1), min_size=1, max_size=len(self.shape) - 1)
        )
        kept = tuple(extent for axis, extent in enumerate(self.shape) if axis not in axes)
        keep = self.draw(st.booleans())
        shape = (
            tuple(1 if axis in axes else extent for axis, extent in enumerate(self.shape)) if keep else kept
        )
        self.emit("MEAN", [self.maker.constant(np.array(sorted(axes), np.int32))], shape, keepDims=keep)

    def dense(self) -> None:
        depth = self.shape[-1]
        rows = int(np.prod(self.shape)) // depth
        if self.draw(st.booleans()):
            depth, rows = depth * rows, 1
        weights = self.rng.integers(-127, 128, (4, depth)).astype(np.int8)
        scale = 0.004
        others = [
            self.maker.constant(weights, scale),
            self.maker.constant(np.zeros(4, np.int32), self.scale * scale),
        ]
        self.scale, self.zero = 0.1, 11
        self.emit("FULLY_CONNECTED", others, (rows, 4))

    def softmax(self) -> None:
        self.scale, self.zero = 1 / 256, -128
        self.emit("SOFTMAX", [], self.shape, beta=1.0)


MOVES: tuple[Callable[[Walk], None], ...] = (Walk.transpose, Walk.reshape)
OTHERS: tuple[Callable[[Walk], None], ...] = (
    Walk.relu, Walk.tanh, Walk.add_constant, Walk.add_to_itself, Walk.pad, Walk.pool, Walk.conv, Walk.mean,
    Walk.dense, Walk.softmax,
)  # fmt: skip


def _check_random_graph(data: st.DataObject) -> None:
    walk = Walk(data)
    for _ in range(data.draw(st.integers(1, 8))):
        data.draw(st.sampled_from((*MOVES, *MOVES, *OTHERS)))(walk)
    walk.relu()
    original = walk.maker.finish(walk.at)
    graph = Graph(original)
    before = sum(node.name in LAYOUT for node in graph.nodes)
    fold(graph)
    folded = graph.write()
    assert sum(node.name in LAYOUT for node in graph.nodes) <= before
    inputs = imported.random_inputs(original, 3, walk.seed)
    np.testing.assert_array_equal(imported.run(folded, inputs), imported.run(original, inputs))


@settings(max_examples=80)
@given(st.data())
def test_random_graphs_give_the_same_bits(data: st.DataObject) -> None:
    _check_random_graph(data)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@settings(max_examples=3000, deadline=None)
@given(st.data())
def test_many_random_graphs_give_the_same_bits(data: st.DataObject) -> None:
    _check_random_graph(data)
