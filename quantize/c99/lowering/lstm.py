"""UNIDIRECTIONAL_SEQUENCE_LSTM to a step."""

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import arithmetic
from quantize.c99.context import Context
from quantize.c99.program import State, Step
from quantize.tflite_model import LstmOptions
from quantize.tflite_sequence_rules import cell_bits

_INT16_MAX = (1 << 15) - 1


def _folded(
    c: Context, weights: NDArray[np.int64], bias: NDArray[np.int64], zero: int, shift: int
) -> tuple[NDArray[np.int32], int]:
    """Return a gate's bias with a zero point folded in, and the bound of its sums."""
    folded = bias - zero * weights.sum(axis=1)
    bound = int((np.abs(folded) + 128 * np.abs(weights).sum(axis=1)).max())
    # Room to add the other sum, of 16 bits.
    return folded.astype(np.int32), c.prove(bound, shift) + _INT16_MAX


def lower_lstm(c: Context) -> Step:
    """Return a fused LSTM as a step that keeps its states."""
    tensors, options = c.model.tensors, c.operator.options
    assert isinstance(options, LstmOptions)
    indices = c.operator.inputs
    source, hidden, cell = (tensors[indices[i]] for i in (0, 18, 19))
    parts: dict[str, list[NDArray[np.int32]]] = {"bias": [], "recurrent_bias": []}
    scales: dict[str, list[int]] = {}
    bounds = []
    for gate in range(4):
        bias = np.asarray(tensors[indices[12 + gate]].data, np.int64)
        for prefix, x, first, biases in (("", source, 1, bias), ("recurrent_", hidden, 5, 0 * bias)):
            weights = tensors[indices[first + gate]]
            scale = arithmetic.gate_multiplier(x, weights)
            folded, bound = _folded(c, np.asarray(weights.data, np.int64), biases, x.zero_point, scale.shift)
            parts[f"{prefix}bias"].append(folded)
            scales.setdefault(f"{prefix}multiplier", []).append(scale.value)
            scales.setdefault(f"{prefix}shift", []).append(scale.shift)
            bounds.append(bound)
    batches, steps, inputs = source.shape
    units = hidden.shape[1]
    shown = tensors[c.operator.intermediates[4]]
    to_hidden = arithmetic.gated_multiplier(shown)
    c.prove(1 << 30, to_hidden.shift)
    # A limit that rounds to none is none.
    clip = min(int(options.cell_clip / cell.scale), _INT16_MAX) or 1 << 15
    return Step(
        c.operator,
        "lstm",
        {
            "batches": batches,
            "steps": steps,
            "inputs": inputs,
            "units": units,
            "weights": np.concatenate([np.asarray(tensors[i].data, np.int8) for i in indices[1:5]]),
            "recurrent_weights": np.concatenate([np.asarray(tensors[i].data, np.int8) for i in indices[5:9]]),
            **{name: np.concatenate(values) for name, values in parts.items()},
            **{name: tuple(values) for name, values in scales.items()},
            "cell_bits": cell_bits(cell),
            "cell_clip": clip,
            "hidden_multiplier": to_hidden.value,
            "hidden_shift": to_hidden.shift,
            "hidden_zero": shown.zero_point,
        },
        (source.index,),
        c.output.index,
        macs=batches * steps * 4 * units * (inputs + units),
        accumulator_bound=max(bounds),
        takes_scratch=True,
        scratch=8 * units,
        states=(
            State("hidden state", hidden.size, hidden.zero_point),
            State("cell state", 2 * cell.size, 0),
        ),
    )
