"""A lowered network: the layers that int8 TFLite has, with float weights in torch's layout."""

from dataclasses import dataclass
from typing import Final

import torch

INPUT: Final = -1
"""Index that a layer's `inputs` use for the model's input."""

Shape = tuple[int, ...]
Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
"""Top, bottom, left, right."""


@dataclass(frozen=True)
class Conv:
    """Convolution; `weight` float32 [out, in / groups, kh, kw], `bias` float32 [out].

    `groups` is 1 or the number of input channels; `same` says that `padding` is what TFLite calls SAME.
    """

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    weight: torch.Tensor
    bias: torch.Tensor
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int
    same: bool
    relu: bool = False


@dataclass(frozen=True)
class Dense:
    """Fully connected; `weight` float32 [out, in] over the flattened (C, H, W), `bias` float32 [out]."""

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    weight: torch.Tensor
    bias: torch.Tensor
    relu: bool = False


@dataclass(frozen=True)
class Pool:
    """Average or maximum over a window; a global average has the window of its whole input."""

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    kind: str
    kernel: Pair
    stride: Pair
    padding: Padding
    same: bool = False


@dataclass(frozen=True)
class Add:
    """Sum of two layers of the same shape."""

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    relu: bool = False


@dataclass(frozen=True)
class Lstm:
    """Long short-term memory along W, from a state of zero; its output is the hidden state of each step.

    Gates are in torch's order input, forget, cell, output: `weight` float32 [4 * units, inputs],
    `recurrent_weight` float32 [4 * units, units], `bias` float32 [4 * units]. `shape` is (units, 1, steps).
    """

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    weight: torch.Tensor
    recurrent_weight: torch.Tensor
    bias: torch.Tensor


@dataclass(frozen=True)
class Last:
    """The last position along W of a value of height 1: (C, 1, W) -> (C,)."""

    name: str
    inputs: tuple[int, ...]
    shape: Shape


Layer = Conv | Dense | Pool | Add | Lstm | Last


@dataclass(frozen=True)
class Network:
    """Layers in the order they run; `input_shape` (C, H, W) and each `shape` are without the batch."""

    input_shape: Shape
    layers: tuple[Layer, ...]

    def shape_of(self, index: int) -> Shape:
        """Shape (C, H, W) or (features,) of a layer's output, or of the model's input for `INPUT`."""
        return self.input_shape if index == INPUT else self.layers[index].shape

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        total = 0
        for layer in self.layers:
            if isinstance(layer, Conv):
                positions = layer.shape[1] * layer.shape[2]
                total += positions * layer.weight.numel()
            elif isinstance(layer, Dense):
                total += layer.weight.numel()
            elif isinstance(layer, Lstm):
                total += layer.shape[2] * (layer.weight.numel() + layer.recurrent_weight.numel())
        return total

    @property
    def parameters(self) -> int:
        """Weights and biases after folding."""
        weighted = [layer for layer in self.layers if isinstance(layer, Conv | Dense | Lstm)]
        recurrent = [layer.recurrent_weight for layer in self.layers if isinstance(layer, Lstm)]
        own = sum(layer.weight.numel() + layer.bias.numel() for layer in weighted)
        return own + sum(weight.numel() for weight in recurrent)
