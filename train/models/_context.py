"""Where context (age, sex, ...) joins a network: beside the features of the window, before the last layer."""

import torch
from torch import nn


def classifier(features: list[nn.Module], size: int, classes: int, context: int) -> nn.Module:
    """Return `features`, in order, and a dense layer on what they make of a window and on the context.

    Args:
        features: modules of a sequence, whose last gives ``[N, size]``.
        size: features.
        classes: outputs.
        context: values of context; 0 gives a network that takes the window alone.
    """
    if not context:
        return nn.Sequential(*features, nn.Linear(size, classes))
    return WithContext(nn.Sequential(*features), nn.Linear(size + context, classes))


class WithContext(nn.Module):
    """Logits ``[N, classes]`` of ``[N, channels, 1, T]`` and context ``[N, values]``."""

    def __init__(self, features: nn.Module, dense: nn.Linear) -> None:
        super().__init__()
        self.features, self.dense = features, dense

    def forward(self, x: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.dense(torch.cat([self.features(x), context], dim=1))
        return logits
