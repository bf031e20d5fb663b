"""A GRU over the chunks of a window, each seen by a network of its own: run as one small step at a time."""

import torch
from torch import nn

from train.models._recurrent import Recurrent


class Stepwise(Recurrent):
    """Logits ``[N, classes]`` of ``[N, channels, 1, T]``, T a multiple of the chunk.

    The features of a chunk saturate at one, as the state does by itself: in int8 both then have one scale.

    Args:
        front: from chunks ``[N, channels, 1, chunk]`` to features ``[N, inputs]``; ends in a layer without
            ReLU, or holds none with weights.
        chunk: samples of a step.
        inputs: features of a chunk.
        units: of the memory.
        classes: outputs.
        dropout: before the dense layer.
        context: values of context.
    """

    def __init__(
        self,
        front: nn.Module,
        chunk: int,
        inputs: int,
        units: int,
        classes: int,
        dropout: float = 0.0,
        context: int = 0,
    ) -> None:
        super().__init__(units, classes, dropout, context)
        self.chunk = chunk
        self.front = front
        self.gru = nn.GRU(inputs, units, batch_first=True)

    def steps(self, x: torch.Tensor) -> torch.Tensor:
        features = saturated(self.front(chunks(x, self.chunk)))
        return features.reshape(x.shape[0], -1, features.shape[1])

    def states(self, steps: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.gru(steps)[0]
        return output


def chunks(x: torch.Tensor, chunk: int) -> torch.Tensor:
    """Windows ``[N, C, 1, T]`` cut into ``[N * steps, C, 1, chunk]``, those of a window in a row."""
    count, channels = x.shape[:2]
    parts = x.reshape(count, channels, -1, chunk).transpose(1, 2)
    return parts.reshape(-1, channels, 1, chunk)


def saturated(features: torch.Tensor) -> torch.Tensor:
    """Features within what int8 holds at a scale of 1/128."""
    return torch.clamp(features, -1, 127 / 128)
