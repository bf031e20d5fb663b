"""What a model can be made of, and what to use in place of what it cannot."""

from typing import Final

REPLACEMENTS: Final = {
    "Conv1d": "Conv2d with a kernel of height 1 on input [N, C, 1, L]",
    "BatchNorm1d": "BatchNorm2d on input [N, C, 1, L]",
    "MaxPool1d": "MaxPool2d with a kernel of height 1",
    "AvgPool1d": "AvgPool2d with a kernel of height 1",
    "AdaptiveAvgPool1d": "AdaptiveAvgPool2d(1)",
    "AdaptiveMaxPool2d": "MaxPool2d with a kernel of the input's size",
    "ELU": "ReLU",
    "GELU": "ReLU",
    "SiLU": "ReLU",
    "LeakyReLU": "ReLU",
    "PReLU": "ReLU",
    "ReLU6": "ReLU: the 8-bit output scale bounds it already",
    "Hardtanh": "ReLU",
    "Sigmoid": "ReLU inside the network; at its end, logits",
    "Softmax": "nothing: a model returns logits, and the file ends in a softmax",
    "LogSoftmax": "nothing: a model returns logits, and the file ends in a softmax",
    "GroupNorm": "BatchNorm2d, which folds away",
    "LayerNorm": "BatchNorm2d, which folds away",
    "InstanceNorm2d": "BatchNorm2d, which folds away",
    "ConvTranspose2d": "Conv2d",
    "GRU": "LSTM of one layer with batch_first=True",
    "RNN": "LSTM of one layer with batch_first=True",
    "LSTMCell": "LSTM of one layer with batch_first=True",
    "TransformerEncoderLayer": "MultiheadAttention and Linear, each with BatchNorm2d after it",
}
"""What to use in place of a module that int8 TFLite lacks here."""

SUPPORTED: Final = (
    "Conv2d, BatchNorm2d, ReLU, AvgPool2d, MaxPool2d, AdaptiveAvgPool2d(1), ZeroPad2d, Flatten, Linear, "
    "LSTM, MultiheadAttention, Dropout, addition, torch.cat before Linear, train.reshape.Reshape"
)
"""In words, for messages."""
