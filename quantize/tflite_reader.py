"""Reads an int8 `.tflite` file from bytes that may be damaged or hostile.

The flatbuffer is walked with the lazy accessors of the schema module, never its object API, which would
build whatever counts the file claims. Every vector is paid for from a budget proportional to the file's size,
so that neither time nor memory can run away; whatever else the accessors stumble over becomes one sentence.
"""

import struct
from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.tflite_model import (
    Activation,
    AddOptions,
    ConvOptions,
    DenseOptions,
    MeanOptions,
    Model,
    Operator,
    Options,
    Padding,
    PoolOptions,
    Quantization,
    SoftmaxOptions,
    Tensor,
)
from quantize.tflite_rules import check_operators

IDENTIFIER = b"TFL3"
MAX_RANK = 8
MAX_ELEMENTS = 1 << 28  # of one tensor: far above any device this is for
_PADDING: dict[int, Padding] = {0: "SAME", 1: "VALID"}
_ACTIVATION: dict[int, Activation] = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
_DTYPES: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype("<i1"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FLOAT32": np.dtype("<f4"),
}
# What damaged offsets make the flatbuffer accessors raise.
_DAMAGE = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
_AGAIN = "Use a file that TensorFlow Lite itself can run; this one is damaged or was not written whole"


def _names_of(enum: type) -> dict[int, str]:
    return {value: name for name, value in vars(enum).items() if not name.startswith("_")}


_OPERATOR_NAMES = _names_of(schema.BuiltinOperator)
_TYPE_NAMES = _names_of(schema.TensorType)

# operator -> (schema's options class or None, what makes ours of it)
_OPTIONS: dict[str, tuple[str | None, Callable[[Any], Options]]] = {
    "ADD": ("AddOptions", lambda o: AddOptions(_activation(o))),
    "AVERAGE_POOL_2D": ("Pool2DOptions", lambda o: _pool_options(o)),
    "CONV_2D": ("Conv2DOptions", lambda o: _conv_options(o)),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", lambda o: _conv_options(o)),
    "FULLY_CONNECTED": ("FullyConnectedOptions", lambda o: _dense_options(o)),
    "MAX_POOL_2D": ("Pool2DOptions", lambda o: _pool_options(o)),
    "MEAN": ("ReducerOptions", lambda o: MeanOptions(bool(o.KeepDims()))),
    "PAD": (None, lambda o: None),
    "RESHAPE": (None, lambda o: None),
    "SOFTMAX": ("SoftmaxOptions", lambda o: SoftmaxOptions(float(o.Beta()))),
}
SUPPORTED = tuple(_OPTIONS)

# What to do instead of an operator that is not supported.
_INSTEAD = {
    "CONCATENATION": "Use ADD, or one wider convolution",
    "DEQUANTIZE": "Convert with int8 inputs and outputs (full-integer quantization)",
    "QUANTIZE": "Convert with int8 inputs and outputs (full-integer quantization)",
    "EXPAND_DIMS": "Use RESHAPE",
    "SQUEEZE": "Use RESHAPE",
    "PADV2": "Use PAD, which fills with zero",
    "SUM": "Use MEAN",
    "TRANSPOSE": "Keep the layout NHWC throughout, so that nothing needs transposing",
    "RELU": "Fuse it into the layer before",
    "RELU6": "Fuse it into the layer before",
}


class _DamageError(Exception):
    """What is wrong with the file, without a full stop."""


def _pair(height: int, width: int, what: str) -> tuple[int, int]:
    if not (1 <= height <= 1 << 16 and 1 <= width <= 1 << 16):
        raise _DamageError(f"{what} is {height} x {width}, but both must be from 1 to 65536")
    return height, width


def _activation(options: Any) -> Activation:
    code = options.FusedActivationFunction()
    if code not in _ACTIVATION:
        raise _DamageError(f"fused activation {code} is none of {', '.join(_ACTIVATION.values())}")
    return _ACTIVATION[code]


def _padding(options: Any) -> Padding:
    code = options.Padding()
    if code not in _PADDING:
        raise _DamageError(f"padding {code} is neither SAME nor VALID")
    return _PADDING[code]


def _conv_options(options: Any) -> ConvOptions:
    return ConvOptions(
        _padding(options),
        _pair(options.StrideH(), options.StrideW(), "the stride"),
        _pair(options.DilationHFactor(), options.DilationWFactor(), "the dilation"),
        _activation(options),
    )


def _pool_options(options: Any) -> PoolOptions:
    return PoolOptions(
        _padding(options),
        _pair(options.StrideH(), options.StrideW(), "the stride"),
        _pair(options.FilterHeight(), options.FilterWidth(), "the pool"),
        _activation(options),
    )


def _dense_options(options: Any) -> DenseOptions:
    if options.WeightsFormat() != 0:
        raise _DamageError("the weights are in a shuffled format; only the default one is supported")
    return DenseOptions(_activation(options))


class _Walk:
    """One pass over one file."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data = data
        self.where = where
        self.budget = 4 * len(data) + 4096  # elements of vectors; a sound file needs less than one a byte

    def spend(self, count: int, what: str) -> int:
        self.budget -= count
        if count < 0 or self.budget < 0:
            raise _DamageError(f"{what} claim more elements than the file can hold")
        return count

    def vector(self, table: Any, name: str, what: str) -> list[int]:
        length = self.spend(getattr(table, f"{name}Length")(), what)
        if length == 0:
            return []
        return [int(v) for v in getattr(table, f"{name}AsNumpy")()]

    def tables(self, parent: Any, name: str, what: str) -> Iterator[Any]:
        for i in range(self.spend(getattr(parent, f"{name}Length")(), what)):
            yield getattr(parent, name)(i)

    def model(self) -> Model:
        if len(self.data) < 8 or self.data[4:8] != IDENTIFIER:
            raise _DamageError("not a TensorFlow Lite file: the identifier TFL3 is missing at byte 4")
        root = schema.Model.GetRootAs(self.data, 0)
        if root.Version() != 3:
            raise _DamageError(f"schema version {root.Version()} is not 3")
        if root.SubgraphsLength() != 1:
            raise _DamageError(
                f"{root.SubgraphsLength()} subgraphs, but only files with exactly one are supported"
            )
        buffers = list(self.tables(root, "Buffers", "buffers"))
        codes = list(self.tables(root, "OperatorCodes", "operator codes"))
        graph = root.Subgraphs(0)
        tensors = tuple(
            self.tensor(i, t, buffers) for i, t in enumerate(self.tables(graph, "Tensors", "tensors"))
        )
        operators = self.operators(graph, codes, tensors)
        inputs, outputs = self.vector(graph, "Inputs", "inputs"), self.vector(graph, "Outputs", "outputs")
        model = Model(tensors, tuple(operators), tuple(inputs), tuple(outputs), self.where)
        _check_order(model)
        return model

    def tensor(self, index: int, table: Any, buffers: list[Any]) -> Tensor:
        raw_name = table.Name() or b""
        self.spend(len(raw_name), "tensor names")
        name = raw_name.decode("utf-8", "replace") or f"tensor {index}"
        shape = tuple(self.vector(table, "Shape", f"the dimensions of '{name}'"))
        if len(shape) > MAX_RANK:
            raise _DamageError(f"tensor '{name}' has {len(shape)} dimensions, more than {MAX_RANK}")
        size = 1
        for extent in shape:
            size *= extent
            if extent < 1 or size > MAX_ELEMENTS:
                raise _DamageError(
                    f"tensor '{name}' has shape {list(shape)}; shapes must be static, positive and small"
                )
        if -1 in self.vector(table, "ShapeSignature", f"the dimensions of '{name}'"):
            raise _DamageError(f"tensor '{name}' has a dimension that is only known at run time")
        if table.Sparsity() is not None:
            raise _DamageError(f"tensor '{name}' is stored sparse, which is not supported")
        dtype = _TYPE_NAMES.get(table.Type(), f"type {table.Type()}")
        quantization = self.quantization(table.Quantization(), name, shape)
        data = self.content(table, buffers, name, shape, dtype, size)
        return Tensor(index, name, shape, dtype, quantization, data, bool(table.IsVariable()))

    def quantization(self, table: Any, name: str, shape: tuple[int, ...]) -> Quantization | None:
        if table is None or table.ScaleLength() == 0:
            return None
        axis = table.QuantizedDimension()
        count = self.spend(table.ScaleLength(), f"the scales of '{name}'")
        if count != 1 and not (0 <= axis < len(shape) and count == shape[axis]):
            raise _DamageError(
                f"tensor '{name}' has {count} scales, which fits neither the whole tensor nor its axis {axis}"
            )
        scales = tuple(float(s) for s in table.ScaleAsNumpy())
        zeros = tuple(self.vector(table, "ZeroPoint", f"the zero points of '{name}'")) or (0,) * count
        if len(zeros) != count:
            raise _DamageError(f"tensor '{name}' has {count} scales but {len(zeros)} zero points")
        if not all(isfinite(s) and s > 0 for s in scales):
            raise _DamageError(f"tensor '{name}' has a scale that is not a positive number")
        return Quantization(scales, zeros, axis if count > 1 else 0)

    def content(
        self, table: Any, buffers: list[Any], name: str, shape: tuple[int, ...], dtype: str, size: int
    ) -> NDArray[np.generic] | None:
        number = table.Buffer()
        if not 0 <= number < len(buffers):
            raise _DamageError(f"tensor '{name}' refers to buffer {number}, but there are {len(buffers)}")
        buffer = buffers[number]
        if buffer.Offset() or buffer.Size():
            raise _DamageError(f"tensor '{name}' is kept outside the flatbuffer, which is not supported")
        length = buffer.DataLength()
        if length == 0:
            return None
        if dtype not in _DTYPES:
            raise _DamageError(f"constant '{name}' is {dtype}, but only {', '.join(_DTYPES)} are supported")
        expected = size * _DTYPES[dtype].itemsize
        if length != expected:
            raise _DamageError(
                f"constant '{name}' of shape {list(shape)} needs {expected} bytes, its buffer holds {length}"
            )
        raw: bytes = buffer.DataAsNumpy().tobytes() if length <= len(self.data) else b""
        if len(raw) != expected:
            raise _DamageError(f"the buffer of '{name}' reaches beyond the end of the file")
        values: NDArray[np.generic] = np.frombuffer(raw, _DTYPES[dtype]).reshape(shape)
        return values

    def operators(self, graph: Any, codes: list[Any], tensors: tuple[Tensor, ...]) -> list[Operator]:
        tables = list(self.tables(graph, "Operators", "operators"))
        if not tables:
            raise _DamageError("there are no operators")
        return [self.operator(i, len(tables), table, codes, tensors) for i, table in enumerate(tables)]

    def operator(
        self, position: int, total: int, table: Any, codes: list[Any], tensors: tuple[Tensor, ...]
    ) -> Operator:
        place = f"operator {position + 1} of {total}"
        if not 0 <= table.OpcodeIndex() < len(codes):
            raise _DamageError(f"{place} has operator code {table.OpcodeIndex()}, but there are {len(codes)}")
        code = codes[table.OpcodeIndex()]
        number = max(code.BuiltinCode(), code.DeprecatedBuiltinCode())
        name = _OPERATOR_NAMES.get(number, f"operator code {number}")
        if name == "CUSTOM":
            name = f"CUSTOM ({(code.CustomCode() or b'').decode('utf-8', 'replace')})"
        inputs = tuple(self.vector(table, "Inputs", f"the inputs of {place}"))
        outputs = tuple(self.vector(table, "Outputs", f"the outputs of {place}"))
        for index in (*inputs, *outputs):
            if not -1 <= index < len(tensors):
                raise _DamageError(f"{place}, {name}, refers to tensor {index}, but there are {len(tensors)}")
        if -1 in outputs or not outputs:
            raise _DamageError(f"{place}, {name}, has no output tensor")
        place = f"{place}, {name}, output '{tensors[outputs[0]].name}'"
        if name not in _OPTIONS:
            raise InnervateError(
                f"Unsupported operator {name}",
                f"{self.where}, {place}" if self.where else place,
                _INSTEAD.get(
                    name, f"Supported are {', '.join(SUPPORTED)}, all int8; rebuild the model of these"
                ),
            )
        kind, convert = _OPTIONS[name]
        if kind is None:
            return Operator(position, name, inputs, outputs, None)
        if (
            table.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind)
            or table.BuiltinOptions() is None
        ):
            raise _DamageError(f"{place}: its options are missing or another operator's")
        options = getattr(schema, kind)()
        union = table.BuiltinOptions()
        options.Init(union.Bytes, union.Pos)
        try:
            return Operator(position, name, inputs, outputs, convert(options))
        except _DamageError as damage:
            raise _DamageError(f"{place}: {damage}") from None


def _check_order(model: Model) -> None:
    """Every tensor is made once, before it is used; this also rules out cycles."""
    for role, indices in (("input", model.inputs), ("output", model.outputs)):
        if not indices or len(set(indices)) != len(indices):
            raise _DamageError(f"the graph has no {role}s, or one twice")
        for index in indices:
            if not 0 <= index < len(model.tensors):
                raise _DamageError(f"graph {role} {index} is not a tensor; there are {len(model.tensors)}")
            if model.tensors[index].data is not None:
                raise _DamageError(f"graph {role} '{model.tensors[index].name}' is a constant")
    ready = {t.index for t in model.tensors if t.data is not None} | set(model.inputs)
    for operator in model.operators:
        for index in operator.inputs:
            if index != -1 and index not in ready:
                name = model.tensors[index].name
                raise _DamageError(f"{model.place(operator)} uses '{name}' before anything has made it")
        for index in operator.outputs:
            if index in ready:
                raise _DamageError(
                    f"{model.place(operator)} writes '{model.tensors[index].name}' a second time"
                )
            ready.add(index)
    for index in model.outputs:
        if index not in ready:
            raise _DamageError(f"no operator makes the graph output '{model.tensors[index].name}'")


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
    except _DamageError as damage:
        what = str(damage)
        raise InnervateError(what[0].upper() + what[1:], where, _AGAIN) from None
    except _DAMAGE:
        raise InnervateError(
            "Damaged TensorFlow Lite file: an offset points outside it", where, _AGAIN
        ) from None
    check_operators(model)
    return model
