"""What recurrent networks share: steps of a window in order, and a dense layer on the state they end in."""

import torch
from torch import nn


class Recurrent(nn.Module):
    """A network whose state runs through the steps of a window, and where asked from window to window.

    A subclass says what the steps are, and how the states follow from them.

    Attributes:
        keeps_state: whether each window goes on from the state in which the one before it ended; else it
            starts from zero. Whoever uses the network heeds it: `forward` starts from zero, `sequence` keeps.
        context: values of context it takes.
    """

    def __init__(self, units: int, classes: int, dropout: float, context: int) -> None:
        super().__init__()
        self.keeps_state = False
        self.context = context
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(units + context, classes)

    def steps(self, x: torch.Tensor) -> torch.Tensor:
        """Features of the steps, ``[N, steps, features]``, of windows ``[N, channels, 1, T]``."""
        raise NotImplementedError

    def states(self, steps: torch.Tensor) -> torch.Tensor:
        """State after each step, ``[N, steps, units]``, from a state of zero before the first."""
        raise NotImplementedError

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``[N, classes]`` of windows ``[N, channels, 1, T]`` and context ``[N, values]``."""
        return self._classify(self.states(self.steps(x))[:, -1], context)

    def sequence(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits ``[N, S, classes]`` of S windows in a row ``[N, S, channels, 1, T]``, the state kept.

        The first window of each row starts from a state of zero; context ``[N, values]`` is that of the row.
        """
        rows, windows = x.shape[:2]
        steps = self.steps(x.flatten(0, 1))
        count = steps.shape[1]
        states = self.states(steps.reshape(rows, windows * count, -1))
        ends = states[:, count - 1 :: count].flatten(0, 1)
        if context is not None:
            context = context.repeat_interleave(windows, dim=0)
        return self._classify(ends, context).reshape(rows, windows, -1)

    def _classify(self, state: torch.Tensor, context: torch.Tensor | None) -> torch.Tensor:
        features = self.dropout(state)
        if self.context:  # not `context is not None`: a traced argument is never None
            assert context is not None
            features = torch.cat([features, context], dim=1)
        logits: torch.Tensor = self.dense(features)
        return logits
