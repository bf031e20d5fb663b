"""What can be taken out of a network whole: channels, memory units, heads, and all that hangs on them.

The network is traced by torch.fx and run on numbers in place of values: each element carries the number of
the unit it comes from. What only moves values (flatten, permute, concatenation, ...) moves the numbers by
running the very operation on them; a layer with weights gives its outputs new numbers and notes which numbers
its inputs have; a sum makes the numbers of its terms one. Numbers that have become one go together.
"""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.fx
from numpy.typing import NDArray
from torch import nn
from torch.fx.passes.shape_prop import ShapeProp, TensorMetadata

from edge.errors import InnervateError
from train.reshape import Reshape

FIXED: Final = 0
"""Number of what cannot be taken out: the model's inputs and outputs, and what a rule is missing for."""
SHAPE: Final = "shape"
"""Stands for the name of a weight: the number of channels that a `Reshape` gives."""
CHANNEL: Final = 1
"""Axis of channels in [N, C, H, W] and [N, C]."""
VIEWS: Final = frozenset(
    [
        "cat",
        "chunk",
        "contiguous",
        "expand",
        "flatten",
        "flip",
        "getattr",
        "getitem",
        "movedim",
        "narrow",
        "permute",
        "ravel",
        "reshape",
        "select",
        "size",
        "split",
        "squeeze",
        "stack",
        "swapaxes",
        "transpose",
        "unbind",
        "unflatten",
        "unfold",
        "unsqueeze",
        "view",
    ]
)
SAME: Final = frozenset("clamp clone dropout elu float gelu neg relu sigmoid tanh".split())  # noqa: SIM905
SUMS: Final = frozenset("add iadd sub mul imul".split())  # noqa: SIM905
GATES: Final = {nn.LSTM: 4, nn.GRU: 3}


@dataclass(frozen=True)
class Axis:
    """Which unit each position along one axis of a weight belongs to.

    Attributes:
        module: path of the module.
        tensor: name of its parameter or buffer, or `SHAPE`.
        axis: of that.
        units: int64 [size of the axis], `FIXED` where a position stays.
        zeroed: positions of a unit taken out become zero and stay: the module must keep its shape.
    """

    module: str
    tensor: str
    axis: int
    units: NDArray[np.int64]
    zeroed: bool = False


@dataclass(frozen=True)
class Layer:
    """Units that can go one by one; of layers whose outputs are added, the units of all of them.

    Attributes:
        name: path of the module that makes them, of the first where several do.
        kind: channels, units (of a memory) or heads.
        units: int64, numbers of what can go, in order of position.
    """

    name: str
    kind: str
    units: NDArray[np.int64]

    @property
    def size(self) -> int:
        """How many units there are."""
        return len(self.units)

    @property
    def step(self) -> int:
        """Units that go at once, so that widths stay multiples of what integer kernels do in one pass."""
        if self.kind == "heads" or self.size < 6:
            return 1
        return 2 if self.size < 12 else 4


@dataclass(frozen=True)
class Units:
    """All that can be taken out of a network, in the order it runs."""

    layers: tuple[Layer, ...]
    axes: tuple[Axis, ...]


def find_units(model: nn.Module, examples: Sequence[torch.Tensor]) -> Units:
    """Find what can be taken out of `model`.

    Args:
        model: a network that torch.fx can trace; left as it is.
        examples: float32, one tensor for each argument of `forward`.

    Raises:
        InnervateError: the model cannot be traced.
    """
    was_training = model.training
    model.eval()
    try:
        given = list(inspect.signature(model.forward).parameters)[len(examples) :]
        traced = torch.fx.GraphModule(model, _Tracer().trace(model, dict.fromkeys(given)))
        inputs = [example[:1].expand(2, *example.shape[1:]) for example in examples]
        with torch.no_grad():
            ShapeProp(traced).propagate(*inputs)
            walk = _Walk(traced)
            walk.run(*(torch.full_like(x, FIXED, dtype=torch.int64) for x in inputs))
    except (torch.fx.proxy.TraceError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().splitlines()[0]
        raise InnervateError(
            f"the model cannot be traced for pruning: {reason}",
            type(model).__name__,
            "Write forward() without branches that depend on data",
        ) from error
    finally:
        model.train(was_training)
    return walk.found()


class _Tracer(torch.fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Reshape) or super().is_leaf_module(m, module_qualified_name)


class _Walk(torch.fx.Interpreter):
    """One run of a traced network on numbers of units."""

    def __init__(self, traced: torch.fx.GraphModule) -> None:
        super().__init__(traced)
        self._parent = [FIXED]  # of each number, in a forest whose roots name the units
        self._makers: list[tuple[str, str, int, int]] = []  # path, kind, first number, number after the last
        self._axes: dict[tuple[str, str, int], Axis] = {}

    def found(self) -> Units:
        """Sum up after the run."""
        roots = np.array([self._root(number) for number in range(len(self._parent))])
        axes = tuple(
            Axis(axis.module, axis.tensor, axis.axis, roots[axis.units], axis.zeroed)
            for axis in self._axes.values()
        )
        layers: list[Layer] = []
        counted: set[int] = {FIXED}
        for path, kind, first, last in self._makers:
            own = [int(unit) for unit in dict.fromkeys(roots[first:last]) if unit not in counted]
            counted.update(own)
            if len(own) > 1:  # the last one must stay
                layers.append(Layer(path, kind, np.array(own)))
        return Units(tuple(layers), axes)

    def run_node(self, n: torch.fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        operands = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        match n.op:
            case "call_module":
                return self._module(n, self.fetch_attr(str(n.target)), args, kwargs)
            case "get_attr":
                value = self.fetch_attr(str(n.target))
                return torch.full_like(value, FIXED, dtype=torch.int64)
            case "output":
                self._fix([x for x in torch.utils._pytree.tree_leaves(args) if isinstance(x, torch.Tensor)])
                return args[0]
            case "call_function" | "call_method":
                return self._function(n, operands)
        return super().run_node(n)

    def _function(self, node: torch.fx.Node, operands: list[torch.Tensor]) -> Any:
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        name = name.strip("_")
        if name in VIEWS or not operands or "tensor_meta" not in node.meta:
            return super().run_node(node)
        if name in SAME:
            return operands[0]
        if name in SUMS:
            return self._one(torch.broadcast_tensors(*operands))
        if name == "mean" and _shape(node):
            return self._mean(operands[0], *node.args[1:], **node.kwargs)
        self._fix(operands)
        return _fixed(node.meta["tensor_meta"])

    def _module(self, node: torch.fx.Node, module: nn.Module, args: Any, kwargs: Any) -> Any:
        path, x = str(node.target), args[0]
        match module:
            case nn.Flatten() | nn.Unflatten():
                return module(x)
            case Reshape():
                moved: torch.Tensor = module(x)
                self._axis(path, module, SHAPE, 0, self._along(moved, CHANNEL))
                return moved
            case nn.Conv2d() if module.groups in (1, module.in_channels):
                units = self._convolution(path, module, self._along(x, CHANNEL))
                return _spread_channels(units, _shape(node))
            case nn.BatchNorm2d() | nn.BatchNorm1d():
                units = self._along(x, CHANNEL)
                for tensor in ("weight", "bias", "running_mean", "running_var"):
                    self._axis(path, module, tensor, 0, units)
                return x
            case nn.Linear():
                made = self._new(path, "channels", module.out_features)
                self._axis(path, module, "weight", 1, self._along(x, -1))
                self._axis(path, module, "weight", 0, made)
                self._axis(path, module, "bias", 0, made)
                return torch.from_numpy(made).expand(_shape(node))
            case nn.LSTM() | nn.GRU() if _is_simple(module) and len(args) == 1:
                return self._memory(path, module, x)
            case nn.MultiheadAttention() if _has_joint_weights(module):
                self._heads(path, module)
                self._fix([y for y in (*args, *kwargs.values()) if isinstance(y, torch.Tensor)])
                return torch.full_like(x, FIXED), None
            case _ if not list(module.parameters()) and _shape(node)[:2] == x.shape[:2]:
                return _spread_channels(self._along(x, CHANNEL), _shape(node))  # pooling, padding, ReLU, ...
        self._fix([x])
        return _fixed(node.meta["tensor_meta"])

    def _convolution(self, path: str, module: nn.Conv2d, inputs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Units of the outputs; those of a depthwise convolution are its inputs'."""
        if module.groups == 1:
            made = self._new(path, "channels", module.out_channels)
            self._axis(path, module, "weight", 1, inputs)
        else:
            made = inputs.repeat(module.out_channels // module.groups)
        self._axis(path, module, "weight", 0, made)
        self._axis(path, module, "bias", 0, made)
        return made

    def _memory(self, path: str, module: nn.LSTM | nn.GRU, x: torch.Tensor) -> Any:
        made = self._new(path, "units", module.hidden_size)
        gates = np.tile(made, GATES[type(module)])
        self._axis(path, module, "weight_ih_l0", 1, self._along(x, -1))
        self._axis(path, module, "weight_hh_l0", 1, made)
        for tensor in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
            self._axis(path, module, tensor, 0, gates)
        output = torch.from_numpy(made).expand(*x.shape[:2], -1)
        state = torch.from_numpy(made).expand(1, x.shape[0 if module.batch_first else 1], -1)
        return output, (state, state) if isinstance(module, nn.LSTM) else state

    def _heads(self, path: str, module: nn.MultiheadAttention) -> None:
        """Heads: torch wants as many values in them as the model is wide, so they are zeroed, not cut."""
        made = self._new(path, "heads", module.num_heads).repeat(module.head_dim)
        for tensor in ("in_proj_weight", "in_proj_bias"):
            self._axis(path, module, tensor, 0, np.tile(made, 3), zeroed=True)
        self._axis(f"{path}.out_proj", module.out_proj, "weight", 1, made, zeroed=True)

    def _axis(
        self,
        path: str,
        module: nn.Module,
        name: str,
        axis: int,
        units: NDArray[np.int64],
        zeroed: bool = False,
    ) -> None:
        """Note whose the positions of a weight are; where it is used twice, both uses become one."""
        if getattr(module, name, None) is None:
            return
        known = self._axes.setdefault((path, name, axis), Axis(path, name, axis, units, zeroed))
        self._one([torch.from_numpy(known.units), torch.from_numpy(units)])

    def _new(self, path: str, kind: str, count: int) -> NDArray[np.int64]:
        first = len(self._parent)
        self._parent += range(first, first + count)
        self._makers.append((path, kind, first, first + count))
        return np.arange(first, first + count)

    def _along(self, x: torch.Tensor, axis: int) -> NDArray[np.int64]:
        """Numbers along one axis; where they change along another, those become one."""
        rows = x.movedim(axis, 0).reshape(x.shape[axis], -1)
        return self._one([rows[:, 0], *rows[:, (rows != rows[:, :1]).any(0)].T]).numpy()

    def _mean(self, x: torch.Tensor, dim: Any, keepdim: Any = False) -> torch.Tensor:
        """Numbers of a mean: what it adds up becomes one."""
        for axis in sorted((dim,) if isinstance(dim, int) else dim, key=lambda axis: axis % x.ndim)[::-1]:
            mean = self._one(x.unbind(axis))
            x = mean.unsqueeze(axis) if keepdim else mean
        return x

    def _one(self, terms: Sequence[torch.Tensor]) -> torch.Tensor:
        """Make the numbers at equal positions one; the first term's stand for all."""
        for term in terms[1:]:
            pairs = torch.stack([terms[0].reshape(-1), term.reshape(-1)])
            for first, second in pairs.unique(dim=1).T.tolist():
                low, high = sorted((self._root(first), self._root(second)))
                self._parent[high] = low
        return terms[0]

    def _fix(self, operands: Sequence[torch.Tensor]) -> None:
        for operand in operands:
            self._one([torch.zeros_like(operand), operand])

    def _root(self, number: int) -> int:
        while self._parent[number] != number:
            self._parent[number] = number = self._parent[self._parent[number]]
        return number


def _spread_channels(units: NDArray[np.int64], shape: torch.Size) -> torch.Tensor:
    return torch.from_numpy(units).reshape(1, -1, *[1] * (len(shape) - 2)).expand(shape)


def _shape(node: torch.fx.Node) -> torch.Size:
    """Shape of a node's value; of several values, none."""
    meta = node.meta["tensor_meta"]
    return torch.Size(meta.shape) if isinstance(meta, TensorMetadata) else torch.Size()


def _fixed(meta: Any) -> Any:
    """Numbers of values that cannot be taken out, in the shape of one value or of a tuple of them."""
    if isinstance(meta, TensorMetadata):
        return torch.full(meta.shape, FIXED)
    return tuple(_fixed(part) for part in meta) if isinstance(meta, tuple | list) else meta


def _is_simple(module: nn.LSTM | nn.GRU) -> bool:
    return module.num_layers == 1 and not module.bidirectional and module.proj_size == 0


def _has_joint_weights(module: nn.MultiheadAttention) -> bool:
    return module.in_proj_weight is not None and module.bias_k is None
