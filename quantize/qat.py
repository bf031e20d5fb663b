"""The Brevitas model of a lowered network: trains like any module, computes what int8 TFLite will.

Weights: int8 [-127, 127], one scale a channel. Biases: int32 with scale s_in * s_w. Activations: 8 bits, one
scale a tensor, unsigned after ReLU (zero point -128 in the file), signed elsewhere (zero point 0). The input
has the fixed scale 1/128, with which an int8 window is represented exactly. Average pooling rounds as
TFLite's reference kernel does: half away from zero on the stored int8 values, at an unchanged scale.
"""

from typing import Any, Final

import brevitas.nn as qnn
import torch
import torch.nn.functional as F
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloat
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.lstm.module import QuantLstm
from quantize.network import INPUT, Add, Conv, Dense, Last, Layer, Lstm, Network, Pool

INPUT_SCALE: Final = 1 / 128
UNSIGNED_OFFSET: Final = 128
"""What is taken from an unsigned 8-bit value to store it as int8."""
MIN_WEIGHT_RANGE: Final = 2.0**-11
"""A channel's largest weight is taken as at least this, so that where the weights have all but vanished the
scale does not, and with it the int32 bias stays in range."""
MIN_ACTIVATION_SCALE: Final = 2.0**-17
"""So that the bias of a layer after one that has died, whose outputs are all zero, stays in range."""
PERCENTILE: Final = 99.99
"""Of the activations seen in calibration, the share that is not clipped, in percent."""


class QuantNetwork(nn.Module):
    """Fake-quantized form of `network`: float [N, C, H, W] -> logits [N, K].

    Args:
        network: lowered float network; its weights are copied.
        percentile: calibration percentile of the activation scales.
    """

    def __init__(self, network: Network, percentile: float = PERCENTILE) -> None:
        super().__init__()
        self.network = network
        self.input_quant = input_activation()
        self.weighted = nn.ModuleDict()
        self.activations = nn.ModuleDict()
        for index, layer in enumerate(network.layers):
            if isinstance(layer, Conv | Dense):
                self.weighted[str(index)] = weighted(layer)
            if isinstance(layer, Lstm):
                self.weighted[str(index)] = QuantLstm(layer, activation(False, percentile), MIN_WEIGHT_RANGE)
            elif not isinstance(layer, Pool | Last):
                self.activations[str(index)] = activation(layer.relu, percentile)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits [N, K] of float windows [N, C, H, W]."""
        return _value(self.values(x)[-1]).flatten(1)

    def values(self, x: torch.Tensor) -> list[Any]:
        """Compute the quantized input (first) and every layer's output: quantized tensors once calibrated."""
        outputs: list[Any] = [self.input_quant(x)]
        for index, layer in enumerate(self.network.layers):
            sources = [outputs[source - INPUT] for source in layer.inputs]
            outputs.append(self._run(index, layer, sources))
        return outputs

    def _run(self, index: int, layer: Layer, sources: list[Any]) -> Any:
        if isinstance(layer, Pool):
            pool = average_pool if layer.kind == "average" else _max_pool
            return pool(sources[0], layer)
        if isinstance(layer, Lstm):
            return self.weighted[str(index)](sources[0])
        if isinstance(layer, Last):
            return _with_value(sources[0], _value(sources[0])[:, :, 0, -1])
        if isinstance(layer, Add):
            total = _value(sources[0]) + _value(sources[1])
        elif isinstance(layer, Conv):
            top, bottom, left, right = layer.padding
            # Padding with zeros is padding with the zero point: exact.
            padded = _with_value(sources[0], F.pad(_value(sources[0]), (left, right, top, bottom)))
            total = self.weighted[str(index)](padded)
        else:
            total = self.weighted[str(index)](_with_value(sources[0], _value(sources[0]).flatten(1)))
        return self.activations[str(index)](total)


def average_pool(x: Any, layer: Pool) -> Any:
    """Mean over windows as TFLite's int8 reference kernel rounds it; gradients pass straight through."""
    mean = F.avg_pool2d(_value(x), layer.kernel, layer.stride)
    if not isinstance(x, IntQuantTensor):
        return mean
    offset = 0 if x.signed else UNSIGNED_OFFSET
    with torch.no_grad():
        stored = torch.round(x.value / x.scale) - offset
        exact = F.avg_pool2d(stored, layer.kernel, layer.stride)
        rounded = torch.sign(exact) * torch.floor(exact.abs() + 0.5)
        correction = (rounded + offset) * x.scale - mean
    return x.set(value=mean + correction)


def _max_pool(x: Any, layer: Pool) -> Any:
    top, bottom, left, right = layer.padding
    padded = F.pad(_value(x), (left, right, top, bottom), value=-torch.inf)
    return _with_value(x, F.max_pool2d(padded, layer.kernel, layer.stride))


def _value(x: Any) -> torch.Tensor:
    value: torch.Tensor = x.value if isinstance(x, IntQuantTensor) else x
    return value


def _with_value(x: Any, value: torch.Tensor) -> Any:
    return x.set(value=value) if isinstance(x, IntQuantTensor) else value


def weighted(layer: Conv | Dense) -> nn.Module:
    """Brevitas layer with the weights of a lowered one: int8 by channel, int32 bias."""
    quantizers = {
        "bias": True,
        "weight_quant": Int8WeightPerChannelFloat,
        "weight_scaling_min_val": MIN_WEIGHT_RANGE,
        "bias_quant": Int32Bias,
    }
    if isinstance(layer, Conv):
        out_channels, group_channels, *kernel = layer.weight.shape
        module = qnn.QuantConv2d(
            group_channels * layer.groups, out_channels, tuple(kernel), stride=layer.stride,
            dilation=layer.dilation, groups=layer.groups, **quantizers,
        )  # fmt: skip
    else:
        module = qnn.QuantLinear(layer.weight.shape[1], layer.weight.shape[0], **quantizers)
    module.weight.data.copy_(layer.weight)
    module.bias.data.copy_(layer.bias)
    result: nn.Module = module
    return result


def input_activation() -> nn.Module:
    """Quantizer of windows, of fixed scale."""
    # A constant scaling's value is the range, of which the signed 8-bit scale is the 128th part.
    module: nn.Module = qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat,
        scaling_impl_type="const",
        scaling_init=INPUT_SCALE * 128,
        return_quant_tensor=True,
    )
    return module


def activation(relu: bool, percentile: float = PERCENTILE) -> nn.Module:
    """8-bit quantizer of an activation, unsigned after a ReLU."""
    kind, quantizer = (
        (qnn.QuantReLU, Uint8ActPerTensorFloat) if relu else (qnn.QuantIdentity, Int8ActPerTensorFloat)
    )
    settings = quantizer.let(high_percentile_q=percentile, scaling_min_val=MIN_ACTIVATION_SCALE)
    module: nn.Module = kind(act_quant=settings, return_quant_tensor=True)
    return module
