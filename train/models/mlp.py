"""Dense layers on features that end the signal path, or on the samples of a short window."""

from collections.abc import Sequence

from torch import nn

from train.models._context import classifier

DESCRIPTION = "dense layers, for a signal path that ends in features"


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    hidden: Sequence[int] = (64,),
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal; values of the vector where the path ends in features.
        window: samples; 1 where the path ends in features.
        classes: outputs.
        hidden: units of each dense layer before the last; with none it is a linear classifier.
        dropout: before each dense layer but the first.
        context: values of context.
    """
    stack: list[nn.Module] = [nn.Flatten()]
    width = channels * window
    for units in hidden:
        stack += [nn.Linear(width, units), nn.ReLU(), nn.Dropout(dropout)]
        width = units
    return classifier(stack, width, classes, context)
