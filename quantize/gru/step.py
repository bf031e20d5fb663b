"""One step of a fake-quantized stepwise network as a graph: a chunk and the state in, both ends out."""

from typing import Any

import torch

from quantize.builder import GraphBuilder
from quantize.extract import read_layers
from quantize.graph import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, QuantGraph, QuantLayer, Tensor
from quantize.gru.module import GATES, SIGMOID_SCALE
from quantize.gru.stepwise import QuantStepwise
from train.models import INPUT_SCALE


def read_step(model: QuantStepwise) -> QuantGraph:
    """Read the integers of a calibrated network.

    The graph's inputs are `window` int8 [1, 1, chunk, C] (or [1, C] where a sample is a step), `context` int8
    [1, F] where there is some, and `state` int8 [1, units] of scale 1/128, zero at the start; its outputs are
    `probabilities` int8 [1, K] and `state.next`, the state of the next step.

    Raises:
        InnervateError: a scale that is not finite and positive, or a channel that could overflow int32.
    """
    model.eval()
    network = model.network
    with torch.no_grad():
        features = model.features(torch.zeros(1, network.channels, 1, network.chunk))
        state = features.set(value=torch.zeros(1, network.units))
        values = model.gru.step(features.value, state.value, model.gru.constants(features))
        logits = model.logits(state, torch.zeros(1, network.context) if network.context else None)
    step = _Step(model, features)
    window, x = step.front()
    context = (step.value("context", logits[1]),) if network.context else ()
    h = step.add("state", network.units, INPUT_SCALE)
    following = step.gru(x, h, values)
    output = step.head(following, context, logits)
    graph = step.graph
    inputs = (window, *context, h)
    return QuantGraph(tuple(graph.tensors), tuple(graph.layers), inputs, (output, following))


class _Step:
    """The graph so far; but for the front's, every value is [1, size]."""

    def __init__(self, model: QuantStepwise, source: Any) -> None:
        self.model, self.network, self.source = model, model.network, source
        self.graph = GraphBuilder()

    def front(self) -> tuple[int, int]:
        """Add the front network; the window and the features."""
        if self.model.front is None:
            window = self.add("window", self.network.channels, INPUT_SCALE)
            return window, window
        self.graph, (window,) = read_layers(self.model.front)
        features = len(self.graph.tensors) - 1
        shape = (1, self.network.features)
        if self.graph.tensors[features].shape != shape:
            image, features = features, self.graph.like(features, "features", shape)
            self.graph.layers.append(QuantLayer("reshape", "features", (image,), features))
        return window, features

    def gru(self, x: int, h: int, values: dict[str, Any]) -> int:
        """Add the step; the next state."""
        units, kernels = self.network.units, self.model.gru.kernels
        both = self.layer("concat", "features.state", (x, h), self.network.features + units, INPUT_SCALE)

        def dense(name: str, source: int) -> int:
            return self.dense(name, kernels[name], source, self.source, values[name])

        def pointwise(
            kind: str, name: str, inputs: tuple[int, ...], scale: float, zero_point: int = 0
        ) -> int:
            return self.layer(kind, name, inputs, units, scale, zero_point)

        gates = [
            pointwise("logistic", f"{name}.open", (dense(name, both),), SIGMOID_SCALE, -128) for name in GATES
        ]
        candidate, recurrent = dense("candidate", x), dense("recurrent", h)
        gated = pointwise("mul", "gated", (gates[0], recurrent), float(values["gated"].scale))
        total = pointwise("add", "sum", (candidate, gated), float(values["sum"].scale))
        new = pointwise("tanh", "new", (total,), INPUT_SCALE)
        difference = pointwise("sub", "difference", (h, new), float(values["difference"].scale))
        share = pointwise("mul", "share", (gates[1], difference), float(values["share"].scale))
        return pointwise("add", "state.next", (new, share), INPUT_SCALE)

    def head(self, state: int, context: tuple[int, ...], logits: tuple[Any, ...]) -> int:
        """Add what makes logits of the state and of the context, and the softmax."""
        said = self.dense("head", self.model.head, state, self.source, logits[0])
        classes = len(self.network.head)
        for source in context:
            beside = self.dense("context.head", self.model.context_head, source, logits[1], logits[2])
            scale = float(logits[3].scale)
            said = self.layer("add", "logits", (said, beside), classes, scale)
        return self.layer("softmax", "probabilities", (said,), classes, SOFTMAX_SCALE, SOFTMAX_ZERO_POINT)

    def add(self, name: str, size: int, scale: float, zero_point: int = 0) -> int:
        return self.graph.add(Tensor(name, (1, size), scale, zero_point))

    def value(self, name: str, value: Any) -> int:
        return self.graph.value(name, (1, value.value.shape[1]), value)

    def layer(
        self, kind: str, name: str, inputs: tuple[int, ...], size: int, scale: float, zero_point: int = 0
    ) -> int:
        output = self.add(name, size, scale, zero_point)
        self.graph.layers.append(QuantLayer(kind, name, inputs, output))
        return output

    def dense(self, name: str, module: Any, tensor: int, source: Any, value: Any) -> int:
        """Add a dense layer that reads `tensor`, of the scale of `source`."""
        output = self.value(name, value)
        self.graph.dense(name, module, source, tensor, output)
        return output
