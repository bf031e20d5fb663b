"""A lowered network: the layers that int8 TFLite has, with float weights in torch's layout."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

import torch
from torch import nn

if TYPE_CHECKING:
    from quantize.builder import GraphBuilder

INPUT: Final = -1
"""Index that a layer's `inputs` use for the model's window."""
CONTEXT: Final = -2
"""Index for the model's context vector."""

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
class Reshape:
    """The same values, NHWC, in another shape: channels as an image, or steps as a batch of `batch` images.

    A batch larger than one holds until the next `Reshape`: each of its members goes through the same layers.
    """

    name: str
    inputs: tuple[int, ...]
    shape: Shape
    batch: int = 1


@dataclass(frozen=True)
class Fused(ABC):
    """A layer with a folder of its own: what it reads and gives, and how it is trained and written.

    A new kind is a subclass, and a line in `quantize.lower.FUSED` for the torch module it comes from.
    """

    name: str
    inputs: tuple[int, ...]
    shape: Shape

    sequence: ClassVar[bool] = False
    """Whether its operator takes and gives [1, W, C] in place of [1, 1, W, C]."""

    @property
    @abstractmethod
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""

    @property
    @abstractmethod
    def parameters(self) -> int:
        """Weights and biases."""

    @abstractmethod
    def module(self, percentile: float) -> nn.Module:
        """Make the fake-quantized form: called with its input, a quantized tensor but in calibration.

        Args:
            percentile: of its activations, the share that calibration does not clip, in percent.
        """

    @abstractmethod
    def write(self, graph: "GraphBuilder", module: Any, tensor: int, source: Any, output: Any) -> int:
        """Add its operators to a graph.

        Args:
            graph: tensors and operators so far.
            module: the calibrated form, in evaluation mode.
            tensor: index of the input tensor.
            source: its quantized value.
            output: quantized value that `module` gave.

        Returns:
            index of the output tensor.
        """


@dataclass(frozen=True)
class Last:
    """The last position along W of a value of height 1: (C, 1, W) -> (C,)."""

    name: str
    inputs: tuple[int, ...]
    shape: Shape


Layer = Conv | Dense | Pool | Add | Reshape | Fused | Last


@dataclass(frozen=True)
class Network:
    """Layers in the order they run; `input_shape` (C, H, W) and each `shape` are without the batch.

    `context` is the length of the context vector, 0 for none; `keeps_state` says whether the states of LSTMs
    go on from window to window.
    """

    input_shape: Shape
    layers: tuple[Layer, ...]
    context: int = 0
    keeps_state: bool = False

    def shape_of(self, index: int) -> Shape:
        """Shape (C, H, W) or (features,) of a layer's output, of the window or of the context vector."""
        if index == CONTEXT:
            return (self.context,)
        return self.input_shape if index == INPUT else self.layers[index].shape

    def batch_of(self, index: int) -> int:
        """Number of images that a layer's output holds for one window."""
        while index >= 0:
            layer = self.layers[index]
            if isinstance(layer, Reshape):
                return layer.batch
            index = layer.inputs[0]
        return 1

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        total = 0
        for index, layer in enumerate(self.layers):
            if isinstance(layer, Conv):
                total += self.batch_of(index) * layer.shape[1] * layer.shape[2] * layer.weight.numel()
            elif isinstance(layer, Dense):
                total += self.batch_of(index) * layer.weight.numel()
            elif isinstance(layer, Fused):
                total += layer.macs
        return total

    @property
    def parameters(self) -> int:
        """Weights and biases after folding."""
        total = 0
        for layer in self.layers:
            if isinstance(layer, Conv | Dense):
                total += layer.weight.numel() + layer.bias.numel()
            elif isinstance(layer, Fused):
                total += layer.parameters
        return total
