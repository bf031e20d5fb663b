"""The 13-layer network of Acharya et al. 2018 for seizures in one channel of EEG.

Acharya U. R., Oh S. L., Hagiwara Y., Tan J. H., Adeli H.: Deep convolutional neural network for the automated
detection and diagnosis of seizure using EEG signals. Computers in Biology and Medicine 2018, 100:270-278.

Five times a convolution and a max-pooling by two, then three dense layers, as in the paper: 4, 4, 10, 10 and
15 filters of 6, 5, 4, 4 and 4 samples, 50 and 20 units. What differs: ReLU in place of LeakyReLU, since it
costs nothing after an int8 layer; batch norm after the convolutions, which speeds training and folds away;
dropout; any number of channels and any window that the kernels fit (the paper's is 4097 samples of one).
"""

from collections.abc import Sequence

from torch import nn

from train.models._context import classifier

DESCRIPTION = "13 layers of Acharya 2018: five convolutions with max-pooling, three dense layers"


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    layers: Sequence[Sequence[int]] = ((4, 6), (4, 5), (10, 4), (10, 4), (15, 4)),
    hidden: Sequence[int] = (50, 20),
    dropout: float = 0.2,
    context: int = 0,
) -> nn.Module:
    """Build the network.

    Args:
        channels: of the signal.
        window: samples.
        classes: outputs.
        layers: filters and kernel length of each convolution; the maximum of two outputs goes on.
        hidden: units of each dense layer before the last; may be empty.
        dropout: before each dense layer.
        context: values of context.

    Raises:
        ValueError: the window is shorter than the kernels need.
    """
    stack: list[nn.Module] = []
    width, length = channels, window
    for filters, kernel in layers:
        length = (length - kernel + 1) // 2
        if length < 1:
            raise ValueError(f"a window of {window} samples is too short for its kernels")
        stack += [
            nn.Conv2d(width, filters, (1, kernel), bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
            nn.MaxPool2d((1, 2)),
        ]
        width = filters
    stack.append(nn.Flatten())
    width *= length
    for units in hidden:
        stack += [nn.Dropout(dropout), nn.Linear(width, units), nn.ReLU()]
        width = units
    return classifier([*stack, nn.Dropout(dropout)], width, classes, context)
