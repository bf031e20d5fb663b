"""Writes small `.tflite` files for tests with the schema object API: a call a tensor, a call an operator."""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

SAME, VALID = schema.Padding.SAME, schema.Padding.VALID
_VERSIONS = {
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 4,
    "MEAN": 2,
    "SOFTMAX": 2,
    "ADD": 2,
    "PAD": 2,
    "STRIDED_SLICE": 2,
    "SUB": 2,
    "MUL": 2,
    "LOGISTIC": 2,
    "TANH": 2,
    "CONCATENATION": 2,
    "MAXIMUM": 2,
    "MINIMUM": 2,
    "BATCH_MATMUL": 2,
    "LEAKY_RELU": 2,
    "PACK": 2,
    "PADV2": 2,
    "QUANTIZE": 2,
    "RELU": 2,
    "RELU6": 2,
    "RSQRT": 2,
    "SLICE": 2,
    "SPLIT": 2,
    "SQUARED_DIFFERENCE": 2,
    "TRANSPOSE": 2,
    "UNPACK": 2,
}
_OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "BATCH_MATMUL": "BatchMatMulOptions",
    "CONCATENATION": "ConcatenationOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "MAX_POOL_2D": "Pool2DOptions",
    "LEAKY_RELU": "LeakyReluOptions",
    "MAXIMUM": "MaximumMinimumOptions",
    "MEAN": "ReducerOptions",
    "MINIMUM": "MaximumMinimumOptions",
    "MUL": "MulOptions",
    "PACK": "PackOptions",
    "PAD": "PadOptions",
    "PADV2": "PadV2Options",
    "RESHAPE": "ReshapeOptions",
    "SOFTMAX": "SoftmaxOptions",
    "SPLIT": "SplitOptions",
    "SQUEEZE": "SqueezeOptions",
    "STRIDED_SLICE": "StridedSliceOptions",
    "SUB": "SubOptions",
    "UNPACK": "UnpackOptions",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTMOptions",
}


class Maker:
    """A graph under construction; tensors are known by their index."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.operatorCodes = []
        self.model.buffers = [schema.BufferT()]
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators, self.graph.inputs = [], [], []
        self.model.subgraphs = [self.graph]
        self._codes: dict[str, int] = {}

    def tensor(
        self,
        shape: Sequence[int],
        scale: float | Sequence[float] | None = None,
        zero_point: int = 0,
        data: NDArray[Any] | None = None,
        axis: int = 0,
        int16: bool = False,
    ) -> int:
        tensor = schema.TensorT()
        tensor.shape = list(shape)
        tensor.name = f"t{len(self.graph.tensors)}".encode()
        name = str(data.dtype if data is not None else "int16" if int16 else "int8").upper()
        tensor.type = getattr(schema.TensorType, name)
        tensor.buffer = 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if scale is not None:
            scales = [scale] if isinstance(scale, float) else list(scale)
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = scales
            tensor.quantization.zeroPoint = [zero_point] * len(scales)
            tensor.quantization.quantizedDimension = axis
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def input(self, shape: Sequence[int], scale: float, zero_point: int) -> int:
        index = self.tensor(shape, scale, zero_point)
        self.graph.inputs.append(index)
        return index

    def constant(
        self,
        data: NDArray[Any],
        scale: float | Sequence[float] | None = None,
        axis: int = 0,
        zero_point: int = 0,
    ) -> int:
        return self.tensor(data.shape, scale, zero_point, data, axis)

    def state(self, shape: Sequence[int], scale: float, zero_point: int, int16: bool = False) -> int:
        """A tensor that keeps its values between calls."""
        index = self.tensor(shape, scale, zero_point)
        self.graph.tensors[index].isVariable = True
        if int16:
            self.graph.tensors[index].type = schema.TensorType.INT16
        return index

    def operator(self, name: str, inputs: Sequence[int], output: int, *further: int, **options: Any) -> int:
        """Add an operator; return its first output."""
        if name not in self._codes:
            code = schema.OperatorCodeT()
            code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
            code.version = _VERSIONS.get(name, 1)
            self._codes[name] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes[name]
        operator.inputs, operator.outputs = list(inputs), [output, *further]
        operator.intermediates = options.pop("intermediates", None)
        if name in _OPTIONS:
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, _OPTIONS[name])
            operator.builtinOptions = getattr(schema, _OPTIONS[name] + "T")()
            for key, value in options.items():
                assert hasattr(operator.builtinOptions, key), key
                setattr(operator.builtinOptions, key, value)
        self.graph.operators.append(operator)
        return output

    def finish(self, *outputs: int) -> bytes:
        self.graph.outputs = list(outputs)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
