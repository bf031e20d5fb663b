"""Steps for processors with Arm's DSP extension: weights in the order in which its kernels consume them.

Every step that the kernels here cannot carry out exactly keeps its generic kernel.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.program import Step, Value

# What nrv_dsp_requantize() is equal to the reference within.
_MAX_BOUND = 1 << 30
_SHIFTS = range(-23, 0)
_GROUP = 4  # taps
_COLUMN_BYTES = 4 * 2 * _GROUP  # of a group: four columns of int16


def _is_exact(step: Step) -> bool:
    shift: Any = step.parameters["shift"]
    assert step.accumulator_bound is not None
    return step.accumulator_bound < _MAX_BOUND and all(int(s) in _SHIFTS for s in shift)


def interleaved(weights: NDArray[np.int8]) -> NDArray[np.uint32]:
    """Return rows [units, taps] as words [pairs of units, groups of four taps, 2], filled up with zeros.

    The first word of a group holds taps 0 and 2, the second taps 1 and 3; in each, bytes 0 and 2 are the
    first unit's, bytes 1 and 3 the second's.
    """
    units, taps = weights.shape
    padded = np.zeros((units + units % 2, -(-taps // _GROUP) * _GROUP), np.int8)
    padded[:units, :taps] = weights
    # [pair, unit, group, tap / 2, tap % 2] to [pair, group, tap % 2, tap / 2, unit]
    parts = padded.reshape(len(padded) // 2, 2, -1, 2, 2).transpose(0, 2, 4, 3, 1)
    return np.ascontiguousarray(parts).reshape(-1).view("<u4").astype(np.uint32)


def _words(values: NDArray[np.int32]) -> NDArray[np.uint32]:
    return values.astype(np.int32).view(np.uint32)


def matrix(weights: NDArray[np.int8], parameters: Mapping[str, Any]) -> dict[str, Value]:
    """Return an `nrv_dsp_matrix_t` of weights [units, taps] and a generic kernel's other parameters."""
    units, odd = len(weights), len(weights) % 2
    zero, low = parameters["output_zero"], parameters["act_min"]
    bias, multiplier, shift = (
        np.pad(np.asarray(parameters[name], np.int32), (0, odd)) for name in ("bias", "multiplier", "shift")
    )
    shift = np.where(shift < 0, -1 - shift, 0) + (2 * zero + 1) * 256
    scales = np.stack([multiplier, shift], axis=1).reshape(-1, 4)
    taps = interleaved(weights).reshape(len(scales), -1)
    stream = np.concatenate([_words(bias.reshape(-1, 2)), taps, _words(scales)], axis=1)
    return {
        "units": units,
        "groups": -(-weights.shape[1] // _GROUP),
        "cut_below_zero": int(low >= zero),
        "act_min": low,
        "act_max": parameters["act_max"],
        "stream": stream,
    }


def _runs(window: dict[str, int], in_c: int) -> tuple[int, int, int]:
    """Return how a window lies in the input: rows of runs of so many neighbouring taps."""
    rows, runs, length = window["kernel_h"], window["kernel_w"], in_c
    if runs == 1 or window["dilation_w"] == 1:
        runs, length = 1, runs * length
        if rows == 1 or window["dilation_h"] * window["in_w"] * in_c == length:
            rows, length = 1, rows * length
    return rows, runs, length


def _conv2d(step: Step) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    window, in_c, weights = parameters["window"], parameters["in_c"], parameters["weights"]
    if not _is_exact(step):
        return step
    taps = weights[0].size
    if taps == in_c and window["stride_h"] == window["stride_w"] == 1:
        # Pointwise: all pixels are one row.
        pixels = window["batches"] * window["out_h"] * window["out_w"]
        window = {**window, "batches": 1, "in_h": 1, "out_h": 1, "in_w": pixels, "out_w": pixels}
        window |= {"inside_bottom": 1, "inside_right": pixels}
    rows, runs, length = _runs(window, in_c)
    if length % _GROUP and rows * runs > 1:
        window = {**window, "inside_bottom": 0, "inside_top": 0}
    inside = (window["inside_bottom"] - window["inside_top"]) * (
        window["inside_right"] - window["inside_left"]
    )
    groups = -(-taps // _GROUP)
    whole = inside == window["out_h"] * window["out_w"] and window["out_w"] % 2 == 0
    return replace(
        step,
        kernel="dsp_conv2d",
        parameters={
            "window": window,
            "in_c": in_c,
            "rows": rows,
            "runs": runs,
            "length": length,
            "matrix": matrix(weights.reshape(len(weights), -1), parameters),
        },
        scratch=groups * _COLUMN_BYTES + (0 if whole else 2 * taps),
    )


_FIT: dict[str, Callable[[Step], Step]] = {"conv2d": _conv2d}


def fit(step: Step) -> Step:
    """Return the step as one of this family's kernels carries it out, or as it was."""
    return _FIT[step.kernel](step) if step.kernel in _FIT else step
