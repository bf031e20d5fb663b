"""A `.tflite` file opened for editing: operators are replaced or dropped, then the rest is written again.

What is written holds only the tensors, constants and operator codes that something uses; equal constants are
stored once. Tensors keep their names.
"""

import struct
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any, Final

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.tflite_model import Quantization, Tensor
from quantize.tflite_reader import read_file
from quantize.tflite_writer import (
    FILE_IDENTIFIER,
    METADATA_NAME,
    SCHEMA_VERSION,
    Buffers,
    SharedQuantization,
)

_ENDS_MAX: Final = 64
_NAMELESS: Final = ("StatefulPartitionedCall", "PartitionedCall")
_DAMAGED: Final = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
_REMEDY: Final = "Convert the model again as a plain full-integer model"


@dataclass(eq=False)
class Node:
    """One operator; `table` is the schema's object of it, of which tensors and code are set when writing."""

    name: str
    version: int
    inputs: list[int]
    outputs: list[int]
    table: Any = field(default_factory=schema.OperatorT)

    @property
    def options(self) -> Any:
        """The schema's options object, None where the operator has none."""
        return self.table.builtinOptions

    @property
    def output(self) -> int:
        """The first output."""
        return self.outputs[0]


class Graph:
    """Tensors and operators of a file with one graph.

    Attributes:
        tensors: all that were ever there; those that nothing uses are not written.
        nodes: operators in execution order.
        inputs: tensors that are fed.
        outputs: tensors that are given.
        metadata: content of the file's `innervate` entry.
    """

    def __init__(self, data: bytes, where: str = "") -> None:
        model = read_file(data, where)
        if model.subgraphs:
            raise InnervateError(
                f"The file has {len(model.subgraphs) + 1} graphs, so it has branches or loops",
                where,
                "Convert a model without control flow; recurrent layers as LSTM or GRU of Keras or PyTorch",
            )
        for tensor in model.tensors:
            if tensor.sparse:
                raise InnervateError(
                    "The constant is stored sparse", f"{where}, tensor '{tensor.label}'", _REMEDY
                )
        self.where = where
        self.tensors: list[Tensor] = list(model.tensors)
        self.inputs, self.outputs = list(model.inputs), list(model.outputs)
        try:
            root = schema.Model.GetRootAs(data, 0)
            subgraph = root.Subgraphs(0)
            self.nodes = [
                Node(
                    operator.name.partition(" ")[0],
                    operator.version,
                    list(operator.inputs),
                    list(operator.outputs),
                    _operator_table(subgraph.Operators(operator.position), root),
                )
                for operator in model.operators
            ]
            self._signature = _signature(root)
            self.metadata = _metadata(root)
        except _DAMAGED:
            raise InnervateError("Damaged TensorFlow Lite file", where, _REMEDY) from None

    def producer(self, tensor: int) -> Node | None:
        """Return the operator that makes a tensor."""
        return next((node for node in self.nodes if tensor in node.outputs), None)

    def readers(self, tensor: int) -> list[Node]:
        """Return the operators that read a tensor, one that reads it twice once."""
        return [node for node in self.nodes if tensor in node.inputs]

    def only_reader(self, tensor: int) -> bool:
        """Whether one operator reads a tensor and nobody outside does."""
        return tensor not in self.outputs and len(self.readers(tensor)) == 1

    def add(self, like: Tensor, name: str, **changes: Any) -> int:
        """Add a tensor that is computed, as `like` but for what is given; its index."""
        changes = {"data": None, "signature": (), "variable": False} | changes
        self.tensors.append(replace(like, index=len(self.tensors), name=name, **changes))
        return len(self.tensors) - 1

    def changed(self, tensor: int, **changes: Any) -> Tensor:
        """Return a tensor with some facts changed."""
        return replace(self.tensors[tensor], **changes)

    def constant(
        self, name: str, values: NDArray[np.generic], quantization: Quantization | None = None
    ) -> int:
        """Add a constant, int8 or int32; its index."""
        dtype = values.dtype.name.upper()
        index = len(self.tensors)
        self.tensors.append(Tensor(index, name, values.shape, dtype, quantization, values))
        return index

    def insert(self, node: Node, before: Node | None = None, after: Node | None = None) -> None:
        """Put an operator in its place in the order of execution; without one, last."""
        at = len(self.nodes)
        if before is not None:
            at = self.nodes.index(before)
        if after is not None:
            at = self.nodes.index(after) + 1
        self.nodes.insert(at, node)

    def rename_reads(self, old: int, new: int) -> None:
        """Let all that read a tensor read another; what is given outside stays."""
        for node in self.nodes:
            node.inputs = [new if index == old else index for index in node.inputs]

    def drop_unused(self) -> bool:
        """Remove operators of which nothing is used; whether there were any."""
        before = len(self.nodes)
        kept: list[Node] = []
        wanted = set(self.outputs)
        for node in reversed(self.nodes):
            keeps_state = any(i != -1 and self.tensors[i].variable for i in node.inputs)
            if keeps_state or not wanted.isdisjoint(node.outputs):
                wanted |= set(node.inputs)
                kept.append(node)
        self.nodes = kept[::-1]
        return len(self.nodes) < before

    def shorten_names(self) -> None:
        """Leave out of names what all have in common or what says nothing of the layer."""
        inner = {i for node in self.nodes for i in (*node.inputs, *node.outputs)} - {-1}
        inner -= {*self.inputs, *self.outputs}
        names = {i: self.tensors[i].name.rsplit(";", 1)[-1].split("/") for i in inner}
        names = {i: [part for part in parts if part not in _NAMELESS] or parts for i, parts in names.items()}
        heads = {parts[0] for parts in names.values() if len(parts) > 1}
        for i, parts in names.items():
            self.tensors[i] = self.changed(i, name="/".join(parts[1:] if {parts[0]} == heads else parts))

    def write(self) -> bytes:
        """Return the file."""
        self.drop_unused()
        return _Packer(self).file()

    def signature(self) -> tuple[list[tuple[bytes, int]], list[tuple[bytes, int]]]:
        """Names by which the inputs and outputs are known outside."""
        known = self._signature
        return tuple(  # type: ignore[return-value]
            [(known.get(index, self.tensors[index].name.encode()), index) for index in ends]
            for ends in (self.inputs, self.outputs)
        )

    def replace_end(self, old: int, new: int) -> None:
        """Let another tensor be fed or given in place of one; it takes over its name in the signature."""
        for ends in (self.inputs, self.outputs):
            ends[:] = [new if index == old else index for index in ends]
        if old in self._signature:
            self._signature[new] = self._signature.pop(old)

    def rename(self, tensor: int, name: str) -> None:
        """Give a tensor, and it in the signature, a name."""
        self.tensors[tensor] = replace(self.tensors[tensor], name=name)
        self._signature[tensor] = name.encode()


def _operator_table(table: Any, root: Any) -> Any:
    """The schema's object of an operator; the reader has bounded all but the options, which are flat."""
    code = root.OperatorCodes(table.OpcodeIndex())
    made = schema.OperatorT.InitFromObj(table)
    made.customCode = code.CustomCode()
    return made


def _signature(root: Any) -> dict[int, bytes]:
    """Names of the ends in the file's only signature; empty where there is none, or several."""
    if root.SignatureDefsLength() != 1:
        return {}
    signature = root.SignatureDefs(0)
    counts = signature.InputsLength(), signature.OutputsLength()
    if max(counts) > _ENDS_MAX:
        return {}
    entries = [signature.Inputs(i) for i in range(counts[0])]
    entries += [signature.Outputs(i) for i in range(counts[1])]
    return {entry.TensorIndex(): entry.Name() or b"" for entry in entries}


def _metadata(root: Any) -> bytes:
    """Content of the entry that Innervate writes; empty where there is none."""
    for i in range(min(root.MetadataLength(), _ENDS_MAX)):
        entry = root.Metadata(i)
        if entry.Name() == METADATA_NAME.encode():
            return bytes(root.Buffers(entry.Buffer()).DataAsNumpy())
    return b""


class _Packer:
    """Numbers what is used and writes it."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.buffers = Buffers()
        self.vectors: dict[bytes, int] = {}
        self.codes: dict[tuple[str, int, bytes], int] = {}

    def file(self) -> bytes:
        graph = self.graph
        used = set(graph.inputs) | set(graph.outputs)
        for node in graph.nodes:
            used |= {*node.inputs, *node.outputs, *_numbers(node.table.intermediates)}
        order = sorted(used - {-1})
        number = {index: position for position, index in enumerate(order)} | {-1: -1}
        subgraph = schema.SubGraphT()
        subgraph.name = b"main"
        subgraph.tensors = [self.tensor(graph.tensors[index]) for index in order]
        subgraph.operators = [self.operator(node, number) for node in graph.nodes]
        subgraph.inputs = [number[index] for index in graph.inputs]
        subgraph.outputs = [number[index] for index in graph.outputs]
        model = schema.ModelT()
        model.version, model.description = SCHEMA_VERSION, b"Innervate int8 model"
        model.subgraphs = [subgraph]
        model.operatorCodes = [_code(*key) for key in self.codes]
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
        fed, given = graph.signature()
        signature.inputs = [_named(name, number[index]) for name, index in fed]
        signature.outputs = [_named(name, number[index]) for name, index in given]
        model.signatureDefs = [signature]
        if graph.metadata:
            entry = schema.MetadataT()
            entry.name, entry.buffer = METADATA_NAME.encode(), self.buffers.index(graph.metadata)
            model.metadata = [entry]
        model.buffers = self.buffers.all
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), FILE_IDENTIFIER)
        return bytes(builder.Output())

    def tensor(self, source: Tensor) -> Any:
        tensor = schema.TensorT()
        tensor.name, tensor.shape = source.name.encode(), list(source.shape)
        tensor.type = getattr(schema.TensorType, source.dtype)
        tensor.isVariable = source.variable
        tensor.buffer = 0 if source.data is None else self.buffers.index(source.data.tobytes())
        if -1 in source.signature:
            tensor.shapeSignature = list(source.signature)
        if source.quantization is not None:
            scales = np.array(source.quantization.scale, np.float32)
            zero_points = np.array(source.quantization.zero_point, np.int64)
            axis = source.quantization.axis
            tensor.quantization = SharedQuantization(scales, zero_points, axis, self.vectors)
        return tensor

    def operator(self, node: Node, number: dict[int, int]) -> Any:
        custom = getattr(node.table, "customCode", None) or b""
        key = (node.name, node.version, custom)
        operator = copy(node.table)
        operator.opcodeIndex = self.codes.setdefault(key, len(self.codes))
        operator.inputs = [number[index] for index in node.inputs]
        operator.outputs = [number[index] for index in node.outputs]
        if operator.intermediates is not None:
            operator.intermediates = [number[i] for i in _numbers(operator.intermediates)]
        return operator


def _numbers(values: Sequence[int] | NDArray[np.int32] | None) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _code(name: str, version: int, custom: bytes) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode = min(
        code.builtinCode, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES
    )
    code.version, code.customCode = version, custom or None
    return code


def _named(name: bytes, index: int) -> Any:
    entry = schema.TensorMapT()
    entry.name, entry.tensorIndex = name, index
    return entry
