"""Tensors and operators of a quantized graph while it is put together, and the integers of its layers."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.graph import QuantLayer, Tensor
from quantize.quantizers import UNSIGNED_OFFSET

INT32_MAX: Final = 2**31 - 1
INT16_BITS: Final = 16


class GraphBuilder:
    """Collects tensors, operators and the model's inputs.

    Attributes:
        tensors: so far; operators name them by their index.
        layers: operators in the order they run.
    """

    def __init__(self) -> None:
        self.tensors: list[Tensor] = []
        self.layers: list[QuantLayer] = []

    def add(self, tensor: Tensor) -> int:
        """Add a tensor; its index."""
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def value(self, name: str, shape: tuple[int, ...], value: Any) -> int:
        """Add a tensor of a quantized value's scale and zero point.

        Args:
            name: for messages and in the file.
            shape: with the batch, channels last.
            value: quantized tensor of Brevitas.

        Raises:
            InnervateError: the scale is not finite and positive.
        """
        scale = float(value.scale)
        if not (np.isfinite(scale) and scale > 0):
            raise InnervateError(
                f"the output scale is {scale}", name, "Calibrate on windows that excite this layer"
            )
        if int(value.bit_width) == INT16_BITS:
            return self.add(Tensor(name, shape, scale, 0, "int16"))
        return self.add(Tensor(name, shape, scale, 0 if value.signed else -UNSIGNED_OFFSET))

    def like(self, tensor: int, name: str, shape: tuple[int, ...]) -> int:
        """Add a tensor of another shape with the scale and zero point of one that is there."""
        return self.add(replace(self.tensors[tensor], name=name, shape=shape))

    def dense(
        self, name: str, module: Any, source: Any, tensor: int, output: int, relu: bool = False
    ) -> None:
        """Add a dense layer with the integers of a Brevitas layer, from `tensor` with the value `source`."""
        weights, scales, bias = layer_integers(module, name, source)
        self.layers.append(QuantLayer("dense", name, (tensor,), output, relu, weights, scales, bias))


def layer_integers(
    module: Any, name: str, source: Any
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Weights, scales and bias of a Brevitas layer in torch's order, for a quantized input.

    Raises:
        InnervateError: an input could overflow the int32 accumulator.
    """
    with torch.no_grad():
        quant_weight = module.quant_weight()
        quant_bias = module.bias_quant(module.bias, source, quant_weight)
    weights = quant_weight.int().numpy().astype(np.int8)
    # In float64: float32, in which Brevitas would count, holds integers to 2^24 only.
    bias = torch.round(quant_bias.value.double() / quant_bias.scale.double()).to(torch.int64).numpy()
    # |q - zero point| <= 255 for unsigned, 128 for signed inputs.
    reach = 128 if source.signed else 255
    bound = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1) * reach + np.abs(bias)
    if bound.max() > INT32_MAX and int(source.bit_width) != INT16_BITS:  # whose accumulators have 64 bits
        raise InnervateError(
            f"output channel {int(bound.argmax())} can overflow its 32-bit accumulator",
            name,
            "Prune the channel, or train with weight decay so that its weights do not vanish beside its bias",
        )
    scales = quant_weight.scale.reshape(-1).numpy().astype(np.float32)
    return weights, np.broadcast_to(scales, len(weights)).copy(), bias.astype(np.int32)
