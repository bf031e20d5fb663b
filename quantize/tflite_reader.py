"""Reads a `.tflite` file, whatever its operators, from bytes that may be damaged or hostile.

The flatbuffer is walked with the lazy accessors of the schema module, never its object API, which would
build whatever counts the file claims. Every vector is paid for from a budget proportional to the file's size,
so that neither time nor memory can run away; whatever else the accessors stumble over becomes one sentence.
"""

import struct
from collections.abc import Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.tflite_model import Model, Operator, Quantization, Tensor, shortened
from quantize.tflite_options import OptionsError, read_options
from quantize.tflite_rules import check_operators

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
MAX_RANK = 8
MAX_ELEMENTS = 1 << 28  # of one tensor: far above any device this is for
# Products and ratios of scales within these stay far from the ends of float64.
MIN_SCALE, MAX_SCALE = 2.0**-100, 2.0**100
_DTYPES: dict[str, np.dtype[Any]] = {
    "BOOL": np.dtype("?"),
    "FLOAT16": np.dtype("<f2"),
    "FLOAT32": np.dtype("<f4"),
    "FLOAT64": np.dtype("<f8"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
}
# What damaged offsets make the flatbuffer accessors raise.
_STUMBLES = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
_DAMAGED = "Use a file that TensorFlow Lite itself can run; this one is damaged or was not written whole"
_FULL_INT8 = "Convert it again as a plain full-integer model"


def _names_of(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if not name.startswith("_")}


_OPERATOR_NAMES = _names_of(schema.BuiltinOperator)
_TYPE_NAMES = _names_of(schema.TensorType)


class _RefusedError(Exception):
    """What is wrong with the file, without a full stop, and what to do."""

    def __init__(self, what: str, fix: str = _DAMAGED) -> None:
        super().__init__(what)
        self.fix = fix


def _text(raw: bytes | None) -> str:
    """A name out of the file, without what could break a line or a terminal."""
    return "".join(c if c.isprintable() else "?" for c in (raw or b"").decode("utf-8", "replace"))


class _Walk:
    """One pass over one file."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self.budget = 4 * len(data) + 4096  # elements of vectors; a sound file needs less than one a byte

    def spend(self, count: int, what: str) -> int:
        self.budget -= count
        if count < 0 or self.budget < 0:
            raise _RefusedError(f"{what} claim more elements than the file can hold")
        return count

    def vector(self, table: Any, name: str, what: str) -> list[int]:
        length = self.spend(getattr(table, f"{name}Length")(), what)
        return [int(v) for v in getattr(table, f"{name}AsNumpy")()] if length else []

    def tables(self, parent: Any, name: str, what: str) -> Iterator[Any]:
        for i in range(self.spend(getattr(parent, f"{name}Length")(), what)):
            yield getattr(parent, name)(i)

    def model(self) -> Model:
        if len(self.data) < 8 or self.data[4:8] != IDENTIFIER:
            raise _RefusedError("not a TensorFlow Lite file: the identifier TFL3 is missing at byte 4")
        root = schema.Model.GetRootAs(self.data, 0)
        if root.Version() != SCHEMA_VERSION:
            raise _RefusedError(f"schema version {root.Version()} is not {SCHEMA_VERSION}")
        names = [self.operator_name(code) for code in self.tables(root, "OperatorCodes", "operator codes")]
        buffers = list(self.tables(root, "Buffers", "buffers"))
        graphs = [self.graph(g, names, buffers) for g in self.tables(root, "Subgraphs", "subgraphs")]
        if not graphs:
            raise _RefusedError("there is no graph")
        _check_ends(graphs[0])
        for graph in graphs:
            _check_order(graph)
        return replace(graphs[0], subgraphs=tuple(graphs[1:]), where=self.where)

    def graph(self, table: Any, names: list[tuple[str, int]], buffers: list[Any]) -> Model:
        tensors = [self.tensor(i, t, buffers) for i, t in enumerate(self.tables(table, "Tensors", "tensors"))]
        operators = [
            self.operator(i, t, names, tensors)
            for i, t in enumerate(self.tables(table, "Operators", "operators"))
        ]
        ends = tuple(self.vector(table, "Inputs", "inputs")), tuple(self.vector(table, "Outputs", "outputs"))
        for role, indices in zip(("input", "output"), ends, strict=True):
            for index in indices:
                if not 0 <= index < len(tensors):
                    raise _RefusedError(f"graph {role} {index} is not a tensor; there are {len(tensors)}")
        return Model(tuple(tensors), tuple(operators), *ends, where="")

    def operator_name(self, code: Any) -> tuple[str, int]:
        """Return an operator's name and version."""
        # Files before 2021 keep the code in a byte; newer ones repeat it there as far as it fits.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATOR_NAMES.get(number, f"operator code {number}")
        if name == "CUSTOM":
            custom = code.CustomCode() or b""
            self.spend(len(custom), "operator names")
            name = f"CUSTOM ({shortened(_text(custom))})"
        return name, code.Version()

    def tensor(self, index: int, table: Any, buffers: list[Any]) -> Tensor:
        raw_name = table.Name() or b""
        self.spend(len(raw_name), "tensor names")
        name = _text(raw_name) or f"tensor {index}"
        label = f"tensor '{shortened(name)}'"
        shape = self.shape(table, label)
        signature = tuple(self.vector(table, "ShapeSignature", f"the dimensions of {label}"))
        sparse = table.Sparsity() is not None
        dtype = _TYPE_NAMES.get(table.Type(), f"type {table.Type()}")
        quantization = self.quantization(table.Quantization(), label, shape)
        data = self.data_of(table, buffers, label, shape, "" if sparse else dtype)
        return Tensor(
            index, name, shape, dtype, quantization, data, bool(table.IsVariable()), signature, sparse
        )

    def shape(self, table: Any, label: str) -> tuple[int, ...]:
        shape = tuple(self.vector(table, "Shape", f"the dimensions of {label}"))
        if len(shape) > MAX_RANK:
            raise _RefusedError(f"{label} has {len(shape)} dimensions, more than {MAX_RANK}")
        size = 1
        for extent in shape:
            size *= extent
            if extent < 0 or size > MAX_ELEMENTS:
                raise _RefusedError(
                    f"{label} has shape {list(shape)}, but a tensor holds 0 to {MAX_ELEMENTS:,} elements"
                )
        return shape

    def quantization(self, table: Any, label: str, shape: tuple[int, ...]) -> Quantization | None:
        # Scales of blocks lie in a tensor of their own; those beside them mean nothing.
        in_blocks = schema.QuantizationDetails.BlockwiseQuantization
        if table is None or table.ScaleLength() == 0 or table.DetailsType() == in_blocks:
            return None
        axis = table.QuantizedDimension()
        count = self.spend(table.ScaleLength(), f"the scales of {label}")
        if count != 1 and not (0 <= axis < len(shape) and count == shape[axis]):
            raise _RefusedError(
                f"{label} has {count} scales, which fit neither all of it nor its axis {axis}"
            )
        scales = tuple(float(s) for s in table.ScaleAsNumpy())
        zeros = tuple(self.vector(table, "ZeroPoint", f"the zero points of {label}")) or (0,) * count
        if len(zeros) != count:
            raise _RefusedError(f"{label} has {count} scales but {len(zeros)} zero points")
        if not all(MIN_SCALE <= s <= MAX_SCALE for s in scales):  # which nan is not either
            raise _RefusedError(f"{label} has a scale that is not a positive, finite, ordinary number")
        return Quantization(scales, zeros, axis if count > 1 else 0)

    def data_of(
        self, table: Any, buffers: list[Any], label: str, shape: tuple[int, ...], dtype: str
    ) -> NDArray[np.generic] | None:
        number = table.Buffer()
        if not 0 <= number < len(buffers):
            raise _RefusedError(f"{label} refers to buffer {number}, but there are {len(buffers)}")
        buffer = buffers[number]
        if buffer.Offset() or buffer.Size():
            raise _RefusedError(f"{label} is kept outside the flatbuffer, which is not supported", _FULL_INT8)
        length = buffer.DataLength()
        if length == 0:
            return None
        # Views, not copies: many tensors may share a buffer. frombuffer refuses what reaches beyond the file.
        raw: NDArray[np.generic] = buffer.DataAsNumpy()
        if dtype not in _DTYPES:
            return raw
        expected = prod(shape) * _DTYPES[dtype].itemsize
        if length != expected:
            raise _RefusedError(
                f"{label} of shape {list(shape)} needs {expected} bytes, its buffer holds {length}"
            )
        return raw.view(_DTYPES[dtype]).reshape(shape)

    def operator(
        self, position: int, table: Any, names: list[tuple[str, int]], tensors: list[Tensor]
    ) -> Operator:
        code = table.OpcodeIndex()
        if not 0 <= code < len(names):
            raise _RefusedError(
                f"operator {position + 1} has operator code {code}, but there are {len(names)}"
            )
        name, version = names[code]
        place = f"operator {position + 1}, {name},"
        inputs, outputs, intermediates = (
            tuple(self.vector(table, role, f"the {role.lower()} of {place}"))
            for role in ("Inputs", "Outputs", "Intermediates")
        )
        for index in (*inputs, *outputs, *intermediates):
            if not -1 <= index < len(tensors):
                raise _RefusedError(f"{place} refers to tensor {index}, but there are {len(tensors)}")
        if -1 in outputs:
            raise _RefusedError(f"{place} leaves out an output")
        try:
            options = read_options(name, table)
        except OptionsError as error:
            raise _RefusedError(f"{place} is not as it should be: {error}") from None
        return Operator(position, name, inputs, outputs, options, version, intermediates)


def _check_ends(model: Model) -> None:
    """The main graph does something with what it is fed."""
    if not model.operators:
        raise _RefusedError("there are no operators")
    for role, indices in (("input", model.inputs), ("output", model.outputs)):
        if not indices or len(set(indices)) != len(indices):
            raise _RefusedError(f"the graph has no {role}s, or one twice")
        for index in indices:
            if model.tensors[index].data is not None:
                raise _RefusedError(f"graph {role} '{model.tensors[index].label}' is a constant")


def _check_order(model: Model) -> None:
    """Every tensor is made once, before it is used; this also rules out cycles."""
    made = {t.index for t in model.tensors if t.data is not None} | set(model.inputs)
    # What holds nothing, or holds its values from call to call, needs nobody to make it.
    ready = made | {t.index for t in model.tensors if t.variable or t.size == 0}
    for operator in model.operators:
        for index in operator.inputs:
            if index != -1 and index not in ready:
                name = model.tensors[index].label
                raise _RefusedError(f"{model.place(operator)} uses '{name}' before anything has made it")
        for index in operator.outputs:
            if index in made:
                raise _RefusedError(
                    f"{model.place(operator)} writes '{model.tensors[index].label}' a second time"
                )
            made.add(index)
            ready.add(index)
    for index in model.outputs:
        if index not in ready:
            raise _RefusedError(f"no operator makes the graph output '{model.tensors[index].label}'")


def read_file(data: bytes, where: str = "") -> Model:
    """Read a `.tflite` file with any operators, types and shapes, and check that it hangs together.

    Args:
        data: the file's bytes.
        where: the file's name, for messages.

    Raises:
        InnervateError: the file is damaged.
    """
    try:
        return _Walk(bytes(data), where).model()
    except _RefusedError as refused:
        what = str(refused)
        raise InnervateError(what[0].upper() + what[1:], where, refused.fix) from None
    except _STUMBLES:
        what = "Damaged TensorFlow Lite file: an offset points outside it"
        raise InnervateError(what, where, _DAMAGED) from None


def read_model(data: bytes, where: str = "") -> Model:
    """Read a `.tflite` file that the compiler takes.

    Args:
        data: the file's bytes.
        where: the file's name, for messages.

    Raises:
        InnervateError: the file is damaged, not static int8, or has an operator that is not supported.
    """
    model = read_file(data, where)
    check_operators(model)
    return model
