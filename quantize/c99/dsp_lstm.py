"""The LSTM for processors with Arm's DSP extension: weights in the order in which they are consumed."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.lstm_tables import fine_tanh_tables, sigmoid_tables
from quantize.c99.overlap import lead_of_rows
from quantize.c99.program import Step

# What nrv_dsp_requantize() is equal to the reference within.
_MAX_BOUND = 1 << 30
_SHIFTS = range(-23, 0)
_SHIFTS_TO_GATES = range(-23, 31)
_GROUP = 4  # taps
_INT8_MIN = -128
_MAX_GATE = 1 << 15  # sum of |weights|: 256 times twice the sum of products then fits int32


def _gates(weights: NDArray[np.int8], bias: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return an `nrv_dsp_lstm_t`'s words [units, ...] of one matrix [4 * units, taps], gate after gate."""
    units, taps = len(bias) // 4, weights.shape[1]
    padded = np.pad(weights, ((0, 0), (0, -taps % _GROUP))).astype(np.int16)
    # [pair of gates, which, unit, group, tap / 2, tap % 2]
    parts = padded.reshape(2, 2, units, -1, 2, 2)
    # [unit, group, pair of gates, tap % 2, tap / 2]
    pairs = (parts[:, 0] + 256 * parts[:, 1]).transpose(1, 2, 0, 4, 3)
    words = np.ascontiguousarray(pairs).reshape(units, -1).view("<u4").astype(np.uint32)
    biases = (2 * bias.reshape(4, units).T).astype(np.int32).view(np.uint32)
    return np.concatenate([biases[:, ::2], words, biases[:, 1::2]], axis=1)


def lstm(step: Step) -> Step:
    """Return an LSTM as a step of nrv_dsp_lstm(), or as it is where that would not be exact."""
    parameters = dict[str, Any](step.parameters)
    assert step.accumulator_bound is not None
    shifts = (*parameters["shift"], *parameters["recurrent_shift"])
    exact = step.accumulator_bound < _MAX_BOUND and min(shifts) in _SHIFTS_TO_GATES
    if not exact or parameters["hidden_shift"] not in _SHIFTS:
        return step
    prefixes = ("", "recurrent_")
    matrices = [parameters.pop(f"{prefix}weights") for prefix in prefixes]
    for weights in matrices:
        sums = np.abs(weights.astype(np.int64)).sum(axis=1)
        if int(weights.min()) == _INT8_MIN or int(sums.max()) >= _MAX_GATE:
            return step
    biases = [parameters.pop(f"{prefix}bias") for prefix in prefixes]
    scales = [
        values
        for prefix in prefixes
        for values in (
            parameters.pop(f"{prefix}multiplier"),
            [-1 - shift for shift in parameters.pop(f"{prefix}shift")],
        )
    ]
    no_curve = {"lines": 0, "above": 0}
    input_groups, hidden_groups = (-(-parameters[name] // _GROUP) for name in ("inputs", "units"))
    return replace(
        step,
        kernel="dsp_lstm",
        parameters={
            "lstm": parameters,
            "input_groups": input_groups,
            "hidden_groups": hidden_groups,
            "scales": tuple(int(value) for gate in zip(*scales, strict=True) for value in gate),
            "raised": int(max(shifts) >= 0),
            "hidden_scale": -1 - parameters["hidden_shift"] + 256 * (2 * parameters["hidden_zero"] + 1),
            "stream": np.concatenate([_gates(*part) for part in zip(matrices, biases, strict=True)], axis=1),
            "sigmoid": sigmoid_tables(),
            "fine_tanh": fine_tanh_tables(parameters["cell_bits"])
            if parameters["cell_bits"] < 2
            else no_curve,
        },
        scratch=2 * _GROUP * (input_groups + hidden_groups),
        lead=lead_of_rows(
            parameters["batches"] * parameters["steps"], parameters["inputs"], parameters["units"]
        ),
    )
