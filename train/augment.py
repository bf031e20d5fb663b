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
    if settings.turn:
        x = _turned(x, settings.turn * torch.randn(count))
    if settings.drop:
        x = x * (torch.rand(count, channels, 1, 1) >= settings.drop)
    if settings.noise:
        x = x + settings.noise * INPUT_SCALE * torch.randn_like(x)
    return torch.clamp(torch.round(x / INPUT_SCALE), -128, 127) * INPUT_SCALE


def _turned(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    """Turn the ring of electrodes of each window ``[N, channels, 1, window]`` by ``[N]`` places.

    Between two electrodes lies a mixture that keeps the energy of signals that do not resemble each other.
    """
    channels = x.shape[1]
    whole = torch.floor(places)
    part = (places - whole)[:, None, None, None]
    source = (torch.arange(channels) + whole.long()[:, None]) % channels
    here, beside = (
        torch.gather(x, 1, index[:, :, None, None].expand_as(x))
        for index in (source, (source + 1) % channels)
    )
    return torch.sqrt(1 - part) * here + torch.sqrt(part) * beside
