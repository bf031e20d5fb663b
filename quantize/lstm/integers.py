"""The integers of a fake-quantized LSTM."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.graph import LstmGate, LstmWeights
from quantize.lstm.module import QuantLstm

INT32_MAX = 2**31 - 1
_GATES = ("input", "forget", "cell", "output")


def read_lstm(module: QuantLstm, name: str, source: Any) -> LstmWeights:
    """Read the integers of a calibrated LSTM.

    Args:
        module: in evaluation mode.
        name: of the layer, for messages.
        source: its input, a quantized tensor.

    Raises:
        InnervateError: no input could keep a gate within 32 bits.
    """
    gates = []
    for gate, kernel, recurrent in zip(_GATES, module.kernels, module.recurrent_kernels, strict=True):
        weights, scale = _weights(kernel)
        recurrent_weights, recurrent_scale = _weights(recurrent)
        with torch.no_grad():
            bias = kernel.bias_quant(kernel.bias, source, kernel.quant_weight())
        # In float64: float32 holds integers to 2^24 only.
        steps = np.rint(bias.value.double().numpy() / bias.scale.double().numpy())
        # What a zero point adds to the bias is less than 2^15 times the number of inputs.
        if np.abs(steps).max() + 2**15 * (weights.shape[1] + 1) > INT32_MAX:
            raise InnervateError(
                f"the bias of the {gate} gate is too large beside its weights for 32 bits",
                name,
                "Train with weight decay, so that the weights do not vanish",
            )
        gates.append(LstmGate(weights, scale, recurrent_weights, recurrent_scale, steps.astype(np.int32)))
    first, forget, cell, output = gates
    return LstmWeights((first, forget, cell, output), module.cell_scale)


def _weights(kernel: Any) -> tuple[NDArray[np.int8], float]:
    with torch.no_grad():
        quantized = kernel.quant_weight()
    return quantized.int().numpy().astype(np.int8), float(quantized.scale)
