"""One step of a fake-quantized GRU network as a graph: sample and state in, probabilities and state out."""

from typing import Any

import torch

from quantize.builder import layer_integers
from quantize.graph import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, QuantGraph, QuantLayer, Tensor
from quantize.gru.module import GATES, SIGMOID_SCALE, QuantGru
from quantize.quantizers import INPUT_SCALE


def read_step(model: QuantGru) -> QuantGraph:
    """Read the integers of a calibrated network.

    The graph's inputs are `sample` int8 [1, C] and `state` int8 [1, units], both of scale 1/128, the state
    zero at the start; its outputs are `probabilities` int8 [1, K] and `state.next`, the state of the next.

    Raises:
        InnervateError: an input could overflow an int32 accumulator.
    """
    model.eval()
    with torch.no_grad():
        sample = model.input_quant(torch.zeros(1, model.channels))
        state = sample.set(value=torch.zeros(1, model.units))
        values = model.step(sample.value, state.value, model.constants(sample))
        logits = model.logits(state)
    graph = _Step(sample)
    x, h = graph.add("sample", model.channels, INPUT_SCALE), graph.add("state", model.units, INPUT_SCALE)
    both = graph.layer("concat", "sample.state", (x, h), model.channels + model.units, INPUT_SCALE)

    def dense(name: str, source: int) -> int:
        return graph.dense(name, model.kernels[name], source, values[name])

    def pointwise(kind: str, name: str, inputs: tuple[int, ...], scale: float, zero_point: int = 0) -> int:
        return graph.layer(kind, name, inputs, model.units, scale, zero_point)

    gates = [
        pointwise("logistic", f"{name}.open", (dense(name, both),), SIGMOID_SCALE, -128) for name in GATES
    ]
    candidate, recurrent = dense("candidate", x), dense("recurrent", h)
    gated = pointwise("mul", "gated", (gates[0], recurrent), float(values["gated"].scale))
    total = pointwise("add", "sum", (candidate, gated), float(values["sum"].scale))
    new = pointwise("tanh", "new", (total,), INPUT_SCALE)
    difference = pointwise("sub", "difference", (h, new), float(values["difference"].scale))
    share = pointwise("mul", "share", (gates[1], difference), float(values["share"].scale))
    following = pointwise("add", "state.next", (new, share), INPUT_SCALE)
    head = graph.dense("head", model.head, following, logits)
    output = graph.layer(
        "softmax", "probabilities", (head,), model.classes, SOFTMAX_SCALE, SOFTMAX_ZERO_POINT
    )
    return QuantGraph(tuple(graph.tensors), tuple(graph.layers), (x, h), (output, following))


class _Step:
    """Tensors and layers so far; every value is [1, size]."""

    def __init__(self, source: Any) -> None:
        self.source = source
        self.tensors: list[Tensor] = []
        self.layers: list[QuantLayer] = []

    def add(self, name: str, size: int, scale: float, zero_point: int = 0) -> int:
        self.tensors.append(Tensor(name, (1, size), scale, zero_point))
        return len(self.tensors) - 1

    def layer(
        self, kind: str, name: str, inputs: tuple[int, ...], size: int, scale: float, zero_point: int = 0
    ) -> int:
        output = self.add(name, size, scale, zero_point)
        self.layers.append(QuantLayer(kind, name, inputs, output))
        return output

    def dense(self, name: str, module: Any, source: int, value: Any) -> int:
        """Add a dense layer; all that is read has the scale of the input."""
        weights, scales, bias = layer_integers(module, name, self.source)
        output = self.add(name, len(weights), float(value.scale))
        self.layers.append(QuantLayer("dense", name, (source,), output, False, weights, scales, bias))
        return output
