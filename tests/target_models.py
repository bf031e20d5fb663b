"""Small models for the tests of targets; by default they fit all of them."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from quantize.targets import edgetpu_compiler
from tests.one_operator import Given, Graph, Step, constant, one_operator, write
from tests.tflite_maker import SAME, VALID

PLANE = Given((1, 4, 4, 4))
OPEN_BATCH = Given((1, 4, 4, 4), signature=(-1, 4, 4, 4))
OPEN_HEIGHT = Given((1, 4, 4, 4), signature=(1, -1, 4, 4))
FLOATS = Given((1, 4), "FLOAT32")
ROW = Given((1, 4))
SCORES = Given((1, 4), scale=1 / 256, zero_point=-128)


@pytest.fixture(autouse=True)
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is installed: verdicts here are the rules'."""
    monkeypatch.setattr(edgetpu_compiler, "PROGRAM", "no such program")


def conv(
    weights_scale: Any = 0.25,
    weights_zero: int = 0,
    bias: Given | None = None,
    source: Given = PLANE,
    version: int = 3,
    **options: Any,
) -> bytes:
    weights = Given((4, 1, 1, 4), scale=weights_scale, zero_point=weights_zero, data=np.ones(16, np.int8))
    inputs = [source, weights, constant([0] * 4, scale=0.125) if bias is None else bias]
    options = {"strideH": 1, "strideW": 1, "padding": SAME} | options
    return one_operator("CONV_2D", inputs, PLANE, "Conv2D", version, **options)


def dense(rows: int = 1, **options: Any) -> bytes:
    weights = Given((4, 4), scale=0.25, data=np.ones(16, np.int8))
    return one_operator(
        "FULLY_CONNECTED", [Given((rows, 4)), weights], Given((rows, 4)), "FullyConnected", 4, **options
    )


def softmax(shape: tuple[int, ...], scale: float = 1 / 256) -> bytes:
    return one_operator(
        "SOFTMAX", [Given(shape)], Given(shape, scale=scale, zero_point=-128), "Softmax", 2, beta=1.0
    )


def pool(activation: int = 0, output_scale: float = 0.5) -> bytes:
    options = {"strideH": 2, "strideW": 2, "filterHeight": 2, "filterWidth": 2, "padding": VALID}
    return one_operator(
        "MAX_POOL_2D", [PLANE], Given((1, 2, 2, 4), scale=output_scale), "Pool2D", 2,
        **options, fusedActivationFunction=activation,
    )  # fmt: skip


def mean(axes: list[int], channels: int = 4) -> bytes:
    source, target = Given((1, 4, 4, channels)), Given((1, 4, 4, 1))
    return one_operator("MEAN", [source, constant(axes)], target, "Reducer", 2, keepDims=True)


def unary(name: str, shape: tuple[int, ...] = (1, 4), version: int = 1) -> bytes:
    return one_operator(name, [Given(shape)], Given(shape), version=version)


def reduced(name: str, axis: int) -> bytes:
    target = tuple(1 if a == axis else 4 if a else 1 for a in range(4))
    return one_operator(name, [PLANE, constant([axis])], Given(target), "Reducer", 2, keepDims=True)


def pad(batch: int) -> bytes:
    amounts = constant([[batch, 0], [1, 0], [0, 0], [0, 0]])
    return one_operator("PAD", [PLANE, amounts], Given((1 + batch, 5, 4, 4)), "Pad", 2)


def strided(stride: int = 1, **options: int) -> bytes:
    ends = constant([1, 4, 4, 4])
    target = Given((1, 4, 4, 4 // stride))
    inputs = [PLANE, constant([0] * 4), ends, constant([1, 1, 1, stride])]
    return one_operator("STRIDED_SLICE", inputs, target, "StridedSlice", 2, **options)


def concat(second: Given, activation: int = 0) -> bytes:
    target = Given((1, 4, 4, 8))
    return one_operator("CONCATENATION", [PLANE, second], target, "Concatenation", 2, axis=3,
                        fusedActivationFunction=activation)  # fmt: skip


def prelu(slopes: tuple[int, ...]) -> bytes:
    return one_operator("PRELU", [PLANE, Given(slopes, data=np.ones(np.prod(slopes), np.int8))], PLANE)


RELU = schema.ActivationFunctionType.RELU
ZEROS = Given((1, 4, 4, 4), data=np.zeros(64, np.int8))
ONES = Given((1, 4, 4, 4), data=np.ones(64, np.int8))
WEIGHTS = Given((4, 4), scale=0.25, data=np.ones(16, np.int8))
TILE = one_operator("TILE", [ROW, constant([1, 1])], ROW)
COMPUTED = Given((4,), "INT32", 0.125)


def chain(*names: str) -> bytes:
    """Operators of one input and output each, in a row."""
    steps = [Step(name, [i], [i + 1]) for i, name in enumerate(names)]
    return write(Graph([ROW] * (len(names) + 1), steps, [0], [len(names)]))
