"""Steps for processors with Helium (MVE): weights in the order in which its kernels consume them.

Every step that the kernels here cannot carry out exactly, or not faster, is left to the DSP extension's.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import dsp
from quantize.c99.overlap import lead_of_blocks, lead_of_windows
from quantize.c99.program import Program, Step, Value

_LANES = 16  # int8 in a vector
_COLUMNS = 4  # windows that are multiplied at once
_UNROLLED = 8  # groups of taps
_SHIFTS = range(-31, 0)  # what VRSHL rounds as the reference does


def _groups(taps: int) -> int:
    return -(-taps // _LANES)


def _is_exact(step: Step) -> bool:
    shift: Any = step.parameters["shift"]
    return all(int(s) in _SHIFTS for s in shift)


def stream(weights: NDArray[np.int8], parameters: Mapping[str, Any]) -> NDArray[np.uint32]:
    """Return int8 weights [units, taps], biases, multipliers and shifts as `nrv_mve_matrix_t` wants them.

    The result is uint32 [units, 4 * groups of sixteen taps + 3].
    """
    units, taps = weights.shape
    groups = _groups(taps)
    padded = np.zeros((units, groups, _LANES), np.int8)
    padded.reshape(units, -1)[:, :taps] = weights
    if groups <= _UNROLLED:
        padded = padded[:, [0, *range(groups - 1, 0, -1)]]
    scales = np.stack([parameters[name].astype(np.int32) for name in ("bias", "multiplier", "shift")], axis=1)
    words = padded.reshape(units, -1).view("<u4").astype(np.uint32)
    return np.concatenate([words, scales.view(np.uint32)], axis=1)


def _matrix(weights: NDArray[np.int8], parameters: Mapping[str, Any], pool: int) -> dict[str, Value]:
    """Return an `nrv_mve_matrix_t` of weights [units, taps] and a generic kernel's other parameters."""
    return {
        "units": len(weights),
        "groups": _groups(weights.shape[1]),
        **{name: parameters[name] for name in ("output_zero", "act_min", "act_max")},
        "pool": pool,
        "stream": stream(weights, parameters),
    }


def _are_neighbours(window: Mapping[str, int], in_c: int) -> bool:
    """Whether the taps of a window lie side by side in the input."""
    row_is_whole = window["kernel_w"] == 1 or window["dilation_w"] == 1
    rows_adjoin = window["dilation_h"] * window["in_w"] == window["kernel_w"]
    return row_is_whole and (window["kernel_h"] == 1 or rows_adjoin)


def _conv2d(step: Step, pool: int = 1) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    window, in_c, weights = parameters["window"], parameters["in_c"], parameters["weights"]
    if not _is_exact(step):
        return step
    taps, units = weights[0].size, len(weights)
    strides = window["stride_h"], window["stride_w"]
    if taps == in_c and strides == (1, 1) and window["out_w"] == window["in_w"]:
        # Pointwise: all pixels are one row.
        pixels = window["batches"] * window["out_h"] * window["out_w"]
        window = {**window, "batches": 1, "in_h": 1, "out_h": 1, "in_w": pixels, "out_w": pixels}
        window |= {"inside_bottom": 1, "inside_right": pixels}
    in_place = _are_neighbours(window, in_c)
    lead = lead_of_blocks(window, in_c, units / pool, _COLUMNS)
    if in_place:
        # Windows are read again for each unit, when outputs of their block are already written.
        lead = lead_of_windows(window, in_c, units) + (_COLUMNS - 1) * units
    return replace(
        step,
        kernel="mve_conv2d",
        parameters={
            "window": window,
            "in_c": in_c,
            "in_place": int(in_place),
            "matrix": _matrix(weights.reshape(units, -1), parameters, pool),
        },
        scratch=_COLUMNS * _groups(taps) * _LANES,
        lead=lead,
    )


_FIT: dict[str, Callable[[Step], Step]] = {
    "conv2d": _conv2d,
}


def fit(program: Program) -> Program:
    """Return the program with this family's steps, and those of the DSP family where it has none."""
    steps = [_FIT[s.kernel](s) if s.kernel in _FIT else s for s in map(dsp.laid_down, program.steps)]
    return dsp.fit(replace(program, steps=tuple(steps)))
