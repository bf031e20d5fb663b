"""`.tflite` files of any operators, types and graphs, written with the schema object API."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Given:
    """A tensor; a constant where it has data."""

    shape: Sequence[int]
    dtype: str = "INT8"
    scale: float | Sequence[float] | None = 0.5
    zero_point: int = 0
    data: NDArray[Any] | None = None
    axis: int = 0
    signature: Sequence[int] | None = None
    variable: bool = False


@dataclass(frozen=True, eq=False)
class Step:
    """An operator; `inputs` and `outputs` index the graph's tensors."""

    name: str
    inputs: Sequence[int]
    outputs: Sequence[int]
    options: str = ""  # of the schema, without "Options"
    version: int = 1
    fields: Any = ()  # of the options
    custom: str = ""
    intermediates: Sequence[int] = ()


@dataclass(frozen=True, eq=False)
class Graph:
    tensors: Sequence[Given]
    steps: Sequence[Step]
    inputs: Sequence[int]
    outputs: Sequence[int]


def constant(values: Any, dtype: str = "INT32", scale: float | None = None, zero_point: int = 0) -> Given:
    data = np.array(values, np.dtype(dtype.lower()))
    return Given(data.shape, dtype, scale, zero_point, data)


def write(*graphs: Graph) -> bytes:
    """The bytes of a file; the first graph is the main one."""
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, [], [schema.BufferT()]
    model.subgraphs = [_graph(model, graph) for graph in graphs]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def one_operator(
    name: str, inputs: Sequence[Given], output: Given, options: str = "", version: int = 1, **fields: Any
) -> bytes:
    """A file of one operator; its inputs without data are the graph's."""
    fed = [i for i, tensor in enumerate(inputs) if tensor.data is None and not tensor.variable]
    last = len(inputs)
    step = Step(name, range(last), [last], options, version, tuple(fields.items()))
    return write(Graph([*inputs, output], [step], fed, [last]))


def _graph(model: Any, graph: Graph) -> Any:
    packed = schema.SubGraphT()
    packed.tensors = [_tensor(model, i, tensor) for i, tensor in enumerate(graph.tensors)]
    packed.operators = [_operator(model, step) for step in graph.steps]
    packed.inputs, packed.outputs = list(graph.inputs), list(graph.outputs)
    return packed


def _tensor(model: Any, index: int, given: Given) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = f"t{index}".encode(), list(given.shape), 0
    tensor.type = getattr(schema.TensorType, given.dtype)
    tensor.isVariable = given.variable
    if given.signature is not None:
        tensor.shapeSignature = list(given.signature)
    if given.data is not None:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(given.data.tobytes(), np.uint8)
        tensor.buffer = len(model.buffers)
        model.buffers.append(buffer)
    if given.scale is not None and given.dtype in ("INT8", "UINT8", "INT16", "INT32"):
        scales = [float(s) for s in np.atleast_1d(given.scale)]
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale, tensor.quantization.quantizedDimension = scales, given.axis
        tensor.quantization.zeroPoint = [given.zero_point] * len(scales)
    return tensor


def _operator(model: Any, step: Step) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, step.name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), step.version
    code.customCode = step.custom.encode() or None
    model.operatorCodes.append(code)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(model.operatorCodes) - 1
    operator.inputs, operator.outputs = list(step.inputs), list(step.outputs)
    operator.intermediates = list(step.intermediates)
    if step.options:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{step.options}Options")
        operator.builtinOptions = getattr(schema, f"{step.options}OptionsT")()
        for key, value in step.fields:
            assert hasattr(operator.builtinOptions, key), key
            setattr(operator.builtinOptions, key, value)
    return operator
