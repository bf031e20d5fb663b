"""nn.LSTM as layers of a lowered network, or why it cannot be one."""

from collections.abc import Callable
from typing import Any, Final, Literal

import torch
import torch.fx
from torch import nn

from edge.errors import InnervateError
from quantize.lstm.axes import FLAT, IMAGE, SEQUENCE, STATE, Axes, after_view, chosen
from quantize.network import Last, Layer, Lstm, Shape

_INPUT_FIX: Final = "Give it x.squeeze(2).permute(0, 2, 1) of x [N, C, 1, T]"


class LstmLowering:
    """Follows the axes of tensors round LSTMs in a walk over a traced network.

    Args:
        made: index of the layer that holds each node's value; shared with the walk.
        emit: appends a layer for a node.
        shape_of: shape (C, H, W) of a layer's output.
    """

    def __init__(
        self,
        made: dict[torch.fx.Node, int],
        emit: Callable[[torch.fx.Node, Layer], None],
        shape_of: Callable[[int], Shape],
    ) -> None:
        self._made = made
        self._emit = emit
        self._shape_of = shape_of
        self._axes: dict[torch.fx.Node, Axes] = {}  # of tensors that are neither [N, C, H, W] nor [N, C]
        self._paths: dict[int, str] = {}  # of LSTMs, by layer
        self._tuples: dict[torch.fx.Node, Literal["results", "states"]] = {}  # what nn.LSTM returns

    def lstm(self, node: torch.fx.Node, module: nn.LSTM) -> None:
        """Lower a call of nn.LSTM.

        Raises:
            InnervateError: a variant or an input that TFLite's fused int8 operator has not.
        """
        path, source = str(node.target), node.args[0] if node.args else None
        if len(node.args) != 1 or node.kwargs or not isinstance(source, torch.fx.Node):
            raise InnervateError(
                "an LSTM with an initial state has no int8 form here",
                path,
                "Call it with its input alone: its state starts at zero",
            )
        if self._axes.get(source) != SEQUENCE:
            raise InnervateError("the input of an LSTM is not [N, T, C]", path, _INPUT_FIX)
        index = self._made[source]
        self._emit(node, _lstm(module, path, index, self._shape_of(index)))
        self._paths[self._made[node]] = path
        self._tuples[node] = "results"

    def view(self, node: torch.fx.Node) -> bool:
        """Follow what moves axes, takes one of an LSTM's results, or a last step; False for all else.

        Raises:
            InnervateError: the cell state is used.
        """
        source = node.args[0] if node.args else None
        if not isinstance(source, torch.fx.Node):
            return False
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
        arguments = [*node.args[1:], *node.kwargs.values()]
        if source in self._tuples:
            self._result(node, source, arguments[0])
            return True
        sizes = source.meta["tensor_meta"].shape
        axes = self._axes.get(source, IMAGE if len(sizes) == len(IMAGE) else FLAT)
        if name == "getitem" and _takes_last(arguments[0], axes, sizes):
            self._last(node, source)
            return True
        after = after_view(name, arguments, axes, sizes)
        if after is None:
            return False
        self._made[node] = self._made[source]
        if after not in (IMAGE, FLAT):
            self._axes[node] = after
        return True

    def same(self, node: torch.fx.Node) -> None:
        """Follow what does nothing at inference, on axes of any order."""
        source = node.args[0]
        assert isinstance(source, torch.fx.Node)
        self._made[node] = self._made[source]
        if source in self._axes:
            self._axes[node] = self._axes[source]

    def plain(self, node: torch.fx.Node) -> torch.fx.Node:
        """Return a node whose axes are [N, C, H, W] or [N, C].

        Raises:
            InnervateError: they are in another order.
        """
        if node in self._axes or node in self._tuples:
            raise InnervateError(
                "axes in another order than [N, C, 1, T] have no int8 form here",
                node.name,
                "Take output[:, -1] of the LSTM, or output.permute(0, 2, 1).unsqueeze(2)",
            )
        return node

    def _last(self, node: torch.fx.Node, source: torch.fx.Node) -> None:
        index = self._made[source]
        name = f"{self._paths[index]}.last" if index in self._paths else node.name
        self._emit(node, Last(name, (index,), self._shape_of(index)[:1]))

    def _result(self, node: torch.fx.Node, source: torch.fx.Node, position: object) -> None:
        """Take one of what nn.LSTM returns: (output, (hidden state, cell state))."""
        self._made[node] = self._made[source]
        if not node.users:  # a name in `output, (hidden, cell) = ...` that is not used
            return
        match self._tuples[source], position:
            case "results", 0:
                self._axes[node] = SEQUENCE
            case "results", 1:
                self._tuples[node] = "states"
            case "states", 0:
                self._last(node, source)
                self._axes[node] = STATE
            case _:
                raise InnervateError(
                    "the cell state of an LSTM has no int8 form here", node.name, "Use its output"
                )


def _takes_last(index: object, axes: Axes, sizes: torch.Size) -> bool:
    """Whether an index takes the last step of all channels: [N, T, C] or [N, C, 1, T] to [N, C]."""
    taken = chosen(index) or {}
    left = tuple(name for axis, name in enumerate(axes) if axis not in taken)
    return left == FLAT and any(
        axes[axis] == "W" and position in (-1, sizes[axis] - 1) for axis, position in taken.items()
    )


def _lstm(module: Any, path: str, source: int, shape: Shape) -> Lstm:
    """Copy the weights of an LSTM over an input of `shape` (channels, 1, steps)."""
    refusals = (
        (
            module.num_layers != 1,
            f"an LSTM of {module.num_layers} layers",
            "Use num_layers=1, and one nn.LSTM after another",
        ),
        (module.bidirectional, "a bidirectional LSTM", "Use bidirectional=False, with more units"),
        (module.proj_size > 0, "an LSTM with a projection", "Use proj_size=0, and Linear after it"),
        (not module.batch_first, "an LSTM with time first", "Use batch_first=True on [N, T, C]"),
    )
    for refused, what, fix in refusals:
        if refused:
            raise InnervateError(f"{what} has no int8 form here", path, fix)
    units, steps = module.hidden_size, shape[2]
    bias = module.bias_ih_l0 + module.bias_hh_l0 if module.bias else torch.zeros(4 * units)
    return Lstm(
        path,
        (source,),
        (units, 1, steps),
        module.weight_ih_l0.detach().clone(),
        module.weight_hh_l0.detach().clone(),
        bias.detach().clone(),
    )
