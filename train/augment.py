"""Random changes of training windows that leave their label true."""

import torch

from train.models import INPUT_SCALE
from train.settings import Augmentation


def augment(x: torch.Tensor, settings: Augmentation) -> torch.Tensor:
    """Change a batch at random and put it back on the int8 grid, saturating as the signal path does.

    Args:
        x: float32 ``[N, channels, 1, window]``, int8 windows divided by 128; left as it is.
        settings: what to change; random numbers are drawn from torch's global generator.
    """
    count, channels = x.shape[:2]
    if settings.gain:
        x = x * torch.exp(settings.gain * torch.randn(count, 1, 1, 1))
    if settings.channel_gain:
        x = x * torch.exp(settings.channel_gain * torch.randn(count, channels, 1, 1))
    if settings.flip:
        x = x * (2 * torch.randint(0, 2, (count, 1, 1, 1)) - 1)
    if settings.rotate:
        turn = (
            torch.multinomial(torch.tensor(settings.rotate), count, replacement=True)
            - len(settings.rotate) // 2
        )
        source = (torch.arange(channels) + turn[:, None]) % channels
        x = torch.gather(x, 1, source[:, :, None, None].expand_as(x))
    if settings.drop:
        x = x * (torch.rand(count, channels, 1, 1) >= settings.drop)
    if settings.noise:
        x = x + settings.noise * INPUT_SCALE * torch.randn_like(x)
    return torch.clamp(torch.round(x / INPUT_SCALE), -128, 127) * INPUT_SCALE
