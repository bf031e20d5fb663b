"""The same values in another shape, in the order in which a device holds them."""

import torch
from torch import nn


class Reshape(nn.Module):
    """Images [N, C, H, W], or vectors [N, C], as images of another shape, read in the order N, H, W, C.

    Reading steps of a window as a batch, channels as an image or a batch as a sequence moves nothing in a
    device's memory, where channels are innermost.

    Args:
        shape: (C, H, W) of each image given.
        batch: how many of these a window makes; what follows treats them alike, up to the next `Reshape`.
    """

    def __init__(self, shape: tuple[int, int, int], batch: int = 1) -> None:
        super().__init__()
        self.shape, self.batch = shape, batch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Read the values in their new shape."""
        return reshaped(x, self.shape)


def reshaped(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Read the values of [N, C, H, W] in the order N, H, W, C as images of another shape (C, H, W)."""
    if x.ndim == 2:
        x = x[:, :, None, None]
    channels, *size = shape
    return x.permute(0, 2, 3, 1).reshape(-1, *size, channels).permute(0, 3, 1, 2)
