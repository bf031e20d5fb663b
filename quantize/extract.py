"""The integers of a calibrated Brevitas network as a `QuantGraph`."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch

from quantize.builder import GraphBuilder, layer_integers
from quantize.graph import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, QuantGraph, QuantLayer, Tensor
from quantize.network import (
    CONTEXT,
    INPUT,
    Add,
    Conv,
    Dense,
    Fused,
    Last,
    Layer,
    Padding,
    Pool,
    Reshape,
)
from quantize.qat import QuantNetwork, Values
from quantize.wide import is_wide

INT16_STEPS: Final = 256
"""Steps of a 16-bit value in one of a signed 8-bit value that has the same range."""


def read_graph(model: QuantNetwork) -> QuantGraph:
    """Read the integers of a calibrated network, with a softmax after its logits.

    Raises:
        InnervateError: a scale that is not finite and positive, or a channel that could overflow int32.
    """
    graph, inputs = read_layers(model)
    logits = graph.tensors[-1]
    graph.add(Tensor("probabilities", logits.shape, SOFTMAX_SCALE, SOFTMAX_ZERO_POINT))
    graph.layers.append(QuantLayer("softmax", "softmax", (len(graph.tensors) - 2,), len(graph.tensors) - 1))
    return QuantGraph(tuple(graph.tensors), tuple(graph.layers), inputs)


def read_layers(model: QuantNetwork) -> tuple[GraphBuilder, tuple[int, ...]]:
    """Read the integers of a calibrated network's layers: what ends in its output, and the inputs.

    Raises:
        InnervateError: as `read_graph`.
    """
    model.eval()
    network = model.network
    context = torch.zeros(1, network.context) if network.context else None
    with torch.no_grad():
        values = model.values(torch.zeros(1, *network.input_shape), context)
    reading = _Reading(model, values)
    reading.run()
    return reading.graph, reading.inputs


class _Reading:
    """One walk over a network: `made` holds the tensor of each value, `inputs` the model's own."""

    def __init__(self, model: QuantNetwork, values: Values) -> None:
        self.model, self.network, self.weighted, self.values = model, model.network, model.weighted, values
        self.graph = GraphBuilder()
        self.made: dict[int, int] = {}
        self.widened: dict[int, int] = {}
        self.inputs: tuple[int, ...] = ()

    def run(self) -> None:
        """Add the inputs and every layer."""
        self.made[INPUT] = self.graph.value("window", self.nhwc(INPUT), self.values[INPUT])
        self.inputs = (self.made[INPUT],)
        if self.network.context:
            shape = (1, self.network.context)
            self.made[CONTEXT] = self.graph.value("context", shape, self.values[CONTEXT])
            self.inputs += (self.made[CONTEXT],)
        for index, layer in enumerate(self.network.layers):
            tensor, source = self.read(index, layer.inputs[0]), self.values[layer.inputs[0]]
            match layer:
                case Conv():
                    self.made[index] = self.conv(index, layer, self.padded(layer, tensor), source)
                case Dense():
                    self.made[index] = self.dense(index, layer, tensor, source)
                case Fused():
                    self.made[index] = self.fused(index, layer, tensor, source)
                case Pool():
                    self.made[index] = self.output(index)
                    self.append(
                        QuantLayer(
                            layer.kind, layer.name, (tensor,), self.made[index],
                            stride=layer.stride, kernel=layer.kernel, same=layer.same,
                        )
                    )  # fmt: skip
                case Reshape():
                    self.made[index] = self.reshape(index, layer, tensor)
                case Last():
                    self.made[index] = self.output(index)
                    self.append(QuantLayer("last", layer.name, (tensor,), self.made[index]))
                case Add():
                    inputs = tuple(self.read(index, source) for source in layer.inputs)
                    output = self.output(index)
                    self.append(QuantLayer("add", layer.name, inputs, output, layer.relu))
                    self.made[index] = self.narrowed(index, output)

    def nhwc(self, index: int) -> tuple[int, ...]:
        """Shape of a value in the file."""
        channels, *size = self.network.shape_of(index)
        return (self.network.batch_of(index), *(size[1:] if self.sequence(index) else size), channels)

    def sequence(self, index: int) -> bool:
        """Whether the window or a sequence layer's output has no height: [1, W, C] in place of [1, H, W, C].

        So it is where all that read it take it like that.
        """
        if index >= 0 and not _takes_sequence(self.network.layers[index]):
            return False
        readers = [layer for layer in self.network.layers if index in layer.inputs]
        return any(_takes_sequence(reader) for reader in readers) and all(
            _takes_sequence(reader) or isinstance(reader, Dense) for reader in readers
        )

    def is_wide(self, index: int) -> bool:
        return is_wide(self.network, self.model.wide, index)

    def read(self, index: int, source: int) -> int:
        """Tensor of a value as a layer reads it: widened, which is exact, where the layer has 16 bits."""
        tensor = self.graph.tensors[self.made[source]]
        if not self.is_wide(index) or tensor.dtype == "int16":
            return self.made[source]
        if source not in self.widened:
            wide = replace(tensor, name=f"{tensor.name}.int16", zero_point=0, dtype="int16")
            self.widened[source] = self.graph.add(wide)
            self.append(QuantLayer("quantize", wide.name, (self.made[source],), self.widened[source]))
        return self.widened[source]

    def output(self, index: int) -> int:
        """Tensor that a layer's operator gives; of an operator with 16 bits it is not yet `narrowed`."""
        name, value = self.network.layers[index].name, self.values[index]
        if self.is_wide(index) and index not in self.model.wide:
            steps = INT16_STEPS if value.signed else INT16_STEPS // 2
            wide = Tensor(f"{name}.int16", self.nhwc(index), float(value.scale) / steps, 0, "int16")
            return self.graph.add(wide)
        return self.graph.value(name, self.nhwc(index), value)

    def narrowed(self, index: int, output: int) -> int:
        """Tensor of a layer's value, rounded to 8 bits where its operator gives 16 and its readers take 8."""
        if not self.is_wide(index) or index in self.model.wide:
            return output
        name = self.network.layers[index].name
        tensor = self.graph.value(name, self.nhwc(index), self.values[index])
        self.append(QuantLayer("quantize", name, (output,), tensor))
        return tensor

    def append(self, layer: QuantLayer) -> None:
        self.graph.layers.append(layer)

    def padded(self, layer: Conv, tensor: int) -> int:
        """Put zeros round an input whose padding is not SAME."""
        if layer.same or not any(layer.padding):
            return tensor
        name, shape = f"{layer.name}.pad", _grown(self.graph.tensors[tensor].shape, layer.padding)
        padded = self.graph.like(tensor, name, shape)
        self.append(QuantLayer("pad", name, (tensor,), padded, padding=layer.padding))
        return padded

    def conv(self, index: int, layer: Conv, tensor: int, source: Any) -> int:
        output, depthwise = self.output(index), layer.groups > 1
        weights, scales, bias = layer_integers(self.weighted[str(index)], layer.name, source)
        # OIHW to OHWI; a depthwise filter is stored as [1, kh, kw, channels * multiplier].
        weights = np.ascontiguousarray(weights.transpose((1, 2, 3, 0) if depthwise else (0, 2, 3, 1)))
        self.append(
            QuantLayer(
                "depthwise" if depthwise else "conv", layer.name, (tensor,), output, layer.relu,
                weights, scales, bias, layer.stride, layer.dilation, same=layer.same,
                multiplier=len(layer.weight) // layer.groups,
            )
        )  # fmt: skip
        return self.narrowed(index, output)

    def dense(self, index: int, layer: Dense, tensor: int, source: Any) -> int:
        output = self.output(index)
        weights, scales, bias = layer_integers(self.weighted[str(index)], layer.name, source)
        in_shape = self.network.shape_of(layer.inputs[0])
        if len(in_shape) == 3:  # torch flattens (C, H, W), the file's tensors are (H, W, C)
            weights = weights.reshape(-1, *in_shape).transpose(0, 2, 3, 1).reshape(len(weights), -1)
        weights = np.ascontiguousarray(weights)
        self.append(QuantLayer("dense", layer.name, (tensor,), output, layer.relu, weights, scales, bias))
        return self.narrowed(index, output)

    def fused(self, index: int, layer: Fused, tensor: int, source: Any) -> int:
        if layer.sequence and len(self.graph.tensors[tensor].shape) == 4:
            tensor = self.reshaped(tensor, f"{layer.name}.steps", (1, layer.shape[2], source.value.shape[1]))
        output = layer.write(self.graph, self.weighted[str(index)], tensor, source, self.values[index])
        if layer.sequence and not self.sequence(index):
            output = self.reshaped(output, f"{layer.name}.image", self.nhwc(index))
        return output

    def reshape(self, index: int, layer: Reshape, tensor: int) -> int:
        """Add a reshape; of the window none is needed, for whoever fills it sees no shape."""
        if layer.inputs == (INPUT,) and all(
            isinstance(other, Reshape) and other.shape == layer.shape
            for other in self.network.layers
            if INPUT in other.inputs
        ):
            self.graph.tensors[tensor] = replace(self.graph.tensors[tensor], shape=self.nhwc(index))
            return tensor
        return self.reshaped(tensor, layer.name, self.nhwc(index))

    def reshaped(self, tensor: int, name: str, shape: tuple[int, ...]) -> int:
        output = self.graph.like(tensor, name, shape)
        self.append(QuantLayer("reshape", name, (tensor,), output))
        return output


def _takes_sequence(layer: Layer) -> bool:
    return isinstance(layer, Last) or (isinstance(layer, Fused) and layer.sequence)


def _grown(shape: tuple[int, ...], padding: Padding) -> tuple[int, ...]:
    top, bottom, left, right = padding
    batch, height, width, channels = shape
    return (batch, height + top + bottom, width + left + right, channels)
