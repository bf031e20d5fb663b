"""A plain torch module as a short list of layers that int8 TFLite has.

`lower` traces the module with torch.fx, folds batch norms into the layer before them, fuses ReLU, drops
what does nothing at inference (Dropout, Identity) and keeps float weights in torch's layout. Everything after
it (Brevitas model, quantized graph, file) is built from this list, so what is unsupported is refused here,
once, by its path.
"""

import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import torch
import torch.fx
from torch import nn
from torch.fx.passes.shape_prop import ShapeProp

from edge.errors import InnervateError
from quantize import images
from quantize.attention.lowering import attention_layers
from quantize.images import bias_of
from quantize.lstm.lowering import lstm_layers
from quantize.network import (
    CONTEXT,
    INPUT,
    Add,
    Conv,
    Dense,
    Layer,
    Network,
    Padding,
    Pool,
    Reshape,
    Shape,
)
from quantize.offset import Offset
from quantize.supported import REPLACEMENTS, SUPPORTED
from quantize.views import Views
from train import reshape

FUSED: Final[dict[type[nn.Module], Callable[[Any, str, Shape], tuple[Layer, ...]]]] = {
    nn.LSTM: lstm_layers,
    nn.MultiheadAttention: attention_layers,
}
"""Makes the layers of a sequence module, each of which reads the one before it, from the module, its path and
its input's shape."""


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, reshape.Reshape) or super().is_leaf_module(m, module_qualified_name)


def lower(model: nn.Module, input_shape: Shape, context: int = 0) -> Network:
    """List the layers of `model`, with its weights as they are now.

    Args:
        model: returns logits [N, K] (or [N, K, 1, 1]) for float input [N, *input_shape], and a context
            vector [N, context] where it takes one.
        input_shape: (C, H, W).
        context: values of the context vector, 0 for none.

    Raises:
        InnervateError: a module or operation that cannot become an int8 operator, named by its path.
    """
    was_training = model.training
    model.eval()
    try:
        traced = torch.fx.GraphModule(model, _Tracer().trace(model))
        vectors = [torch.zeros(2, context)] if context else []
        ShapeProp(traced).propagate(torch.zeros(2, *input_shape), *vectors)
    except (torch.fx.proxy.TraceError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise InnervateError(
            f"the model cannot be traced: {reason}",
            type(model).__name__,
            "Write forward() without branches that depend on data, for input "
            f"[N, {', '.join(map(str, input_shape))}]",
        ) from error
    finally:
        model.train(was_training)
    return _Lowering(traced, input_shape, context).run()


class _Lowering:
    """State of one walk over the traced graph."""

    def __init__(self, traced: torch.fx.GraphModule, input_shape: Shape, context: int) -> None:
        self.modules = dict(traced.named_modules())
        self.graph = traced.graph
        self.input_shape, self.context = input_shape, context
        self.layers: list[Layer] = []
        self.made: dict[torch.fx.Node, int] = {}
        self.pending_pad: dict[torch.fx.Node, Padding] = {}
        self.joined: dict[torch.fx.Node, list[torch.fx.Node]] = {}  # what a torch.cat puts side by side
        self.views = Views(self.made, self.emit, self.shape_of)

    def run(self) -> Network:
        result = INPUT
        for node in self.graph.nodes:
            if node.op == "placeholder":
                self.made[node] = CONTEXT if INPUT in self.made.values() else INPUT
            elif node.op == "call_module":
                self.module(node, self.modules[str(node.target)])
            elif node.op in ("call_function", "call_method"):
                self.function(node)
            elif node.op == "output":
                source = node.args[0]
                if not isinstance(source, torch.fx.Node):
                    raise InnervateError(
                        "a model must return one tensor", "output", "Return the logits alone"
                    )
                result = self.made[source]
        if not self.layers or result != len(self.layers) - 1:
            raise InnervateError(
                "the output is not the last layer", "output", "Return the logits of the last layer"
            )
        network = Network(self.input_shape, tuple(self.layers), self.context)
        if any(size != 1 for size in network.layers[-1].shape[1:]):
            shape = "x".join(map(str, network.layers[-1].shape))
            raise InnervateError(
                f"the output of shape {shape} is not one value a class",
                network.layers[-1].name,
                "End with AdaptiveAvgPool2d(1) or Linear",
            )
        return network

    def module(self, node: torch.fx.Node, module: nn.Module) -> None:
        """Lower a call of a leaf module."""
        path, source = str(node.target), node.args[0] if node.args else None
        if type(module) in FUSED:
            self.fused(node, module)
            return
        if isinstance(module, nn.Dropout | nn.Dropout2d | nn.Identity) and isinstance(source, torch.fx.Node):
            if source in self.joined:
                self.joined[node] = self.joined[source]
            else:
                self.views.same(node)
            return
        match module:
            case reshape.Reshape():
                self.emit(node, Reshape(path, self.inputs(node), module.shape, module.batch))
            case nn.Conv2d():
                pad = self.pending_pad.get(self.source(node), (0, 0, 0, 0))
                self.emit(node, images.convolution(module, path, *self.around(node), pad))
            case nn.Linear():
                self.linear(node, module)
            case nn.BatchNorm2d() | nn.BatchNorm1d() if _normalises(module, _shape(node)):
                self.batch_norm(node, module)
            case nn.ReLU():
                self.relu(node)
            case nn.MaxPool2d():
                self.emit(node, images.max_pool(module, path, *self.around(node)))
            case nn.AvgPool2d():
                self.emit(node, images.average_pool(module, path, self.inputs(node), _shape(node)))
            case nn.AdaptiveAvgPool2d():
                self.emit(node, images.global_average(module, path, *self.around(node)))
            case nn.ZeroPad2d():
                left, right, top, bottom = (int(side) for side in module.padding)
                self.made[node] = self.made[self.source(node)]
                self.pending_pad[node] = (top, bottom, left, right)
                if not all(_is_conv(self.modules, user) for user in node.users):
                    raise InnervateError(
                        "padding without a convolution after it", path, "Put ZeroPad2d right before Conv2d"
                    )
            case nn.Flatten() if module.start_dim == 1 and len(_shape(node)) == 1:
                self.made[node] = self.made[self.source(node)]
            case _:
                kind = type(module).__name__
                remedy = REPLACEMENTS.get(kind)
                fix = f"Use {remedy}" if remedy else f"What can be used: {SUPPORTED}"
                raise InnervateError(f"{kind} has no int8 form here", path, fix)

    def function(self, node: torch.fx.Node) -> None:
        """Lower a call of a function or of a tensor's method."""
        if node.target in (torch.relu, nn.functional.relu, "relu"):
            self.relu(node)
        elif node.target in (torch.flatten, "flatten") and tuple(node.args[1:]) in ((1,), (1, -1)):
            self.made[node] = self.made[self.source(node)]
        elif node.target in (operator.add, torch.add, "add") and not node.kwargs:
            if not self.offset(node):
                self.add(node)
        elif constants := [part.name for part in node.all_input_nodes if part.op == "get_attr"]:
            raise InnervateError(
                f"a constant has no int8 form here but in a sum: {', '.join(constants)}",
                node.name,
                "Give the constant the shape in which it is added",
            )
        elif node.target in (torch.cat, torch.concat) and (parts := _flat_parts(node)):
            self.joined[node] = parts
        elif node.target in (torch.mean, "mean") and self.views.takes_mean(node):
            self.pooled(node)
        elif not self.views.view(node):
            name = getattr(node.target, "__name__", str(node.target))
            raise InnervateError(
                f"the operation {name} has no int8 form here", node.name, f"What can be used: {SUPPORTED}"
            )

    def fused(self, node: torch.fx.Node, module: nn.Module) -> None:
        """Lower a module over a sequence [N, T, C]."""
        path, kind, source = str(node.target), type(module).__name__, node.args[0] if node.args else None
        given = [*node.args, *node.kwargs.values()]
        if not isinstance(source, torch.fx.Node) or any(
            part is not source and not (part is None or isinstance(part, bool)) for part in given
        ):
            raise InnervateError(
                f"{kind} with more than its input has no int8 form here",
                path,
                "Call it with its input alone: no state, no mask, no other keys or values",
            )
        if not self.views.is_sequence(source):
            raise InnervateError(
                f"the input of {kind} is not [N, T, C]",
                path,
                "Give it x.squeeze(2).permute(0, 2, 1) of x [N, C, 1, T]",
            )
        index = self.made[source]
        for layer in FUSED[type(module)](module, path, self.shape_of(index)):
            self.emit(node, replace(layer, inputs=(index,)))
            index = self.made[node]
        self.views.results(node, path, states=isinstance(module, nn.LSTM))

    def linear(self, node: torch.fx.Node, module: nn.Linear) -> None:
        path, first = str(node.target), node.args[0]
        if first in self.joined:
            self.linear_of_parts(node, module)
            return
        if self.views.is_sequence(first):  # a convolution of one step
            self.views.same(node)
            index, one, none = self.made[node], (1, 1), (0, 0, 0, 0)
            weight = module.weight.detach()[:, :, None, None].clone()
            bias = bias_of(module, module.out_features)
            shape = (module.out_features, *self.shape_of(index)[1:])
            self.emit(node, Conv(path, (index,), shape, weight, bias, one, none, one, 1, same=False))
            return
        if len(_shape(self.source(node))) != 1:
            raise InnervateError(
                "Linear on an input that is not flat has no int8 form here", path, "Put Flatten before it"
            )
        weight, bias = module.weight.detach().clone(), bias_of(module, module.out_features)
        self.emit(node, Dense(path, self.inputs(node), _shape(node), weight, bias))

    def linear_of_parts(self, node: torch.fx.Node, module: nn.Linear) -> None:
        """Lower Linear on vectors side by side as a sum of one Linear each: every part keeps its scale."""
        path, weight = str(node.target), module.weight.detach().clone()
        parts = self.joined[node.args[0]]  # type: ignore[index]
        total, bias, start = None, bias_of(module, module.out_features), 0
        for part in parts:
            size = _shape(part)[0]
            held = weight[:, start : start + size].contiguous()
            name = f"{path}.{part.name}"
            self.layers.append(Dense(name, (self.made[self.views.plain(part)],), _shape(node), held, bias))
            index, bias, start = len(self.layers) - 1, torch.zeros_like(bias), start + size
            if total is not None:
                self.layers.append(Add(f"{path}.sum", (total, index), _shape(node)))
                index = len(self.layers) - 1
            total = index
        assert total is not None
        self.made[node] = total

    def batch_norm(self, node: torch.fx.Node, module: nn.BatchNorm2d | nn.BatchNorm1d) -> None:
        """Fold into the layer before; with none to fold into, a 1x1 depthwise convolution is the same."""
        assert module.running_mean is not None
        assert module.running_var is not None
        scale = (module.running_var + module.eps).rsqrt()
        if module.weight is not None:
            scale = scale * module.weight.detach()
        offset = -module.running_mean * scale
        if module.bias is not None:
            offset = offset + module.bias.detach()
        producer = self.producer(node)
        if isinstance(producer, Conv | Dense) and not producer.relu:
            weight = producer.weight * scale.reshape(-1, *[1] * (producer.weight.ndim - 1))
            self.layers[self.made[self.source(node)]] = replace(
                producer, weight=weight, bias=producer.bias * scale + offset
            )
            self.made[node] = self.made[self.source(node)]
        elif len(_shape(node)) == 3:
            weight = scale.detach().clone().reshape(-1, 1, 1, 1)
            path, inputs, shape, none = str(node.target), self.inputs(node), _shape(node), (0, 0, 0, 0)
            self.emit(
                node, Conv(path, inputs, shape, weight, offset, (1, 1), none, (1, 1), len(weight), False)
            )
        else:
            raise InnervateError(
                "batch norm without a layer before it to fold into", str(node.target), "Put it after Linear"
            )

    def relu(self, node: torch.fx.Node) -> None:
        """Fuse into the layer before; a maximum commutes with ReLU, so it may stand between."""
        producer = self.producer(node)
        self.views.same(node)
        index = self.made[node]
        if (
            isinstance(producer, Pool)
            and producer.kind == "max"
            and len(self.users_of(producer.inputs[0])) == 1
        ):
            index = producer.inputs[0]
            producer = self.layers[index] if index >= 0 else None
        if isinstance(producer, Conv | Dense | Add):
            self.layers[index] = replace(producer, relu=True)
        else:
            raise InnervateError(
                "ReLU without a layer before it to fuse with",
                node.name,
                "Put it right after Conv2d or Linear",
            )

    def pooled(self, node: torch.fx.Node) -> None:
        """Lower a mean over all steps, of axes in any order."""
        index = self.made[node.args[0]]  # type: ignore[index]
        before = self.shape_of(index)
        self.emit(node, images.mean_of_all(node.name, (index,), before, (before[0], 1, 1)))

    def add(self, node: torch.fx.Node) -> None:
        parts = node.args
        if len(parts) != 2 or not all(isinstance(part, torch.fx.Node) for part in parts):
            raise InnervateError(
                "adding a constant has no int8 form here", node.name, "Use the bias of a layer"
            )
        nodes = [part for part in parts if isinstance(part, torch.fx.Node)]
        if not all(self.views.is_sequence(part) for part in nodes):
            nodes = [self.views.plain(part) for part in nodes]
        if _shape(nodes[0]) != _shape(nodes[1]):
            raise InnervateError(
                "adding tensors of different shapes has no int8 form here", node.name, "Make the shapes equal"
            )
        first, second = (self.made[part] for part in nodes)
        self.views.same(node)
        self.emit(node, Add(node.name, (first, second), self.shape_of(first)))

    def offset(self, node: torch.fx.Node) -> bool:
        """Lower the sum of a value and a constant of the model, such as a position; False for other sums."""
        parts = [part for part in node.args if isinstance(part, torch.fx.Node)]
        held = [part for part in parts if part.op == "get_attr"]
        if len(parts) != 2 or len(held) != 1:
            return False
        source = parts[0] if parts[1] is held[0] else parts[1]
        rank = len(_shape(source)) + 1
        constant = operator.attrgetter(str(held[0].target))(self.modules[""]).detach().float()
        constant = constant[(None,) * (rank - constant.ndim)]
        if len(constant) != 1 or rank != (3 if self.views.is_sequence(source) else 4):
            raise InnervateError(
                f"adding a constant of shape {tuple(constant.shape)} has no int8 form here",
                node.name,
                "Add it to [N, T, C] or [N, C, 1, T], the same for every window",
            )
        index = self.made[source if rank == 3 else self.views.plain(source)]
        shaped = constant[0].T[:, None] if rank == 3 else constant[0]
        self.views.follow(node, source)
        self.emit(node, Offset(node.name, (index,), self.shape_of(index), shaped.clone()))
        return True

    def emit(self, node: torch.fx.Node, layer: Layer) -> None:
        self.made[node] = len(self.layers)
        self.layers.append(layer)

    def source(self, node: torch.fx.Node) -> torch.fx.Node:
        source = node.args[0]
        assert isinstance(source, torch.fx.Node)
        if source in self.joined:
            raise InnervateError(
                "torch.cat without Linear after it has no int8 form here", source.name, "Put Linear after it"
            )
        return self.views.plain(source)

    def shape_of(self, index: int) -> Shape:
        """Shape of a layer's output, or of one of the model's inputs."""
        return Network(self.input_shape, tuple(self.layers), self.context).shape_of(index)

    def around(self, node: torch.fx.Node) -> tuple[tuple[int, ...], Shape, Shape]:
        """Input of a node, its shape without padding that is still to be fused, and the node's own shape."""
        inputs = self.inputs(node)
        return inputs, self.shape_of(inputs[0]), _shape(node)

    def inputs(self, node: torch.fx.Node) -> tuple[int, ...]:
        return (self.made[self.source(node)],)

    def producer(self, node: torch.fx.Node) -> Layer | None:
        """Find the layer before `node`, if nothing else reads it."""
        index = self.made[node.args[0]]  # type: ignore[index]
        return self.layers[index] if index >= 0 and len(self.users_of(index)) == 1 else None

    def users_of(self, index: int) -> set[torch.fx.Node]:
        """Nodes that read a layer's value, through whatever was folded into it so far."""
        holders = {node for node, made in self.made.items() if made == index}
        return {user for holder in holders for user in holder.users} - holders


def _shape(node: torch.fx.Node) -> Shape:
    """Shape of a node's value without the batch."""
    return tuple(node.meta["tensor_meta"].shape[1:])


def _flat_parts(node: torch.fx.Node) -> list[torch.fx.Node]:
    """Vectors [N, C] that a torch.cat joins; none where it joins anything else."""
    given, *rest = node.args
    axis = rest[0] if rest else node.kwargs.get("dim", 0)
    if axis not in (1, -1) or not isinstance(given, list | tuple):
        return []
    parts = [part for part in given if isinstance(part, torch.fx.Node) and len(_shape(part)) == 1]
    return parts if len(parts) == len(given) else []


def _normalises(module: nn.Module, shape: Shape) -> bool:
    """Whether a batch norm keeps running statistics, over the channels of such a shape."""
    kept = getattr(module, "running_mean", None) is not None
    return kept and len(shape) == (3 if isinstance(module, nn.BatchNorm2d) else 1)


def _is_conv(modules: dict[str, nn.Module], node: torch.fx.Node) -> bool:
    return node.op == "call_module" and isinstance(modules[str(node.target)], nn.Conv2d)
