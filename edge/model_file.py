"""What a `.tflite` file says of its input and output, read without a runtime.

Only the few tables on the way there are followed (schema.fbs of TensorFlow Lite, version 3), every offset
checked.
"""

import struct
from typing import Final, NamedTuple

import msgspec
import numpy as np

from edge.errors import InnervateError

_INT8: Final = 9
_MAX_RANK: Final = 8
_MAX_ELEMENTS: Final = 1 << 22
"""Of an input or output: far more than any window, far less than memory."""


class ModelIo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shapes and quantization of a model with one int8 input and one int8 output.

    Attributes:
        window: samples of the input.
        channels: innermost dimension of the input.
        classes: values of the output.
        input_scale: real value of one step of the input.
        input_zero_point: input that means zero.
        output_scale: real value of one step of the output.
        output_zero_point: output that means zero.
    """

    window: int
    channels: int
    classes: int
    input_scale: float
    input_zero_point: int
    output_scale: float
    output_zero_point: int


class _Tensor(NamedTuple):
    shape: tuple[int, ...]
    scale: float
    zero_point: int


def read_io(model: bytes, where: str = "model.tflite") -> ModelIo:
    """Shapes and scales of a model's only input and output.

    Raises:
        InnervateError: not a TFLite file, damaged, or not one int8 input and one int8 output.
    """
    if model[4:8] != b"TFL3":
        raise InnervateError("not a TensorFlow Lite file", where, "Give a .tflite file of an int8 model")
    try:
        walker = _Walker(model)
        subgraph = walker.table(walker.vector(walker.root, 2)[1])
        tensors = walker.vector(subgraph, 0)
        ends = []
        for slot in (1, 2):
            count, first = walker.vector(subgraph, slot)
            if count != 1:
                raise InnervateError(
                    "the model must have one input and one output", where, "Convert it with one of each"
                )
            ends.append(_tensor(walker, tensors, walker.int32(first), where))
    except (struct.error, ValueError) as error:
        raise InnervateError("the file is damaged", where, "Copy or convert it again") from error
    source, result = ends
    *outer, channels = source.shape
    return ModelIo(
        _size(outer),
        channels,
        _size(result.shape),
        source.scale,
        source.zero_point,
        result.scale,
        result.zero_point,
    )


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
            "the model's input and output must be int8", where, "Convert it with int8 on both ends"
        )
    rank, start = walker.vector(table, 0)
    if not 1 <= rank <= _MAX_RANK:
        raise ValueError
    shape = tuple(walker.int32(start + 4 * axis) for axis in range(rank))
    quantization_at = walker.field(table, 4)
    if min(shape) < 1 or _size(shape) > _MAX_ELEMENTS or quantization_at is None:
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
    return _Tensor(shape, scale, point)


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
