"""How a network is fitted: plain data, read from a task file."""

from typing import Annotated

import msgspec

Count = Annotated[int, msgspec.Meta(ge=1)]


class Augmentation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Random changes of training windows that must not change the label; 0 turns one off.

    Attributes:
        gain: standard deviation of the log of a factor for all channels: contact and force differ.
        channel_gain: the same, drawn for each channel.
        flip: whether the polarity of all channels is reversed at random.
        turn: standard deviation of the angle by which a ring of electrodes is turned, in places of an
            electrode. Only for bands whose first and last channel are neighbours.
        drop: probability of silencing a channel.
        noise: standard deviation of added white noise, in int8 steps.
    """

    gain: float = 0.0
    channel_gain: float = 0.0
    flip: bool = False
    turn: float = 0.0
    drop: float = 0.0
    noise: float = 0.0


class FitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of `train.fit.fit`.

    Attributes:
        epochs: most passes over the training windows.
        sequence: windows in a row through which a network that keeps its state learns, from a state of zero.
        batch_size: windows a step.
        learning_rate: highest, after the warm-up; falls to zero along a half cosine.
        weight_decay: of AdamW.
        warm_up: share of all steps in which the learning rate rises.
        label_smoothing: probability given to all classes alike.
        mixup: parameter of the Beta distribution of mixed windows; 0 for none.
        average: decay of the running average of weights that becomes the result; 0 for none.
        patience: epochs without a lower validation loss before stopping. 0 never stops early and holds
            nothing back to validate: all training windows fit.
        freeze_statistics: whether batch normalisation keeps its means and variances, as is right for a few
            windows of one person.
        augmentation: changes of the training windows.
    """

    epochs: Count = 30
    batch_size: Count = 256
    sequence: Count = 8
    learning_rate: float = 3e-3
    weight_decay: float = 1e-2
    warm_up: float = 0.1
    label_smoothing: float = 0.0
    mixup: float = 0.0
    average: float = 0.0
    patience: int = 0
    freeze_statistics: bool = False
    augmentation: Augmentation = Augmentation()
