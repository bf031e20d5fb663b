"""What a file says of its inputs and outputs: known by name, and a sentence for what does not pair."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InnervateError
from edge.model_file import ModelIo, StateIo, read_io
from tests.stateful_models import FAST, SLOW, lstm_file, rename, renamed, step_file, tensor_of
from tests.tflite_maker import Maker
from tests.tiny_bundle import CHANNELS, CLASSES, WINDOW

CHUNK = 10
STEP = step_file(CHUNK, context=2)


def test_names_say_what_is_what() -> None:
    states = (StateIo(1, 2, SLOW, 5), StateIo(3, 1, FAST, -3))
    expected = ModelIo(CHUNK, CHANNELS, CLASSES, 1 / 128, 0, 1 / 256, -128, states, 2, 1 / 32, 0)
    got = read_io(step_file(CHUNK, context=2))
    assert got == expected
    assert got.context_input == 2
    assert (got.steps(40), got.steps(10), got.steps(45)) == (4, 1, 0)
    plain = read_io(lstm_file())
    assert (plain.states, plain.context, plain.context_input) == ((), 0, None)
    assert (plain.steps(WINDOW), plain.steps(2 * WINDOW)) == (1, 0)


@pytest.mark.parametrize("shape", [(1, CHANNELS), (1, 1, CHANNELS), (CHANNELS,)])
def test_a_chunk_may_be_one_sample(shape: tuple[int, ...]) -> None:
    maker = Maker()
    source = maker.input(shape, 0.5, 0)
    io = read_io(maker.finish(maker.operator("LOGISTIC", [source], maker.tensor(shape, 1 / 256, -128))))
    assert (io.chunk, io.channels) == (1, CHANNELS)


PAIRS = "4 inputs and 3 outputs that do not pair by name"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (rename("slow", "slower"), PAIRS),
        (rename("slow.next", "slow_next"), PAIRS),
        (rename("context", "age"), PAIRS),
        (rename("slow", "fast"), PAIRS),
        (rename("fast", "context"), PAIRS),
        (rename("fast.next", "context.next"), PAIRS),
        (
            lambda graph: setattr(graph, "outputs", graph.outputs[:-1]),
            "4 inputs and 2 outputs",
        ),
        (
            lambda graph: setattr(graph, "inputs", graph.inputs[:-1]),
            "3 inputs and 3 outputs",
        ),
        (
            lambda graph: setattr(tensor_of(graph, "slow"), "shape", [1, 3]),
            "the state 'slow' is not given back",
        ),
        (
            lambda graph: setattr(tensor_of(graph, "fast").quantization, "scale", [0.5]),
            "the state 'fast' is not given back",
        ),
        (
            lambda graph: setattr(tensor_of(graph, "fast.next").quantization, "zeroPoint", [1]),
            "the state 'fast' is not given back",
        ),
        (lambda graph: setattr(tensor_of(graph, "fast"), "type", schema.TensorType.INT16), "must be int8"),
        (lambda graph: setattr(graph, "inputs", []), "damaged"),
        (lambda graph: setattr(graph, "inputs", [0] * 65), "damaged"),
        (lambda graph: setattr(tensor_of(graph, "fast"), "name", b"\xff"), "damaged"),
        (lambda graph: setattr(tensor_of(graph, "fast"), "name", b"x" * 5000), "damaged"),
    ],
)
def test_files_that_do_not_pair_are_refused(change: Callable[[Any], object], sentence: str) -> None:
    with pytest.raises(InnervateError, match=sentence):
        read_io(renamed(step_file(CHUNK, context=2), change))


@settings(max_examples=400, deadline=None)
@given(st.integers(0, 1 << 30), st.integers(1, 255), st.integers(0, 1 << 30))
def test_a_damaged_file_is_a_sentence(at: int, flip: int, cut: int) -> None:
    model = bytearray(STEP)
    model[at % len(model)] ^= flip
    for damaged in (bytes(model), bytes(model[: cut % len(model)])):
        with contextlib.suppress(InnervateError):
            read_io(damaged)
