"""What a `.tflite` file says of its inputs and outputs, read without a runtime.

The first input is the window, or the chunk of it that one step takes; the first output holds the classes.
Further ones pair by name: an input `context`, and of each state an input `NAME` and an output `NAME.next`
that whoever runs the file feeds back. Only the few tables on the way there are followed (schema.fbs of
TensorFlow Lite, version 3), every offset checked.
"""

import struct
from typing import Final, NamedTuple

import msgspec
import numpy as np

from edge.context import INPUT, SCALE
from edge.errors import InnervateError

NEXT: Final = ".next"
"""What the name of a state's output adds to that of its input."""
_INT8: Final = 9
_MAX_RANK: Final = 8
_MAX_ELEMENTS: Final = 1 << 22
"""Of an input or output: far more than any window, far less than memory."""
_MAX_ENDS: Final = 64
"""Inputs or outputs."""
_MAX_NAME: Final = 4096


class StateIo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a model keeps from step to step: an input, and the output that becomes it.

    Attributes:
        input: place among the file's inputs.
        output: place among its outputs.
        size: values, int8.
        zero_point: each of them after a reset.
    """

    input: int
    output: int
    size: int
    zero_point: int


class ModelIo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shapes and quantization of a model's int8 inputs and outputs.

    Attributes:
        chunk: rows of the first input: samples of a window, or of the part of it that one step takes.
        channels: innermost dimension of the first input.
        classes: values of the first output.
        input_scale: real value of one step of the first input.
        input_zero_point: input that means zero.
        output_scale: real value of one step of the first output.
        output_zero_point: output that means zero.
        states: what is kept from step to step; empty for a model that takes whole windows.
        context: values of the context vector (`edge.context`), 0 if the model takes none.
        context_scale: real value of one step of it.
        context_zero_point: value that means zero.
    """

    chunk: int
    channels: int
    classes: int
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int
    states: tuple[StateIo, ...] = ()
    context: int = 0
    context_scale: float = SCALE
    context_zero_point: int = 0

    @property
    def context_input(self) -> int | None:
        """Place of the context among the file's inputs."""
        taken = {0, *(state.input for state in self.states)}
        return next(i for i in range(len(taken) + 1) if i not in taken) if self.context else None

    def steps(self, rows: int) -> int:
        """Return the runs that a window of so many rows takes; 0 if it cannot be cut into them."""
        if rows % self.chunk or (rows != self.chunk and not self.states):
            return 0
        return rows // self.chunk


class _Tensor(NamedTuple):
    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int

    @property
    def size(self) -> int:
        return _size(self.shape)


def read_io(model: bytes, where: str = "model.tflite") -> ModelIo:
    """Shapes and scales of a model's inputs and outputs.

    Raises:
        InnervateError: not a TFLite file, damaged, inputs or outputs that are not int8, or further ones that
            are neither `context` nor of a state.
    """
    if model[4:8] != b"TFL3":
        raise InnervateError("not a TensorFlow Lite file", where, "Give a .tflite file of an int8 model")
    try:
        walker = _Walker(model)
        subgraph = walker.table(walker.vector(walker.root, 2)[1])
        tensors = walker.vector(subgraph, 0)
        inputs, outputs = (
            [_tensor(walker, tensors, index, where) for index in walker.int32s(subgraph, slot)]
            for slot in (1, 2)
        )
        if not inputs or not outputs:
            raise ValueError
    except (struct.error, ValueError) as error:
        raise InnervateError("the file is damaged", where, "Copy or convert it again") from error
    (*outer, channels), result = inputs[0].shape, outputs[0]
    states, taken = _pairs(inputs, outputs, where)
    return ModelIo(
        _size(outer),
        channels,
        result.size,
        inputs[0].scale,
        inputs[0].zero_point,
        result.scale,
        result.zero_point,
        states,
        taken.size if taken else 0,
        taken.scale if taken else SCALE,
        taken.zero_point if taken else 0,
    )


def _pairs(
    inputs: list[_Tensor], outputs: list[_Tensor], where: str
) -> tuple[tuple[StateIo, ...], _Tensor | None]:
    """States, and the context if there is one; all inputs and outputs but the first must be of these."""
    fed, given = [tensor.name for tensor in inputs], [tensor.name for tensor in outputs[1:]]
    extra = [name for name in fed[1:] if name != INPUT]
    if len(set(fed)) != len(fed) or sorted(given) != sorted(name + NEXT for name in extra):
        raise InnervateError(
            f"{len(inputs)} inputs and {len(outputs)} outputs that do not pair by name",
            where,
            f"After the first of each, name inputs '{INPUT}' or NAME with an output NAME{NEXT}",
        )
    states = []
    for name in extra:
        i, o = fed.index(name), given.index(name + NEXT) + 1
        if inputs[i][1:] != outputs[o][1:]:
            raise InnervateError(
                f"the state '{name}' is not given back with the shape, scale and zero point it is fed with",
                where,
                "Convert the model with one quantization for both",
            )
        states.append(StateIo(i, o, inputs[i].size, inputs[i].zero_point))
    taken = fed.index(INPUT) if INPUT in fed[1:] else None
    return tuple(states), None if taken is None else inputs[taken]


def _size(shape: list[int] | tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=object))


def _tensor(walker: "_Walker", tensors: tuple[int, int], index: int, where: str) -> _Tensor:
    count, first = tensors
    if not 0 <= index < count:
        raise ValueError
    table = walker.table(first + 4 * index)
    kind = walker.field(table, 1)
    if kind is None or walker.data[kind] != _INT8:
        raise InnervateError(
            "the model's inputs and outputs must be int8", where, "Convert it with int8 on both ends"
        )
    shape = tuple(walker.int32s(table, 0))
    quantization_at = walker.field(table, 4)
    if not 1 <= len(shape) <= _MAX_RANK or min(shape) < 1 or _size(shape) > _MAX_ELEMENTS:
        raise ValueError
    if quantization_at is None:
        raise ValueError
    quantization = walker.table(quantization_at)
    scales, scale_at = walker.vector(quantization, 2)
    points, point_at = walker.vector(quantization, 3)
    if scales != 1 or points != 1:
        raise ValueError
    (scale,) = struct.unpack_from("<f", walker.data, scale_at)
    (point,) = struct.unpack_from("<q", walker.data, point_at)
    if not (np.isfinite(scale) and scale > 0) or not -128 <= point <= 127:
        raise ValueError
    return _Tensor(walker.text(table, 3), shape, scale, point)


class _Walker:
    """Reads flatbuffer tables; raises struct.error or ValueError outside the bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = self.table(0)

    def int32(self, position: int) -> int:
        return int(struct.unpack_from("<i", self.data, self.checked(position))[0])

    def checked(self, position: int) -> int:
        """Refuse negative positions, which struct would count from the end."""
        if not 0 <= position < len(self.data):
            raise ValueError
        return position

    def table(self, position: int) -> int:
        """Position of the table that the offset at `position` points to."""
        (offset,) = struct.unpack_from("<I", self.data, self.checked(position))
        return self.checked(position + offset)

    def field(self, table: int, slot: int) -> int | None:
        """Position of a table's field, None where it has its default."""
        vtable = self.checked(table - self.int32(table))
        (size,) = struct.unpack_from("<H", self.data, vtable)
        entry = 4 + 2 * slot
        if entry + 2 > size:
            return None
        (offset,) = struct.unpack_from("<H", self.data, self.checked(vtable + entry))
        return self.checked(table + offset) if offset else None

    def int32s(self, table: int, slot: int) -> list[int]:
        """Values of a short vector: a shape, or inputs or outputs of a graph."""
        count, start = self.vector(table, slot)
        if count > _MAX_ENDS:
            raise ValueError
        return [self.int32(start + 4 * i) for i in range(count)]

    def text(self, table: int, slot: int) -> str:
        """A string; empty where there is none."""
        count, start = self.vector(table, slot)
        if count > _MAX_NAME or start + count > len(self.data):
            raise ValueError
        return self.data[start : start + count].decode()

    def vector(self, table: int, slot: int) -> tuple[int, int]:
        """Length of a field's vector and position of its first element; (0, 0) where there is none."""
        at = self.field(table, slot)
        if at is None:
            return 0, 0
        start = self.table(at)
        (count,) = struct.unpack_from("<I", self.data, start)
        if count > len(self.data):
            raise ValueError
        return count, start + 4
