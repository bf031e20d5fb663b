"""The two ends of an imported graph: int8, and what a signal path gives and a decision rule takes."""

from typing import Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edge.context import INPUT as CONTEXT
from edge.errors import InnervateError
from quantize.graph import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT
from quantize.importing.editing import Graph, Node
from quantize.importing.layout import LAYOUT, reshape, transpose
from quantize.tflite_model import Quantization

WINDOW: Final = "window"
PROBABILITIES: Final = "probabilities"
_REAL: Final = ("FLOAT32", "UINT8")
_PROBABILITY: Final = Quantization((SOFTMAX_SCALE,), (SOFTMAX_ZERO_POINT,), 0)
# What to train with in the place of layers that no int8 kernel knows.
INSTEAD: Final = {
    "ELU": "Train with ReLU",
    "EXP": "Train with ReLU (ELU and SELU become exponentials)",
    "GELU": "Train with ReLU",
    "ERF": "Train with ReLU (GELU becomes this)",
    "SELECT": "Train with ReLU (ELU and SELU become this)",
    "SELECT_V2": "Train with ReLU (ELU and SELU become this)",
    "LOG": "Take logarithms out of the model; a softmax may stand at its end",
}


def fix_batch(graph: Graph) -> list[str]:
    """Settle a batch that was left open at 1; the shapes that were then computed become constants.

    Raises:
        InnervateError: another dimension is open.
    """
    open_batch = False
    for index, tensor in enumerate(graph.tensors):
        if not tensor.dynamic:
            continue
        if -1 in tensor.signature[1:] or tensor.shape[0] != 1:
            raise InnervateError(
                f"Dimensions {list(tensor.signature)} are only known at run time",
                f"{graph.where}, tensor '{tensor.label}'",
                "Convert the model with fixed shapes",
            )
        graph.tensors[index] = graph.changed(index, signature=())
        open_batch = True
    for node in graph.nodes:
        if node.name == "RESHAPE" and len(node.inputs) > 1:
            shape = np.array(graph.tensors[node.output].shape, np.int32)
            if graph.tensors[node.inputs[1]].data is None:
                node.inputs[1] = graph.constant("shape", shape)
    graph.drop_unused()
    return ["the batch, which was open, is 1"] if open_batch else []


def strip_conversions(graph: Graph) -> list[str]:
    """Let int8 tensors be the ends where a float or uint8 end is only converted from or to them."""
    notes = []
    for index in list(graph.inputs):
        readers = graph.readers(index)
        if graph.tensors[index].dtype in _REAL and readers and all(n.name == "QUANTIZE" for n in readers):
            targets = [graph.tensors[node.output] for node in readers]
            if all((t.dtype, t.quantization) == ("INT8", targets[0].quantization) for t in targets):
                first = targets[0].index
                for node in readers:
                    graph.nodes.remove(node)
                    graph.rename_reads(node.output, first)
                graph.replace_end(index, first)
                notes.append(f"input '{graph.tensors[index].label}' is int8 now, without QUANTIZE")
    for index in list(graph.outputs):
        maker = graph.producer(index)
        if maker is None or maker.name not in ("DEQUANTIZE", "QUANTIZE"):
            continue
        source = maker.inputs[0]
        if graph.tensors[index].dtype in _REAL and graph.tensors[source].dtype == "INT8":
            if source in graph.inputs or source in graph.outputs:
                continue
            graph.replace_end(index, source)
            notes.append(f"output '{graph.tensors[index].label}' is int8 now, without {maker.name}")
    graph.drop_unused()
    return notes


def check_int8(graph: Graph) -> None:
    """Check that no operator works in float and that the ends are int8.

    Raises:
        InnervateError: which one does.
    """
    activations = {index for node in graph.nodes for index in (*node.inputs, *node.outputs) if index != -1}
    floats = {i for i in activations if graph.tensors[i].dtype in ("FLOAT32", "FLOAT16")}
    if not any(graph.tensors[i].dtype == "INT8" and graph.tensors[i].data is None for i in activations):
        raise InnervateError(
            "A float model",
            graph.where,
            "Give the Keras file or SavedModel with --calibrate DATA, or convert it as a full-integer model",
        )
    for position, node in enumerate(graph.nodes):
        if node.name in ("QUANTIZE", "DEQUANTIZE") or floats.isdisjoint((*node.inputs, *node.outputs)):
            continue
        label = graph.tensors[node.output].label
        raise InnervateError(
            f"{node.name} has no int8 form and runs in float",
            f"{graph.where}, operator {position + 1} of {len(graph.nodes)}, output '{label}'",
            INSTEAD.get(
                node.name, "Use a layer that converts to int8, or convert it as a full-integer model"
            ),
        )
    for role, ends in (("input", graph.inputs), ("output", graph.outputs)):
        for index in ends:
            tensor = graph.tensors[index]
            if tensor.dtype != "INT8" or tensor.quantization is None:
                raise InnervateError(
                    f"The {role} '{tensor.label}' is {tensor.dtype}, not int8 with a scale",
                    graph.where,
                    "Convert it with int8 inputs and outputs (full-integer quantization)",
                )


def fit_window(graph: Graph, window: int, channels: int, step: float) -> list[str]:
    """Let the first input be a window of a signal path, int8 [1, window, channels].

    Args:
        graph: changed in place.
        window: rows of what the path hands over.
        channels: columns.
        step: real value of one int8 step of a window, as the model was trained.

    Returns:
        What was done.

    Raises:
        InnervateError: the input has other extents.
    """
    old = graph.inputs[0]
    source = graph.tensors[old]
    extents = tuple(extent for extent in source.shape if extent > 1)
    wanted = tuple(extent for extent in (window, channels) if extent > 1)
    notes = []
    in_order = source.shape[-1] == channels and extents == wanted
    turned = extents != wanted
    if turned and extents != wanted[::-1]:
        raise InnervateError(
            f"The model takes {list(source.shape)}, the signal path makes windows of {window} x {channels}",
            graph.where,
            "Train the model on the windows of this signal path, or name another with --like",
        )
    here = Quantization((float(np.float32(step)),), (0,), 0)
    if source.quantization != here:
        inner = graph.add(source, f"{source.name}.rescaled")
        graph.rename_reads(old, inner)
        fed = graph.add(source, WINDOW, quantization=here)
        node = Node("QUANTIZE", 1, [fed], [inner])
        node.table.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
        node.table.builtinOptions = schema.QuantizeOptionsT()
        graph.insert(node, before=graph.nodes[0])
        graph.replace_end(old, fed)
        notes.append(
            f"QUANTIZE at the input: the model's int8 steps are {source.scale:g} with zero at "
            f"{source.zero_point}, a window's {step:g} with zero at 0"
        )
        old, source = fed, graph.tensors[fed]
    if not in_order:
        fed = graph.add(source, WINDOW, shape=(1, window, channels))
        if turned:
            across = graph.add(source, f"{source.name}.turned", shape=(1, channels, window))
            move = [transpose(graph, fed, across, (0, 2, 1)), reshape(graph, across, old)]
            notes.append(f"windows are turned from {window} x {channels} to {channels} x {window}")
        else:
            move = [reshape(graph, fed, old)]
        graph.nodes[:0] = move
        graph.replace_end(old, fed)
    return notes


def trim_input(graph: Graph, channels: int) -> None:
    """Let the first input have the shape that its only reader, a RESHAPE, gives it, channels last."""
    fed = graph.inputs[0]
    readers = graph.readers(fed)
    if len(readers) == 1 and readers[0].name in LAYOUT - {"TRANSPOSE"}:
        shaped = readers[0].output
        if shaped not in graph.outputs and graph.tensors[shaped].shape[-1] == channels:
            graph.nodes.remove(readers[0])
            graph.replace_end(fed, shaped)


def end_in_probabilities(graph: Graph) -> list[str]:
    """Put a SOFTMAX behind a first output that is not quantized as probabilities are."""
    old = graph.outputs[0]
    if graph.tensors[old].quantization == _PROBABILITY:
        return []
    new = graph.add(graph.tensors[old], PROBABILITIES, quantization=_PROBABILITY)
    node = Node("SOFTMAX", 2, [old], [new])
    node.table.builtinOptionsType = schema.BuiltinOptions.SoftmaxOptions
    node.table.builtinOptions = schema.SoftmaxOptionsT()
    node.table.builtinOptions.beta = 1.0
    graph.insert(node)
    graph.replace_end(old, new)
    return ["SOFTMAX at the output: the model gave no probabilities (int8 steps of 1/256)"]


def name_context(graph: Graph) -> None:
    """Name the context as the rest of Innervate does, and let it stand behind the window."""
    for index in graph.inputs:
        bare = graph.tensors[index].name.removeprefix("serving_default_").partition(":")[0]
        if bare == CONTEXT:
            graph.rename(index, CONTEXT)
    graph.inputs.sort(key=lambda index: graph.tensors[index].name == CONTEXT)


def name_ends(graph: Graph) -> None:
    """Name window and probabilities as the rest of Innervate knows them; states keep their names."""
    graph.rename(graph.inputs[0], WINDOW)
    graph.rename(graph.outputs[0], PROBABILITIES)
