"""Reads an int8 `.tflite` file from bytes that may be damaged or hostile.

The flatbuffer is walked with the lazy accessors of the schema module, never its object API, which would
build whatever counts the file claims. Every vector is paid for from a budget proportional to the file's size,
so that neither time nor memory can run away; whatever else the accessors stumble over becomes one sentence.
"""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.tflite_model import Model, Operator, Quantization, Tensor, shortened
from quantize.tflite_options import INSTEAD, SUPPORTED, OptionsError, read_options
from quantize.tflite_rules import check_operators

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
MAX_RANK = 8
MAX_ELEMENTS = 1 << 28  # of one tensor: far above any device this is for
# Products and ratios of scales within these stay far from the ends of float64.
MIN_SCALE, MAX_SCALE = 2.0**-100, 2.0**100
_DTYPES: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype("<i1"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FLOAT32": np.dtype("<f4"),
}
# What damaged offsets make the flatbuffer accessors raise.
_STUMBLES = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
_DAMAGED = "Use a file that TensorFlow Lite itself can run; this one is damaged or was not written whole"
_STATIC = "Export the model with fixed shapes, batch included"
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
        if root.SubgraphsLength() != 1:
            count = root.SubgraphsLength()
            raise _RefusedError(
                f"{count} subgraphs, but only files with exactly one are supported", _FULL_INT8
            )
        graph = root.Subgraphs(0)
        names = [self.operator_name(code) for code in self.tables(root, "OperatorCodes", "operator codes")]
        tables = list(self.tables(graph, "Operators", "operators"))
        if not tables:
            raise _RefusedError("there are no operators")
        self.check_supported(graph, tables, names)
        buffers = list(self.tables(root, "Buffers", "buffers"))
        tensors = [self.tensor(i, t, buffers) for i, t in enumerate(self.tables(graph, "Tensors", "tensors"))]
        operators = [self.operator(i, table, names, tensors) for i, table in enumerate(tables)]
        inputs = tuple(self.vector(graph, "Inputs", "inputs"))
        outputs = tuple(self.vector(graph, "Outputs", "outputs"))
        model = Model(tuple(tensors), tuple(operators), inputs, outputs, self.where)
        _check_order(model)
        return model

    def operator_name(self, code: Any) -> str:
        # Files before 2021 keep the code in a byte; newer ones repeat it there as far as it fits.
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATOR_NAMES.get(number, f"operator code {number}")
        return f"CUSTOM ({shortened(_text(code.CustomCode()))})" if name == "CUSTOM" else name

    def check_supported(self, graph: Any, tables: list[Any], names: list[str]) -> None:
        """Operators come before tensors: what is not supported often has odd tensors too."""
        for position, table in enumerate(tables):
            place = f"operator {position + 1} of {len(tables)}"
            if not 0 <= table.OpcodeIndex() < len(names):
                raise _RefusedError(
                    f"{place} has operator code {table.OpcodeIndex()}, but there are {len(names)}"
                )
            name = names[table.OpcodeIndex()]
            if name in SUPPORTED:
                continue
            place = f"{place}, {name}"
            if table.OutputsLength() > 0 and 0 <= table.Outputs(0) < graph.TensorsLength():
                place += f", output '{shortened(_text(graph.Tensors(table.Outputs(0)).Name()))}'"
            raise InnervateError(
                f"Unsupported operator {name}",
                f"{self.where}, {place}" if self.where else place,
                INSTEAD.get(
                    name, f"Supported are {', '.join(SUPPORTED)}, all int8; build the model of these"
                ),
            )

    def tensor(self, index: int, table: Any, buffers: list[Any]) -> Tensor:
        raw_name = table.Name() or b""
        self.spend(len(raw_name), "tensor names")
        name = _text(raw_name) or f"tensor {index}"
        label = f"tensor '{shortened(name)}'"
        shape = self.shape(table, label)
        if table.Sparsity() is not None:
            raise _RefusedError(f"{label} is stored sparse, which is not supported", _FULL_INT8)
        dtype = _TYPE_NAMES.get(table.Type(), f"type {table.Type()}")
        quantization = self.quantization(table.Quantization(), label, shape)
        content = self.content(table, buffers, label, shape, dtype)
        return Tensor(index, name, shape, dtype, quantization, content, bool(table.IsVariable()))

    def shape(self, table: Any, label: str) -> tuple[int, ...]:
        shape = tuple(self.vector(table, "Shape", f"the dimensions of {label}"))
        if len(shape) > MAX_RANK:
            raise _RefusedError(f"{label} has {len(shape)} dimensions, more than {MAX_RANK}")
        size = 1
        for extent in shape:
            size *= extent
            if extent < 1 or size > MAX_ELEMENTS:
                raise _RefusedError(
                    f"{label} has shape {list(shape)}; sizes must be static and positive", _STATIC
                )
        if -1 in self.vector(table, "ShapeSignature", f"the dimensions of {label}"):
            raise _RefusedError(f"{label} has a dimension that is only known at run time", _STATIC)
        return shape

    def quantization(self, table: Any, label: str, shape: tuple[int, ...]) -> Quantization | None:
        if table is None or table.ScaleLength() == 0:
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

    def content(
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
        if dtype not in _DTYPES:
            wanted = ", ".join(_DTYPES)
            raise _RefusedError(
                f"the constant {label} is {dtype}, but only {wanted} are supported", _FULL_INT8
            )
        expected = int(np.prod(shape, dtype=np.int64)) * _DTYPES[dtype].itemsize
        if length != expected:
            raise _RefusedError(
                f"{label} of shape {list(shape)} needs {expected} bytes, its buffer holds {length}"
            )
        # frombuffer refuses what reaches beyond the file.
        raw = buffer.DataAsNumpy().tobytes()
        values: NDArray[np.generic] = np.frombuffer(raw, _DTYPES[dtype]).reshape(shape)
        return values

    def operator(self, position: int, table: Any, names: list[str], tensors: list[Tensor]) -> Operator:
        name = names[table.OpcodeIndex()]
        place = f"operator {position + 1}, {name},"
        inputs = tuple(self.vector(table, "Inputs", f"the inputs of {place}"))
        outputs = tuple(self.vector(table, "Outputs", f"the outputs of {place}"))
        for index in (*inputs, *outputs):
            if not -1 <= index < len(tensors):
                raise _RefusedError(f"{place} refers to tensor {index}, but there are {len(tensors)}")
        if -1 in outputs or not outputs:
            raise _RefusedError(f"{place} has no output tensor")
        try:
            return Operator(position, name, inputs, outputs, read_options(name, table))
        except OptionsError as error:
            raise _RefusedError(f"{place} is not as it should be: {error}") from None


def _check_order(model: Model) -> None:
    """Every tensor is made once, before it is used; this also rules out cycles."""
    for role, indices in (("input", model.inputs), ("output", model.outputs)):
        if not indices or len(set(indices)) != len(indices):
            raise _RefusedError(f"the graph has no {role}s, or one twice")
        for index in indices:
            if not 0 <= index < len(model.tensors):
                raise _RefusedError(f"graph {role} {index} is not a tensor; there are {len(model.tensors)}")
            if model.tensors[index].data is not None:
                raise _RefusedError(f"graph {role} '{model.tensors[index].label}' is a constant")
    ready = {t.index for t in model.tensors if t.data is not None} | set(model.inputs)
    for operator in model.operators:
        for index in operator.inputs:
            if index != -1 and index not in ready:
                name = model.tensors[index].label
                raise _RefusedError(f"{model.place(operator)} uses '{name}' before anything has made it")
        for index in operator.outputs:
            if index in ready:
                raise _RefusedError(
                    f"{model.place(operator)} writes '{model.tensors[index].label}' a second time"
                )
            ready.add(index)
    for index in model.outputs:
        if index not in ready:
            raise _RefusedError(f"no operator makes the graph output '{model.tensors[index].label}'")


def read_model(data: bytes, where: str = "") -> Model:
    """Read and validate a `.tflite` file.

    Args:
        data: the file's bytes.
        where: the file's name, for messages.

    Raises:
        InnervateError: the file is damaged, not static int8, or has an operator that is not supported.
    """
    try:
        model = _Walk(bytes(data), where).model()
    except _RefusedError as refused:
        what = str(refused)
        raise InnervateError(what[0].upper() + what[1:], where, refused.fix) from None
    except _STUMBLES:
        what = "Damaged TensorFlow Lite file: an offset points outside it"
        raise InnervateError(what, where, _DAMAGED) from None
    check_operators(model)
    return model
