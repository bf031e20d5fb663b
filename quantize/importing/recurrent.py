"""A Keras model with recurrent layers to an int8 file, by way of torch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from quantize import forms
from quantize.calibrate import calibrate
from quantize.importing.converter import Converted
from quantize.importing.ends import WINDOW
from quantize.importing.keras_layers import to_torch
from quantize.tflite_writer import write
from train.models import INPUT_SCALE, to_input

_TOLERANCE = 1e-3
"""Of the float network against Keras, in probability: both compute in float32, in another order."""


def quantize_layers(converted: Converted, step: float | None) -> tuple[bytes, float]:
    """Make the int8 file. Its input says that a step is 1/128; the weights make up for what it is in truth.

    Args:
        converted: layers, weights, windows float32 [N, T, C] and what Keras makes of the first of them.
        step: value of an int8 step of a window for Keras; None takes what the largest value seen needs.

    Returns:
        The file, and the value of an int8 step.

    Raises:
        InnervateError: a layer without an int8 form.
    """
    windows = converted.inputs[WINDOW]
    if windows.ndim != 3:
        raise InnervateError(
            f"Windows of {list(windows.shape[1:])} before recurrent layers",
            WINDOW,
            "Take [samples, channels]",
        )
    if step is None:
        step = float(np.abs(windows).max()) / 127 or INPUT_SCALE
    network = to_torch(converted.layers, converted.weights, windows.shape[2])
    _rescale(network, step / INPUT_SCALE)
    _check(network, windows * np.float32(INPUT_SCALE / step), converted.outputs)
    integers = np.clip(np.rint(windows / step), -128, 127).astype(np.int8)
    lowered = forms.lower(network, (windows.shape[2], 1, windows.shape[1]))
    quantized = forms.quantized(lowered)
    calibrate(quantized, to_input(integers))
    return write(forms.read_graph(quantized)), step


def _check(network: nn.Module, windows: NDArray[np.float32], outputs: NDArray[np.float32]) -> None:
    """Check that the network computes what Keras does: a setting may have been overlooked."""
    x = torch.from_numpy(windows[: len(outputs)])
    with torch.no_grad():
        made = torch.softmax(network(x.permute(0, 2, 1).unsqueeze(2)), dim=1).numpy()
    difference = float(np.abs(made - outputs).max())
    if not difference < _TOLERANCE:
        raise InnervateError(
            f"The layers rebuilt in torch differ from Keras by {difference:.2g}",
            "recurrent layers",
            "Use plain settings of the layers, or train the network with innervate train",
        )


def _rescale(network: nn.Module, factor: float) -> None:
    """Let a network take inputs that are smaller by `factor`."""
    for module in network.modules():
        values: Any = module
        with torch.no_grad():
            if isinstance(module, nn.BatchNorm2d):
                values.running_mean /= factor
                values.running_var += module.eps  # which would not be in proportion
                values.running_var /= factor**2
                values.eps = 0.0
                return
            if isinstance(module, nn.Conv2d):
                values.weight *= factor
                return
            if isinstance(module, nn.LSTM | nn.GRU):
                values.weight_ih_l0 *= factor
                return
