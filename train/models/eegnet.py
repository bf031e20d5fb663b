"""EEGNet: filters in time, in space, and separable convolutions.

Lawhern V. J., Solon A. J., Waytowich N. R., Gordon S. M., Hung C. P., Lance B. J.: EEGNet: a compact
convolutional neural network for EEG-based brain-computer interfaces. J. Neural Eng. 2018, 15:056013.

The paper filters each electrode with the same F1 temporal filters, then weighs the electrodes of each
filter's output in D ways. Both steps are linear, with nothing but a batch norm between, so they can change
places: first F1 x D weighted sums of the electrodes (a 1x1 convolution), then a temporal filter for each sum
(a depthwise convolution). With equal filters for the D sums of a filter that is the paper's network exactly;
here each sum has its own, which is F1 x (D - 1) x kernel weights more. Electrodes stay in the channels, where
the signal path has them, so that no RESHAPE, TRANSPOSE or two-dimensional kernel is needed, and 8 electrodes
x 256 samples take 0.33 million multiply-accumulates in place of 1.11.

What else differs: ReLU in place of ELU, which has no int8 operator; weight decay in place of the limits on
weights' norms.
"""

from torch import nn

from train.models._context import classifier

DESCRIPTION = "EEGNet-8,2 (Lawhern 2018): spatial, temporal and separable convolutions for EEG"


def build(
    channels: int,
    window: int,
    classes: int,
    *,
    filters: int = 8,
    depth: int = 2,
    kernel: int = 64,
    separable_filters: int = 16,
    separable_kernel: int = 16,
    pools: tuple[int, int] = (4, 8),
    dropout: float = 0.5,
    context: int = 0,
) -> nn.Module:
    """Build the network; the defaults are the paper's EEGNet-8,2 at 128 samples a second.

    Args:
        channels: electrodes.
        window: samples.
        classes: outputs.
        filters: temporal filters, the paper's F1.
        depth: weighted sums of the electrodes for each, the paper's D.
        kernel: samples of a temporal filter; the paper has half a second.
        separable_filters: the paper's F2.
        separable_kernel: samples of the separable convolution.
        pools: samples averaged into one after the temporal and after the separable convolution.
        dropout: after each pooling; the paper has 0.5 within a person and 0.25 across people.
        context: values of context.

    Raises:
        ValueError: the window is shorter than the poolings need.
    """
    maps, (first, second) = filters * depth, pools
    length = window // first // second
    if length < 1:
        raise ValueError(f"a window of {window} samples is too short for its poolings")
    stack = [
        nn.Conv2d(channels, maps, 1, bias=False),
        _padding(kernel),
        nn.Conv2d(maps, maps, (1, kernel), groups=maps, bias=False),
        nn.BatchNorm2d(maps),
        nn.ReLU(),
        nn.AvgPool2d((1, first)),
        nn.Dropout(dropout),
        _padding(separable_kernel),
        nn.Conv2d(maps, maps, (1, separable_kernel), groups=maps, bias=False),
        nn.Conv2d(maps, separable_filters, 1, bias=False),
        nn.BatchNorm2d(separable_filters),
        nn.ReLU(),
        nn.AvgPool2d((1, second)),
        nn.Dropout(dropout),
        nn.Flatten(),
    ]
    return classifier(stack, separable_filters * length, classes, context)


def _padding(kernel: int) -> nn.Module:
    """Zeros that keep the length, the odd one after the data: TFLite's SAME.

    ``padding="same"`` would be that too, with a warning from torch for every even kernel.
    """
    return nn.ZeroPad2d(((kernel - 1) // 2, kernel // 2, 0, 0))
