"""Convolutions and poolings of torch as layers of a lowered network, or why they cannot be."""

from typing import Any

import torch
from torch import nn

from edge.errors import InnervateError
from quantize.network import Conv, Padding, Pair, Pool, Shape

_NONE: Padding = (0, 0, 0, 0)


def convolution(
    module: nn.Conv2d, path: str, inputs: tuple[int, ...], before: Shape, after: Shape, pad: Padding
) -> Conv:
    """Copy a convolution.

    Args:
        module: the convolution.
        path: its name.
        inputs: index of the layer it reads.
        before: shape (C, H, W) of that layer.
        after: shape of its output.
        pad: zeros that a ZeroPad2d before it adds to its own.
    """
    if module.padding_mode != "zeros":
        raise InnervateError(f"padding mode {module.padding_mode} has no int8 form", path, "Use zero padding")
    if module.groups not in (1, module.in_channels):
        raise InnervateError(
            f"a convolution in {module.groups} groups has no int8 form here",
            path,
            "Use groups=1 or groups=in_channels",
        )
    own = _conv_padding(module)
    padding = (pad[0] + own[0], pad[1] + own[1], pad[2] + own[2], pad[3] + own[3])
    stride, dilation = _pair(module.stride), _pair(module.dilation)
    same = any(padding) and is_same(before[1:], _pair(module.kernel_size), stride, dilation, padding)
    weight, bias = module.weight.detach().clone(), bias_of(module, module.out_channels)
    return Conv(path, inputs, after, weight, bias, stride, padding, dilation, module.groups, same)


def max_pool(module: nn.MaxPool2d, path: str, inputs: tuple[int, ...], before: Shape, after: Shape) -> Pool:
    """Copy a max-pooling; arguments as for `convolution`."""
    pad = _pair(module.padding)
    if module.ceil_mode or _pair(module.dilation) != (1, 1):
        raise InnervateError("max pooling with ceil_mode or dilation has no int8 form", path, "Use neither")
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    padding = (pad[0], pad[0], pad[1], pad[1])
    same = any(padding) and is_same(before[1:], kernel, stride, (1, 1), padding)
    if any(padding) and not same:
        raise InnervateError(
            f"max pooling with padding {pad} is not TFLite's SAME",
            path,
            "Use no padding, or another stride",
        )
    return Pool(path, inputs, after, "max", kernel, stride, padding, same)


def average_pool(module: nn.AvgPool2d, path: str, inputs: tuple[int, ...], after: Shape) -> Pool:
    """Copy an average-pooling; arguments as for `convolution`."""
    if module.ceil_mode or _pair(module.padding) != (0, 0) or module.divisor_override is not None:
        raise InnervateError(
            "average pooling with padding, ceil_mode or a divisor has no int8 form",
            path,
            "Use none of them",
        )
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    return Pool(path, inputs, after, "average", kernel, stride, _NONE)


def global_average(
    module: nn.AdaptiveAvgPool2d, path: str, inputs: tuple[int, ...], before: Shape, after: Shape
) -> Pool:
    """Copy an average over all positions; arguments as for `convolution`."""
    if module.output_size not in (1, (1, 1)):
        raise InnervateError(
            "adaptive pooling to more than one value has no int8 form", path, "Use AvgPool2d"
        )
    return mean_of_all(path, inputs, before, after)


def mean_of_all(name: str, inputs: tuple[int, ...], before: Shape, after: Shape) -> Pool:
    """Average over all positions of an image of shape `before`."""
    size = (before[1], before[2])
    return Pool(name, inputs, after, "average", size, size, _NONE)


def is_same(size: Shape, kernel: Pair, stride: Pair, dilation: Pair, padding: Padding) -> bool:
    """Whether `padding` does what TFLite calls SAME.

    SAME puts max((ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0) zeros on an
    axis, the odd one after the data. Zeros after the data that no window reaches make no difference.
    """
    for axis in range(2):
        n, k, s, d = size[axis], kernel[axis], stride[axis], dilation[axis]
        before, after = padding[2 * axis], padding[2 * axis + 1]
        span, outputs = d * (k - 1) + 1, -(-n // s)
        total = max((outputs - 1) * s + span - n, 0)
        if before != total // 2 or (n + before + after - span) // s + 1 != outputs:
            return False
    return True


def bias_of(module: Any, size: int) -> torch.Tensor:
    """Bias of a module, zeros where it has none."""
    return torch.zeros(size) if module.bias is None else module.bias.detach().clone()


def _pair(value: int | tuple[int, ...] | None) -> Pair:
    if isinstance(value, int):
        return value, value
    assert value is not None
    return int(value[0]), int(value[-1])


def _conv_padding(module: nn.Conv2d) -> Padding:
    if module.padding == "same":
        spans = [d * (k - 1) for d, k in zip(_pair(module.dilation), _pair(module.kernel_size), strict=True)]
        return spans[0] // 2, spans[0] - spans[0] // 2, spans[1] // 2, spans[1] - spans[1] // 2
    if isinstance(module.padding, str):
        return 0, 0, 0, 0
    vertical, horizontal = _pair(module.padding)
    return vertical, vertical, horizontal, horizontal
