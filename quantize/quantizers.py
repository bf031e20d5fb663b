"""Brevitas quantizers with the ranges and roundings of int8 TFLite."""

from typing import Any, Final

import brevitas.nn as qnn
import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloat
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.network import Conv, Dense
from train.models import INPUT_SCALE

UNSIGNED_OFFSET: Final = 128
"""What is taken from an unsigned 8-bit value to store it as int8."""
MIN_WEIGHT_RANGE: Final = 2.0**-11
"""A channel's largest weight is taken as at least this, so that where the weights have all but vanished the
scale does not, and with it the int32 bias stays in range."""
MIN_ACTIVATION_SCALE: Final = 2.0**-17
"""So that the bias of a layer after one that has died, whose outputs are all zero, stays in range."""
PERCENTILE: Final = 99.99
"""Of the activations seen in calibration, the share that is not clipped, in percent."""


def plain(x: Any) -> torch.Tensor:
    """Real values of a tensor, quantized or not."""
    value: torch.Tensor = x.value if isinstance(x, IntQuantTensor) else x
    return value


def with_value(x: Any, value: torch.Tensor) -> Any:
    """Return `value` with the scale of `x`, where `x` has one."""
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


def input_activation(scale: float = INPUT_SCALE) -> nn.Module:
    """Signed 8-bit quantizer of fixed scale."""
    # A constant scaling's value is the range, of which the signed 8-bit scale is the 128th part.
    module: nn.Module = qnn.QuantIdentity(
        act_quant=Int8ActPerTensorFloat,
        scaling_impl_type="const",
        scaling_init=scale * 128,
        return_quant_tensor=True,
    )
    return module


def activation(relu: bool, percentile: float = PERCENTILE, wide: bool = False) -> nn.Module:
    """Quantizer of an activation: 8 bits, unsigned after a ReLU; where `wide` 16 bits, nothing clipped.

    Those are signed, for TFLite has 16-bit activations with zero point 0 only.
    """
    kind = qnn.QuantReLU if relu else qnn.QuantIdentity
    if wide:
        settings = Int8ActPerTensorFloat.let(
            bit_width=16, high_percentile_q=100.0, scaling_min_val=MIN_ACTIVATION_SCALE
        )
    else:
        quantizer = Uint8ActPerTensorFloat if relu else Int8ActPerTensorFloat
        settings = quantizer.let(high_percentile_q=percentile, scaling_min_val=MIN_ACTIVATION_SCALE)
    module: nn.Module = kind(act_quant=settings, return_quant_tensor=True)
    return module
