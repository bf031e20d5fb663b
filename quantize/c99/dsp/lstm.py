"""The LSTM for processors with Arm's DSP extension: weights in the order in which they are consumed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.dsp.lstm_tables import exponentials
from quantize.c99.overlap import lead_of_rows
from quantize.c99.program import Step

_MAX_BOUND = 1 << 30  # of a sum shifted to the left
_SHIFTS = range(-23, 0)  # what nrv_dsp_requantize() is equal to the reference within
_SHIFTS_TO_GATES = range(-23, 31)
_GROUP = 4  # taps
_INT8_MIN = -128  # 256 times it does not fit int16 with another weight below 0
_MAX_SUM = 1 << 22  # 256 times twice the sum then fits int32


def _stream(weights: NDArray[np.int8], bias: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return an `nrv_dsp_lstm_t`'s words [units, ...] of one matrix [4 * units, taps], gate after gate."""
    units, taps = len(bias) // 4, weights.shape[1]
    padded = np.pad(weights, ((0, 0), (0, -taps % _GROUP))).astype(np.int16)
    # [pair of gates, which, unit, group, tap / 2, tap % 2]
    parts = padded.reshape(2, 2, units, -1, 2, 2)
    # [unit, group, pair of gates, tap % 2, tap / 2]
    pairs = (parts[:, 0] + 256 * parts[:, 1]).transpose(1, 2, 0, 4, 3)
    words = np.ascontiguousarray(pairs).reshape(units, -1).view("<u4").astype(np.uint32)
    twice = 2 * bias.astype(np.int64).reshape(2, 2, units)
    biases = np.stack([twice[:, 0], twice[:, 0] + 256 * twice[:, 1]], axis=1).reshape(4, units).T
    return np.concatenate([biases.astype(np.uint32), words], axis=1)


def _scales(multipliers: tuple[int, ...], shifts: tuple[int, ...], raised: bool) -> NDArray[np.int32]:
    """Return an `nrv_dsp_lstm_t`'s scales of one matrix, gate after gate."""
    if not raised:
        return np.array([(m, 1 << (-1 - s), -s) for m, s in zip(multipliers, shifts, strict=True)], np.int32)
    shifted = [(s, 0, 0, 0) if s >= 0 else (0, 1 << (-1 - s), -1, -s) for s in shifts]
    return np.array([(m, *rest) for m, rest in zip(multipliers, shifted, strict=True)], np.int32)


def lstm(step: Step) -> Step:
    """Return an LSTM as a step of nrv_dsp_lstm(), or as it is where that would not be exact."""
    parameters = dict[str, Any](step.parameters)
    assert step.accumulator_bound is not None
    shifts = (*parameters["shift"], *parameters["recurrent_shift"])
    exact = step.accumulator_bound < _MAX_BOUND and min(shifts) in _SHIFTS_TO_GATES
    if not exact or parameters["hidden_shift"] not in _SHIFTS:
        return step
    streams, scales, raised = [], [], max(shifts) >= 0
    for prefix in ("", "recurrent_"):
        weights, bias, multiplier, shift = (
            parameters.pop(prefix + name) for name in ("weights", "bias", "multiplier", "shift")
        )
        sums = np.abs(bias.astype(np.int64)) + 128 * np.abs(weights.astype(np.int64)).sum(axis=1)
        if int(weights.min()) == _INT8_MIN or int(sums.max()) >= _MAX_SUM:
            return step
        streams.append(_stream(weights, bias))
        scales.append(_scales(multiplier, shift, raised))
    p: Mapping[str, Any] = parameters
    input_groups, hidden_groups = (-(-p[name] // _GROUP) for name in ("inputs", "units"))
    return replace(
        step,
        kernel="dsp_lstm_raised" if raised else "dsp_lstm",
        parameters={
            "lstm": p,
            "input_groups": input_groups,
            "hidden_groups": hidden_groups,
            "scales": np.concatenate(scales),
            "stream": np.concatenate(streams, axis=1),
            "exponentials": exponentials(),
        },
        scratch=2 * _GROUP * (input_groups + hidden_groups),
        lead=lead_of_rows(p["batches"] * p["steps"], p["inputs"], p["units"]),
    )
