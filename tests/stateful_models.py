"""Small files with state, fed back from step to step or kept inside by a fused LSTM; and bundles of them."""

from collections.abc import Callable
from typing import Any

import flatbuffers
import msgspec
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.bundle import Bundle, PipelineSpec
from edge.context import ContextField
from edge.model_file import read_io
from edge.signal_path import SignalPath
from quantize.bundle_maker import make_golden
from tests.tflite_maker import Maker
from tests.tiny_bundle import CHANNELS, CLASSES, RULE, WINDOW, tiny_counts, tiny_path

FIELDS = (ContextField("age_years", 41.5, 12.25), ContextField("sex_male", 0.5, 0.5))
SLOW, FAST = 7, 5
"""Values of the two states."""


def step_file(chunk: int = 10, context: int = 0, seed: int = 1) -> bytes:
    """Two states of different sizes and zero points, in another order at either end of the file.

    slow.next = W1 chunk + W2 slow
    fast.next = W3 (slow.next [+ W4 context]) + W5 fast
    probabilities = softmax(W6 fast.next)
    """
    rng = np.random.default_rng(seed)
    maker = Maker()

    def named(index: int, name: str) -> int:
        maker.graph.tensors[index].name = name.encode()
        return index

    def dense(source: int, columns: int, rows: int, gain: float, scale: float, zero_point: int) -> int:
        weights = rng.integers(-127, 128, (rows, columns)).astype(np.int8)
        read = float(maker.graph.tensors[source].quantization.scale[0])
        # about `gain` times the spread of the input, in steps of the output
        fine = float(np.float32(gain * scale / (74 * np.sqrt(columns) * read)))
        bias = rng.integers(-2000, 2000, rows).astype(np.int32)
        inputs = [source, maker.constant(weights, fine), maker.constant(bias, float(np.float32(fine * read)))]
        return maker.operator("FULLY_CONNECTED", inputs, maker.tensor((1, rows), scale, zero_point))

    def add(a: int, b: int, size: int, scale: float, zero_point: int) -> int:
        return maker.operator("ADD", [a, b], maker.tensor((1, size), scale, zero_point))

    window = named(maker.input((1, 1, chunk, CHANNELS), 1 / 128, 0), "window")
    slow = named(maker.input((1, SLOW), 0.01, 5), "slow")
    told = named(maker.input((1, context), 1 / 32, 0), "context") if context else None
    fast = named(maker.input((1, FAST), 1 / 64, -3), "fast")
    following = add(
        dense(window, chunk * CHANNELS, SLOW, 0.7, 0.01, -9),
        dense(slow, SLOW, SLOW, 0.7, 0.02, 1),
        SLOW,
        0.01,
        5,
    )
    named(following, "slow.next")
    mixed = following
    if told is not None:
        mixed = add(following, dense(told, context, SLOW, 1.0, 0.01, 0), SLOW, 0.02, 0)
    faster = add(
        dense(mixed, SLOW, FAST, 0.8, 1 / 64, 0), dense(fast, FAST, FAST, 0.5, 1 / 64, 4), FAST, 1 / 64, -3
    )
    named(faster, "fast.next")
    logits = dense(faster, FAST, CLASSES, 1.0, 1 / 16, 3)
    last = maker.operator("SOFTMAX", [logits], maker.tensor((1, CLASSES), 1 / 256, -128), beta=1.0)
    return maker.finish(last, faster, following)


def lstm_file(units: int = 6, seed: int = 3) -> bytes:
    """A fused LSTM over the window, its last step, a dense layer, softmax; the state lies within the file."""
    rng = np.random.default_rng(seed)
    maker = Maker()
    window = maker.input((1, WINDOW, CHANNELS), 1 / 128, 0)
    hidden = 1 / 128

    def weights(columns: int) -> list[int]:
        scale = float(np.float32(1 / (74 * np.sqrt(columns))))
        return [
            maker.constant(rng.integers(-127, 128, (units, columns)).astype(np.int8), scale) for _ in range(4)
        ]

    kernels, recurrent = weights(CHANNELS), weights(units)
    # input, forget, cell, output; a forget gate near 1 remembers the windows before
    biases = [
        maker.constant(rng.integers(-800, 800, units).astype(np.int32) + (40_000 if gate == 1 else 0), 1e-4)
        for gate in range(4)
    ]
    states = [maker.state((1, units), hidden, 0), maker.state((1, units), 2.0**-11, 0, int16=True)]
    intermediates = [maker.tensor((0,)) for _ in range(4)] + [maker.tensor((0,), hidden, 0)]
    sequence = maker.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        [window, *kernels, *recurrent, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1],
        maker.tensor((1, WINDOW, units), hidden, 0),
        intermediates=intermediates,
        fusedActivationFunction=schema.ActivationFunctionType.TANH,
        cellClip=10.0,
    )
    corners = [maker.constant(np.array(part, np.int32)) for part in ([0, -1, 0], [0, WINDOW, 0], [1, 1, 1])]
    masks = {"beginMask": 5, "endMask": 5, "shrinkAxisMask": 2}
    last = maker.operator("STRIDED_SLICE", [sequence, *corners], maker.tensor((1, units), hidden, 0), **masks)
    head = maker.constant(rng.integers(-127, 128, (CLASSES, units)).astype(np.int8), 1 / 32)
    bias = maker.constant(np.zeros(CLASSES, np.int32), 1 / 32 / 128)
    logits = maker.operator("FULLY_CONNECTED", [last, head, bias], maker.tensor((1, CLASSES), 1 / 16, 0))
    return maker.finish(
        maker.operator("SOFTMAX", [logits], maker.tensor((1, CLASSES), 1 / 256, -128), beta=1.0)
    )


def path_for(keeps_state: bool) -> SignalPath:
    """The small path; without overlap where the state is kept."""
    return msgspec.structs.replace(tiny_path(), hop=WINDOW) if keeps_state else tiny_path()


def stateful_bundle(model: bytes, keeps_state: bool, counts: NDArray[np.int32] | None = None) -> Bundle:
    """A bundle with golden vectors; with as many context fields as the model takes."""
    path = path_for(keeps_state)
    io = read_io(model)
    spec = PipelineSpec(
        "stateful", ("rest", "open", "close"), path, RULE, io, keeps_state, FIELDS[: io.context]
    )
    golden = make_golden(tiny_counts() if counts is None else counts, path, RULE, model, keeps_state)
    return Bundle.make(spec, model, golden, {})


def renamed(model: bytes, change: Callable[[Any], object]) -> bytes:
    """The file after a change to its main graph."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    change(file.subgraphs[0])
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def tensor_of(graph: Any, name: str) -> Any:
    return next(tensor for tensor in graph.tensors if tensor.name == name.encode())


def rename(old: str, new: str) -> Callable[[Any], object]:
    return lambda graph: setattr(tensor_of(graph, old), "name", new.encode())
