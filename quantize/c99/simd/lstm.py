"""The LSTM for processors with vectors: the four gates' weights of sixteen units at a time."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.program import Step
from quantize.c99.simd.matrix import LANES, blocks

_TAPS = 4
_GATES = 4
_FLIP = 128
_INT8_MIN = -128


def _is_exact(step: Step) -> bool:
    """Whether nrv_simd_requantize() is equal to the reference for all sums, and no weight is -128."""
    p: Mapping[str, Any] = step.parameters
    assert step.accumulator_bound is not None
    half = (1 << max(0, -min(*p["shift"], *p["recurrent_shift"]))) >> 1
    least = min(int(p[name].min()) for name in ("weights", "recurrent_weights"))
    return step.accumulator_bound + half < 1 << 31 and least != _INT8_MIN


def _by_block(values: NDArray[Any]) -> NDArray[Any]:
    """Return values [4 * units, ...] as [blocks, 4, 16, ...]."""
    gates = blocks(values.reshape(_GATES, -1, *values.shape[1:]), axis=1)
    return np.moveaxis(gates.reshape(_GATES, -1, LANES, *values.shape[1:]), 0, 1)


def _weights(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return weights [4 * units, taps] as [blocks, groups, 4, 16, 4 taps]."""
    padded = np.pad(weights, ((0, 0), (0, -weights.shape[1] % _TAPS)))
    laid = _by_block(padded).reshape(-1, _GATES, LANES, padded.shape[1] // _TAPS, _TAPS)
    return np.asarray(laid.transpose(0, 3, 1, 2, 4), np.int8)


def _biases(bias: NDArray[np.int32], weights: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return biases and those for flipped input as [blocks, 4, 2, 16]."""
    flipped = bias - _FLIP * weights.sum(axis=1, dtype=np.int64)
    both = [_by_block(values.astype(np.int32)) for values in (bias, flipped)]  # wraps around as the sums do
    return np.stack(both, axis=2)


def fit_lstm(step: Step) -> Step:
    """Return the step of this family, or the generic one where it would not be exact."""
    if not _is_exact(step):
        return step
    p = dict[str, Any](step.parameters)
    matrices = [p.pop(name) for name in ("weights", "recurrent_weights")]
    biases = [p.pop(name) for name in ("bias", "recurrent_bias")]
    scales = np.concatenate(
        [
            np.stack([p[f"{prefix}{name}"] for name in ("multiplier", "shift")], axis=1)
            for prefix in ("", "recurrent_")
        ]
        + [np.array([[p["hidden_multiplier"], p["hidden_shift"]]])]
    )
    laid = [_weights(weights) for weights in matrices]
    groups = [part.shape[1] for part in laid]
    units = -(-p["units"] // LANES) * LANES
    return replace(
        step,
        kernel="simd_lstm",
        parameters={
            "lstm": p,
            "input_groups": groups[0],
            "hidden_groups": groups[1],
            "weights": np.concatenate(laid, axis=1),
            "scales": np.repeat(scales, LANES).astype(np.int32),
            "bias": np.stack([_biases(*part) for part in zip(biases, matrices, strict=True)], axis=1),
        },
        scratch=11 * units + _TAPS * sum(groups),
    )
