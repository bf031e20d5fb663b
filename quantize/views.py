"""Operations that only move, drop or take axes, followed through a traced network."""

from collections.abc import Callable, Sequence
from typing import Literal

import torch
import torch.fx

from edge.errors import InnervateError
from quantize.axes import FLAT, IMAGE, SEQUENCE, STATE, Axes, after_view, chosen
from quantize.network import Last, Layer, Shape


class Views:
    """Follows the axes of tensors round sequence layers in a walk over a traced network.

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
        self._paths: dict[int, str] = {}  # of sequence layers, by index
        self._tuples: dict[
            torch.fx.Node, Literal["results", "states", "weighted"]
        ] = {}  # what such modules return

    def is_sequence(self, node: object) -> bool:
        """Whether a node's axes are [N, T, C]."""
        return isinstance(node, torch.fx.Node) and self._axes.get(node) == SEQUENCE

    def results(self, node: torch.fx.Node, path: str, states: bool) -> None:
        """Say that a node gives a tuple: output [N, T, C] and states, or the weights of an attention."""
        self._paths[self._made[node]] = path
        self._tuples[node] = "results" if states else "weighted"

    def view(self, node: torch.fx.Node) -> bool:
        """Follow what moves axes, takes one of a module's results, or a last step; False for all else.

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

    def takes_mean(self, node: torch.fx.Node) -> bool:
        """Whether a node is the mean of [N, T, C] or [N, C, H, W] over all but batch and channels."""
        source, arguments = node.args[0], [*node.args[1:], *node.kwargs.values()]
        if not isinstance(source, torch.fx.Node) or len(arguments) != 1:
            return False
        rank = len(source.meta["tensor_meta"].shape)
        axes = self._axes.get(source, IMAGE if rank == len(IMAGE) else FLAT)
        named = arguments[0] if isinstance(arguments[0], Sequence) else [arguments[0]]
        taken = {axes[int(axis)] for axis in named if isinstance(axis, int)}
        return tuple(axis for axis in axes if axis not in taken) == FLAT

    def same(self, node: torch.fx.Node) -> None:
        """Follow what does nothing at inference, on axes of any order."""
        source = node.args[0]
        assert isinstance(source, torch.fx.Node)
        self.follow(node, source)

    def follow(self, node: torch.fx.Node, source: torch.fx.Node) -> None:
        """Say that a node's axes, and its value unless it is said otherwise, are those of another."""
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
                "Take output[:, -1] or output.mean(1), or output.permute(0, 2, 1).unsqueeze(2)",
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
            case "results" | "weighted", 0:
                self._axes[node] = SEQUENCE
            case "results", 1:
                self._tuples[node] = "states"
            case "weighted", _:
                path = self._paths[self._made[source]]
                raise InnervateError(
                    "the weights of an attention have no int8 form here", path, "Use its output"
                )
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
