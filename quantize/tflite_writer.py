"""A quantized graph straight into a `.tflite` file: NHWC, no layout operators, scales kept to the bit.

A convolution over time is CONV_2D with height 1. Dense layers read whatever shape their input has (TFLite
flattens it), so not even a RESHAPE is needed. The same graph and metadata always give the same bytes.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from quantize.graph import QuantGraph, QuantLayer, Tensor
from quantize.lstm.operator import lstm_inputs, lstm_intermediates, lstm_options

METADATA_NAME: Final = "innervate"
"""Name of the metadata entry that holds task, labels and signal path as JSON."""
SCHEMA_VERSION: Final = 3
FILE_IDENTIFIER: Final = b"TFL3"
ALIGNMENT: Final = 16
"""Of every constant, as the schema asks: kernels load weights with aligned instructions."""

# Operator and the least version of it that has an int8 kernel with what is used here.
OPERATORS: Final = {
    "conv": (schema.BuiltinOperator.CONV_2D, 3),
    "depthwise": (schema.BuiltinOperator.DEPTHWISE_CONV_2D, 3),
    "dense": (schema.BuiltinOperator.FULLY_CONNECTED, 4),
    "average": (schema.BuiltinOperator.AVERAGE_POOL_2D, 2),
    "max": (schema.BuiltinOperator.MAX_POOL_2D, 2),
    "add": (schema.BuiltinOperator.ADD, 2),
    "sub": (schema.BuiltinOperator.SUB, 2),
    "mul": (schema.BuiltinOperator.MUL, 2),
    "logistic": (schema.BuiltinOperator.LOGISTIC, 2),
    "tanh": (schema.BuiltinOperator.TANH, 2),
    "concat": (schema.BuiltinOperator.CONCATENATION, 2),
    "matmul": (schema.BuiltinOperator.BATCH_MATMUL, 2),
    "pad": (schema.BuiltinOperator.PAD, 2),
    "lstm": (schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM, 1),
    "last": (schema.BuiltinOperator.STRIDED_SLICE, 2),
    "reshape": (schema.BuiltinOperator.RESHAPE, 1),
    "softmax": (schema.BuiltinOperator.SOFTMAX, 2),
    "quantize": (schema.BuiltinOperator.QUANTIZE, 2),
}
# The version where the input has 16 bits.
OPERATORS_INT16: Final = {
    "conv": (schema.BuiltinOperator.CONV_2D, 4),
    "depthwise": (schema.BuiltinOperator.DEPTHWISE_CONV_2D, 5),
    "dense": (schema.BuiltinOperator.FULLY_CONNECTED, 7),
    "average": (schema.BuiltinOperator.AVERAGE_POOL_2D, 3),
    "max": (schema.BuiltinOperator.MAX_POOL_2D, 3),
    "add": (schema.BuiltinOperator.ADD, 3),
    "pad": (schema.BuiltinOperator.PAD, 3),
}
TYPES: Final = {
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
    "float32": schema.TensorType.FLOAT32,
}


def write(graph: QuantGraph, metadata: Mapping[str, object] | None = None) -> bytes:
    """Return the bytes of a `.tflite` file.

    Args:
        graph: what to write.
        metadata: JSON-ready facts (task, labels, signal path) kept in the file under `METADATA_NAME`.
    """
    return _Writer(graph).file(metadata or {})


class _AlignedBuffer(schema.BufferT):
    """A constant on a 16-byte boundary; the generated `Pack` aligns to one byte."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        """Add it to a file; its offset."""
        content = bytes(self.data)
        builder.StartVector(1, len(content), ALIGNMENT)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return int(schema.BufferEnd(builder))


class Buffers:
    """Constants of a file, each content once.

    Attributes:
        all: what goes into the file.
    """

    def __init__(self) -> None:
        self.all: list[Any] = [schema.BufferT()]  # buffer 0 is empty by convention
        self._stored: dict[bytes, int] = {}

    def index(self, content: bytes) -> int:
        """Store a constant, where it is not there already, and return its number."""
        if content not in self._stored:
            buffer = _AlignedBuffer()
            buffer.data = content
            self._stored[content] = len(self.all)
            self.all.append(buffer)
        return self._stored[content]


class SharedQuantization(schema.QuantizationParametersT):
    """Scales and zero points; vectors that are equal are stored once in a file.

    Every channel of every constant has a zero point of 8 bytes, always zero: a seventh of a small file.
    """

    def __init__(
        self, scales: NDArray[np.float32], zero_points: NDArray[np.int64], axis: int, stored: dict[bytes, int]
    ) -> None:
        super().__init__()
        self.scale, self.zeroPoint, self.quantizedDimension = scales, zero_points, axis
        self.stored = stored

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        """Add them to a file; their offset."""
        vectors = []
        for values in (self.scale, self.zeroPoint):
            key = values.dtype.char.encode() + values.tobytes()
            if key not in self.stored:
                self.stored[key] = builder.CreateNumpyVector(values)
            vectors.append(self.stored[key])
        schema.QuantizationParametersStart(builder)
        schema.QuantizationParametersAddScale(builder, vectors[0])
        schema.QuantizationParametersAddZeroPoint(builder, vectors[1])
        schema.QuantizationParametersAddQuantizedDimension(builder, self.quantizedDimension)
        return int(schema.QuantizationParametersEnd(builder))


class _Writer:
    """Collects buffers, tensors and operator codes of one file."""

    def __init__(self, graph: QuantGraph) -> None:
        self.graph = graph
        self.buffers = Buffers()
        self.vectors: dict[bytes, int] = {}
        self.tensors: list[Any] = [self.activation(tensor) for tensor in graph.tensors]
        self.codes: list[tuple[int, int]] = []

    def file(self, metadata: Mapping[str, object]) -> bytes:
        """Pack everything."""
        subgraph = schema.SubGraphT()
        subgraph.name = b"main"
        subgraph.operators = [self.operator(layer) for layer in self.graph.layers]
        subgraph.tensors = self.tensors
        subgraph.inputs, subgraph.outputs = list(self.graph.inputs), list(self.graph.given)

        model = schema.ModelT()
        model.version = SCHEMA_VERSION
        model.description = b"Innervate int8 model"
        model.subgraphs = [subgraph]
        model.operatorCodes = [_operator_code(*code) for code in self.codes]
        model.signatureDefs = [self.signature()]
        model.metadata = [
            self.metadata(METADATA_NAME, _json(metadata)),
            self.metadata("min_runtime_version", b"2.3.0".ljust(16, b"\0")),
        ]
        model.buffers = self.buffers.all
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def activation(self, source: Tensor) -> Any:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = source.name.encode(), list(source.shape)
        tensor.type, tensor.isVariable = TYPES[source.dtype], source.variable
        tensor.buffer = 0 if source.data is None else self.buffers.index(source.data.tobytes())
        if source.dtype != "float32":
            tensor.quantization = self.quantization(np.array([source.scale]), source.zero_point)
        return tensor

    def quantization(self, scales: NDArray[Any], zero_point: int, axis: int = 0) -> SharedQuantization:
        zero_points = np.full(len(scales), zero_point, np.int64)
        return SharedQuantization(scales.astype(np.float32), zero_points, axis, self.vectors)

    def constant(
        self, name: str, values: NDArray[Any], scales: NDArray[np.float32] | None = None, axis: int = 0
    ) -> int:
        """Add a constant, with one scale a channel along `axis` where it has scales; the tensor's index."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape = name.encode(), list(values.shape)
        tensor.type = TYPES[values.dtype.name]
        tensor.buffer = self.buffers.index(values.astype(values.dtype.newbyteorder("<")).tobytes())
        if scales is not None:
            tensor.quantization = self.quantization(scales, 0, axis)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def operator(self, layer: QuantLayer) -> Any:
        wide = self.graph.tensors[layer.inputs[0]].dtype == "int16"
        code = OPERATORS_INT16.get(layer.kind, OPERATORS[layer.kind]) if wide else OPERATORS[layer.kind]
        if code not in self.codes:
            self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self.codes.index(code)
        operator.inputs, operator.outputs = list(layer.inputs), [layer.output]
        operator.builtinOptionsType, operator.builtinOptions = _options(
            layer, self.graph.tensors[layer.inputs[0]], self.graph.tensors[layer.output]
        )
        if layer.weights is not None:
            assert layer.weight_scales is not None
            assert layer.bias is not None
            axis = 3 if layer.kind == "depthwise" else 0
            bias = layer.bias.astype(np.int64) if wide else layer.bias
            source = np.float32(self.graph.tensors[layer.inputs[0]].scale)
            operator.inputs += [
                self.constant(f"{layer.name}.weight", layer.weights, layer.weight_scales, axis),
                self.constant(f"{layer.name}.bias", bias, source * layer.weight_scales, 0),
            ]
        if layer.kind == "pad":
            top, bottom, left, right = layer.padding
            sides = np.array([[0, 0], [top, bottom], [left, right], [0, 0]], np.int32)
            operator.inputs.append(self.constant(f"{layer.name}.sides", sides))
        if layer.kind == "last":
            operator.inputs += self.last_position(layer)
        if layer.kind == "lstm":
            value, hidden = self.graph.tensors[layer.inputs[0]], self.graph.tensors[layer.output]
            operator.inputs = lstm_inputs(layer, value, self.constant)
            first = len(self.tensors)
            self.tensors += [self.activation(tensor) for tensor in lstm_intermediates(layer, hidden)]
            operator.intermediates = list(range(first, len(self.tensors)))
        return operator

    def last_position(self, layer: QuantLayer) -> list[int]:
        """Begin, end and stride of a slice: all of the batch and the channels, the last of each axis between.

        The options' masks say to ignore the bounds of the first and the last axis.
        """
        rank = len(self.graph.tensors[layer.inputs[0]].shape)
        begin = np.array([0, *[-1] * (rank - 2), 0], np.int32)
        stops = (("begin", begin), ("end", np.zeros(rank, np.int32)), ("stride", np.ones(rank, np.int32)))
        return [self.constant(f"{layer.name}.{name}", values) for name, values in stops]

    def signature(self) -> Any:
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        names = [tensor.name for tensor in self.graph.tensors]
        signature.inputs = [_named(names[index], index) for index in self.graph.inputs]
        signature.outputs = [_named(names[index], index) for index in self.graph.given]
        return signature

    def metadata(self, name: str, content: bytes) -> Any:
        entry = schema.MetadataT()
        entry.name, entry.buffer = name.encode(), self.buffers.index(content)
        return entry


def _options(layer: QuantLayer, source: Tensor, output: Tensor) -> tuple[int, Any]:
    kinds, rank = schema.BuiltinOptions, len(source.shape)
    padding = schema.Padding.SAME if layer.same else schema.Padding.VALID
    activation = schema.ActivationFunctionType.RELU if layer.relu else schema.ActivationFunctionType.NONE
    match layer.kind:
        case "conv" | "depthwise":
            options = schema.Conv2DOptionsT() if layer.kind == "conv" else schema.DepthwiseConv2DOptionsT()
            options.padding, options.fusedActivationFunction = padding, activation
            options.strideH, options.strideW = layer.stride
            options.dilationHFactor, options.dilationWFactor = layer.dilation
            if layer.kind == "depthwise":
                options.depthMultiplier = layer.multiplier
                return kinds.DepthwiseConv2DOptions, options
            return kinds.Conv2DOptions, options
        case "dense":
            options = schema.FullyConnectedOptionsT()
            options.fusedActivationFunction = activation
            return kinds.FullyConnectedOptions, options
        case "average" | "max":
            options = schema.Pool2DOptionsT()
            options.padding = padding
            options.filterHeight, options.filterWidth = layer.kernel
            options.strideH, options.strideW = layer.stride
            return kinds.Pool2DOptions, options
        case "pad":
            return kinds.PadOptions, schema.PadOptionsT()
        case "quantize":
            return kinds.QuantizeOptions, schema.QuantizeOptionsT()
        case "lstm":
            return kinds.UnidirectionalSequenceLSTMOptions, lstm_options(layer)
        case "last":
            options = schema.StridedSliceOptionsT()
            ends = 1 | 1 << (rank - 1)
            options.beginMask = options.endMask = ends
            options.shrinkAxisMask = (1 << rank) - 1 - ends
            return kinds.StridedSliceOptions, options
        case "reshape":
            options = schema.ReshapeOptionsT()
            options.newShape = list(output.shape)
            return kinds.ReshapeOptions, options
        case "add":
            options = schema.AddOptionsT()
            options.fusedActivationFunction = activation
            return kinds.AddOptions, options
        case "sub":
            return kinds.SubOptions, schema.SubOptionsT()
        case "mul":
            return kinds.MulOptions, schema.MulOptionsT()
        case "concat":
            options = schema.ConcatenationOptionsT()
            options.axis = rank - 1
            return kinds.ConcatenationOptions, options
        case "matmul":
            options = schema.BatchMatMulOptionsT()
            options.adjX, options.adjY = False, layer.transposed
            return kinds.BatchMatMulOptions, options
        case "logistic" | "tanh":
            return kinds.NONE, None
        case _:
            options = schema.SoftmaxOptionsT()
            options.beta = 1.0
            return kinds.SoftmaxOptions, options


def _json(metadata: Mapping[str, object]) -> bytes:
    return json.dumps(metadata, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def _operator_code(builtin: int, version: int) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, builtin, version
    return code


def _named(name: str, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name.encode(), index
    return entry
