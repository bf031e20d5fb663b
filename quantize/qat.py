"""The Brevitas model of a lowered network: trains like any module, computes what int8 TFLite will.

Weights: int8 [-127, 127], one scale a channel. Biases: int32 with scale s_in * s_w. Activations: 8 bits, one
scale a tensor, unsigned after ReLU (zero point -128 in the file), signed elsewhere (zero point 0). The input
has the fixed scale 1/128, with which an int8 window is represented exactly. Average pooling rounds as
TFLite's reference kernel does: half away from zero on the stored int8 values, at an unchanged scale.
"""

from typing import Any

import torch
import torch.nn.functional as F
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from edge.context import SCALE as CONTEXT_SCALE
from edge.errors import InnervateError
from quantize.kernel_rounding import addition, weighted_sum
from quantize.lstm.module import QuantLstm
from quantize.network import CONTEXT, INPUT, Add, Conv, Dense, Fused, Last, Network, Pool, Reshape
from quantize.quantizers import (
    PERCENTILE,
    UNSIGNED_OFFSET,
    activation,
    input_activation,
    plain,
    weighted,
    with_value,
)
from train.reshape import reshaped

Values = dict[int, Any]
"""A value by the index that a layer's `inputs` use for it: quantized tensors once calibrated."""


class QuantNetwork(nn.Module):
    """Fake-quantized form of `network`: float [N, C, H, W] -> logits [N, K].

    Args:
        network: lowered float network; its weights are copied.
        percentile: calibration percentile of the activation scales.
        wide: indices of layers whose output has 16 bits.
    """

    def __init__(
        self, network: Network, percentile: float = PERCENTILE, wide: frozenset[int] = frozenset()
    ) -> None:
        super().__init__()
        self.network, self.wide = network, wide
        self.keeps_state = network.keeps_state
        self.input_quant = input_activation()
        self.context_quant = input_activation(CONTEXT_SCALE) if network.context else None
        self.weighted = nn.ModuleDict()
        self.activations = nn.ModuleDict()
        for index, layer in enumerate(network.layers):
            if isinstance(layer, Conv | Dense):
                self.weighted[str(index)] = weighted(layer)
            if isinstance(layer, Fused):
                self.weighted[str(index)] = layer.module(percentile)
            elif not isinstance(layer, Pool | Reshape | Last):
                self.activations[str(index)] = activation(layer.relu, percentile, wide=index in wide)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [N, K] of float windows [N, C, H, W], and of context vectors [N, F] where there are some."""
        return plain(self.values(x, context)[len(self.network.layers) - 1]).flatten(1)

    def sequence(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [N, S, K] of S windows in a row [N, S, C, H, W], the states of LSTMs kept between them."""
        memories = [module for module in self.weighted.values() if isinstance(module, QuantLstm)]
        for memory in memories:
            memory.carried = []
        said = [self(window, context) for window in x.unbind(1)]
        for memory in memories:
            memory.carried = None
        return torch.stack(said, dim=1)

    def values(self, x: torch.Tensor, context: torch.Tensor | None = None) -> Values:
        """Compute the quantized inputs and every layer's output.

        Raises:
            InnervateError: a context vector is missing, or there is one too many.
        """
        values: Values = {INPUT: self.input_quant(x)}
        if (context is None) == (self.network.context > 0):
            raise InnervateError(
                "the model takes a context vector" if context is None else "the model takes no context",
                "context",
                "Give windows and context as the model was trained",
            )
        if self.context_quant is not None:
            values[CONTEXT] = self.context_quant(context)
        for index, layer in enumerate(self.network.layers):
            values[index] = self.run_layer(index, [values[source] for source in layer.inputs])
        return values

    def run_layer(self, index: int, sources: list[Any], kernels: bool = True) -> Any:
        """Compute a layer's output from the values of its inputs, quantized or all in float.

        Args:
            index: of the layer.
            sources: values of its inputs.
            kernels: in evaluation, round sums as TFLite's kernels do, for which inputs are whole steps.
        """
        layer = self.network.layers[index]
        # In training the quantizer's own rounding will do, and is faster; kernels of 16 bits round otherwise.
        exact = (
            kernels
            and not self.training
            and all(isinstance(source, IntQuantTensor) for source in sources)
            and self.wide.isdisjoint({index, *layer.inputs})
        )
        match layer:
            case Pool():
                pool = average_pool if layer.kind == "average" else _max_pool
                return pool(sources[0], layer)
            case Reshape():
                return with_value(sources[0], reshaped(plain(sources[0]), layer.shape))
            case Fused():
                return self.weighted[str(index)](sources[0])
            case Last():
                return with_value(sources[0], plain(sources[0])[:, :, 0, -1])
            case Add():
                total = plain(sources[0]) + plain(sources[1])
                if exact:
                    total = addition(*_steps(sources[0]), *_steps(sources[1]), self.activations[str(index)])
            case Conv():
                top, bottom, left, right = layer.padding
                # Padding with zeros is padding with the zero point: exact.
                padded = with_value(sources[0], F.pad(plain(sources[0]), (left, right, top, bottom)))
                total = self.weighted[str(index)](padded)
            case Dense():
                total = self.weighted[str(index)](with_value(sources[0], plain(sources[0]).flatten(1)))
        if exact and isinstance(layer, Conv | Dense):
            module, quantizer = self.weighted[str(index)], self.activations[str(index)]
            total = weighted_sum(total, sources[0], module, quantizer, twice=isinstance(layer, Conv))
        return self.activations[str(index)](total)


def average_pool(x: Any, layer: Pool) -> Any:
    """Mean over windows as TFLite's int8 reference kernel rounds it; gradients pass straight through."""
    mean = F.avg_pool2d(plain(x), layer.kernel, layer.stride)
    if not isinstance(x, IntQuantTensor):
        return mean
    offset = 0 if x.signed else UNSIGNED_OFFSET
    with torch.no_grad():
        stored = torch.round(x.value / x.scale) - offset
        exact = F.avg_pool2d(stored, layer.kernel, layer.stride)
        rounded = torch.sign(exact) * torch.floor(exact.abs() + 0.5)
        correction = (rounded + offset) * x.scale - mean
    return x.set(value=mean + correction)


def _steps(x: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Value of a quantized tensor in steps of its scale, and that."""
    return x.value / x.scale, x.scale


def _max_pool(x: Any, layer: Pool) -> Any:
    top, bottom, left, right = layer.padding
    padded = F.pad(plain(x), (left, right, top, bottom), value=-torch.inf)
    return with_value(x, F.max_pool2d(padded, layer.kernel, layer.stride))
