"""Cross-layer equalization (Nagel et al. 2019, arXiv:1906.04721): channels of a tensor get the same range.

ReLU, pooling and identity scale with their input, so a channel may be made larger by the weights before them
and smaller by those after, and the network computes the same. Under one scale a tensor the channels of the
smallest range lose most. Here weights have a scale for each output channel, so that what counts before is the
range of the activation, not of the weights, and what counts after are the weights by input channel; after a
depthwise convolution, which has a scale for each of those as well, nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import torch

from quantize.network import Conv, Dense, Network, Pool

MAX_FACTOR: Final = 16.0
"""By which a channel may grow or shrink."""


def equalize(network: Network, values: Mapping[int, torch.Tensor]) -> Network:
    """Return a network that computes the same, its channels scaled towards equal ranges.

    Args:
        network: lowered float network.
        values: what its layers give for calibration windows, by index: float32 [N, C, ...].
    """
    layers = list(network.layers)
    for index, layer in enumerate(layers):
        reader = _reader(network, index)
        if not isinstance(layer, Conv | Dense) or reader is None:
            continue
        after = layers[reader]
        assert isinstance(after, Conv | Dense)
        factor = _factors(values[index], after)
        layers[index] = replace(
            layer, weight=layer.weight / _along(factor, layer.weight), bias=layer.bias / factor
        )
        layers[reader] = replace(after, weight=_scaled_inputs(after, factor))
    return replace(network, layers=tuple(layers))


def _reader(network: Network, index: int) -> int | None:
    """Index of the only layer with weights that reads a value, at most poolings between; else None."""
    while True:
        readers = [i for i, layer in enumerate(network.layers) if index in layer.inputs]
        if len(readers) != 1:
            return None
        match network.layers[readers[0]]:
            case Conv() | Dense():
                return readers[0]
            case Pool():
                index = readers[0]
            case _:
                return None


def _factors(value: torch.Tensor, after: Conv | Dense) -> torch.Tensor:
    """What to divide each channel by, float32 [C], around 1; 1 where it is always zero or not read."""
    before = value.abs().transpose(0, 1).flatten(1).amax(1)
    if isinstance(after, Conv) and after.groups > 1:
        factor = before
    else:
        weight = after.weight.detach().abs().transpose(0, 1).reshape(len(before), -1).amax(1)
        factor = (before / weight).sqrt()
    alive = torch.isfinite(factor) & (factor > 0)
    if not alive.any():
        return torch.ones_like(before)
    middle = factor[alive].log().mean().exp()
    return torch.where(alive, (factor / middle).clamp(1 / MAX_FACTOR, MAX_FACTOR), torch.ones_like(factor))


def _scaled_inputs(layer: Conv | Dense, factor: torch.Tensor) -> torch.Tensor:
    """Weights that read channels `factor` times smaller."""
    weight = layer.weight
    if isinstance(layer, Conv) and layer.groups > 1:  # [C * multiplier, 1, kh, kw]
        return weight * _along(factor.repeat_interleave(len(weight) // len(factor)), weight)
    if isinstance(layer, Dense):  # its inputs are (C, H, W), flat
        return weight * factor.repeat_interleave(weight.shape[1] // len(factor))
    return weight * factor.reshape(1, -1, 1, 1)


def _along(factor: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return factor.reshape(-1, *[1] * (weight.ndim - 1))
