"""UNIDIRECTIONAL_SEQUENCE_LSTM as TFLite's int8 kernel with 16-bit cell state wants it."""

from typing import Any, Final, Protocol

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from quantize.graph import QuantLayer, Tensor

_NONE: Final = -1
"""An input that is left out: peepholes, projection, layer norm."""
_GATES: Final = ("input", "forget", "cell", "output")
_INT16_RANGE: Final = 2**15


class AddConstant(Protocol):
    """Adds a constant to a file, with one scale a channel along `axis`; returns the tensor's index."""

    def __call__(
        self, name: str, values: NDArray[Any], scales: NDArray[np.float32] | None = None, axis: int = 0
    ) -> int:
        """Add it."""


def lstm_inputs(layer: QuantLayer, source: Tensor, constant: AddConstant) -> list[int]:
    """Add the constants of an lstm and list the operator's 24 inputs.

    Args:
        layer: its `inputs` are what it reads, the hidden state and the cell state.
        source: what it reads.
        constant: adds a constant to the file.
    """
    assert layer.lstm is not None
    weights, recurrent, biases = [], [], []
    for name, gate in zip(_GATES, layer.lstm.gates, strict=True):
        scale, recurrent_scale = (
            np.array([gate.scale], np.float32),
            np.array([gate.recurrent_scale], np.float32),
        )
        path = f"{layer.name}.{name}"
        weights.append(constant(f"{path}.weight", gate.weights, scale))
        recurrent.append(constant(f"{path}.recurrent", gate.recurrent_weights, recurrent_scale))
        biases.append(constant(f"{path}.bias", gate.bias, np.float32(source.scale) * scale))
    value, hidden, cell = layer.inputs
    peepholes, projection, layer_norm = [_NONE] * 3, [_NONE] * 2, [_NONE] * 4
    return [value, *weights, *recurrent, *peepholes, *biases, *projection, hidden, cell, *layer_norm]


def lstm_options(layer: QuantLayer) -> Any:
    """Options of the operator: its cell state is clipped to 16 bits, which some kernels ask to be said."""
    assert layer.lstm is not None
    options = schema.UnidirectionalSequenceLSTMOptionsT()
    options.fusedActivationFunction = schema.ActivationFunctionType.TANH
    options.cellClip = layer.lstm.cell_scale * _INT16_RANGE
    options.projClip, options.timeMajor = 0.0, False
    return options


def lstm_intermediates(layer: QuantLayer, hidden: Tensor) -> list[Tensor]:
    """List the operator's intermediates: four for layer norm, which must be there, and the hidden state."""
    unused = [Tensor(f"{layer.name}.unused{i}", (0,), 0.0, 0, "float32") for i in range(4)]
    return [*unused, Tensor(f"{layer.name}.gated", (0,), hidden.scale, hidden.zero_point)]
