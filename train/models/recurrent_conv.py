"""Maps of the activity over the skin, one for each part of the window, seen by convolutions, then an LSTM.

Bashivan P., Rish I., Yeasin M., Codella N.: Learning representations from EEG with deep recurrent-
convolutional neural networks. ICLR 2016. There the maps show the power in three fixed bands; here each
electrode's bands are learned filters, whose mean rectified output is mapped. The interpolation between
electrodes is fixed.
"""

import math
from typing import Final

import torch
from torch import nn

from train.models._recurrent import Recurrent
from train.reshape import Reshape

DESCRIPTION = "topographic maps of learned bands, convolutions on each, LSTM over them, dense classifier"
RECURRENT: Final = True
STEPS: Final = 7
"""Maps of a window, as in the paper; the number nearest to it that divides the window."""


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    positions: tuple[tuple[float, float], ...] | None = None,
    steps: int | None = None,
    bands: int = 4,
    kernel: int = 9,
    grid: int = 8,
    filters: tuple[int, int] = (8, 16),
    units: int = 16,
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        positions: (x, y) of each electrode in the plane, in any unit; by default evenly round a limb.
        steps: maps of a window.
        bands: learned filters of each electrode.
        kernel: length of these filters, samples; at most a step.
        grid: points of a map along each side.
        filters: of the convolutions before and after the first pooling of the map.
        units: of the memory.
        dropout: before the dense layer.
        context: values of context.

    Raises:
        ValueError: the window is not a whole number of steps, or positions are not one a channel.
    """
    divisors = [count for count in range(1, window + 1) if window % count == 0]
    count = steps or min(divisors, key=lambda divisor: (abs(divisor - STEPS), divisor))
    if count not in divisors:
        raise ValueError(f"a window of {window} samples is not {count} equal steps")
    ring = tuple(_round(2 * math.pi * c / channels) for c in range(channels))
    where = torch.tensor(positions or ring, dtype=torch.float32)
    if where.shape != (channels, 2):
        raise ValueError(f"{len(where)} positions for {channels} channels, two coordinates each")
    maps = _maps(where, count, window // count, bands, kernel, grid)
    return _RecurrentConv(maps, _vision(count, bands, *filters), filters[1], units, classes, dropout, context)


def _round(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


class _RecurrentConv(Recurrent):
    """Logits ``[N, classes]`` of ``[N, channels, 1, T]``.

    Args:
        maps: from windows to maps ``[N * steps, bands, grid, grid]``.
        vision: from maps to ``[N, features, 1, steps]``.
        features: of a map.
        units: of the memory.
        classes: outputs.
        dropout: before the dense layer.
        context: values of context.
    """

    def __init__(
        self,
        maps: nn.Module,
        vision: nn.Module,
        features: int,
        units: int,
        classes: int,
        dropout: float,
        context: int,
    ) -> None:
        super().__init__(units, classes, dropout, context)
        self.maps, self.vision = maps, vision
        self.lstm = nn.LSTM(features, units, batch_first=True)

    def steps(self, x: torch.Tensor) -> torch.Tensor:
        seen: torch.Tensor = self.vision(self.maps(x))
        return seen.squeeze(2).permute(0, 2, 1)

    def states(self, steps: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.lstm(steps)[0]
        return output


def _maps(positions: torch.Tensor, count: int, length: int, bands: int, kernel: int, grid: int) -> nn.Module:
    channels = len(positions)
    topography = nn.Conv2d(channels * bands, grid * grid * bands, 1, bias=False)
    topography.weight.data = _interpolation(positions, grid, bands)[:, :, None, None]
    topography.weight.requires_grad_(False)
    return nn.Sequential(
        Reshape((channels, 1, length), count),
        nn.Conv2d(channels, channels * bands, (1, min(kernel, length)), groups=channels, bias=False),
        nn.BatchNorm2d(channels * bands),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        topography,
        Reshape((bands, grid, grid), count),
    )


def _vision(count: int, bands: int, first: int, second: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(bands, first, 3, padding=1, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, 3, padding=1, bias=False),
        nn.BatchNorm2d(second),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        Reshape((second, 1, count)),
    )


def _interpolation(positions: torch.Tensor, grid: int, bands: int) -> torch.Tensor:
    """Weights [grid * grid * bands, channels * bands] from electrodes to the points of a map, row by row.

    A point shows each electrode by the inverse square of its distance (Shepard 1968), no nearer than half the
    distance between points.
    """
    low, high = positions.amin(0), positions.amax(0)
    size = float((high - low).max()) or 1.0
    places = (positions - (low + high) / 2) / size + 0.5
    axis = torch.arange(grid, dtype=torch.float32).add(0.5) / grid
    points = torch.cartesian_prod(axis, axis).flip(1)
    weights = torch.cdist(points, places).clamp(min=0.5 / grid) ** -2
    weights = weights / weights.sum(1, keepdim=True)
    # Point and band are one axis, as are electrode and band: a band is mapped to itself.
    return torch.kron(weights, torch.eye(bands))
