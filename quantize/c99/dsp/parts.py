"""Constants as the DSP kernels take them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from quantize.c99.program import Step, Value

MAX_BOUND: Final = 1 << 30
"""What nrv_dsp_requantize() is equal to the reference within, as are these shifts."""
SHIFTS: Final = range(-23, 0)
GROUP: Final = 4
"""Taps that are loaded at once."""
COLUMNS: Final = 4
"""Windows that are multiplied at once."""
GROUP_BYTES: Final = COLUMNS * 2 * GROUP
"""Of a group of their columns: they are int16."""


def interleaved(weights: NDArray[np.int8]) -> NDArray[np.uint32]:
    """Return rows [units, taps] as words [pairs of units, groups of four taps, 2], filled up with zeros.

    The first word of a group holds taps 0 and 2, the second taps 1 and 3; in each, bytes 0 and 2 are the
    first unit's, bytes 1 and 3 the second's.
    """
    units, taps = weights.shape
    padded = np.zeros((units + units % 2, -(-taps // GROUP) * GROUP), np.int8)
    padded[:units, :taps] = weights
    # [pair, unit, group, tap / 2, tap % 2] to [pair, group, tap % 2, tap / 2, unit]
    parts = padded.reshape(len(padded) // 2, 2, -1, 2, 2).transpose(0, 2, 4, 3, 1)
    return np.ascontiguousarray(parts).reshape(-1).view("<u4").astype(np.uint32)


def is_exact(step: Step) -> bool:
    """Whether nrv_dsp_requantize() is equal to the reference for all of a step's sums."""
    shift: Any = step.parameters["shift"]
    assert step.accumulator_bound is not None
    return step.accumulator_bound < MAX_BOUND and all(int(s) in SHIFTS for s in np.atleast_1d(shift))


def settled(step: Step) -> Step:
    """Return a step whose channels that always give the zero point have a multiplier of 0.

    Their scales are too small for nrv_dsp_requantize(): pruned or dead channels, mostly.
    """
    shift: Any = step.parameters.get("shift")
    if not isinstance(shift, np.ndarray) or step.accumulator_bound is None or step.kernel not in _SETTLED:
        return step
    multiplier: Any = step.parameters["multiplier"]
    # Below half of the last shift's step all is rounded to 0.
    halves = np.ldexp(1.0, -shift.astype(np.int64) - 1)
    still = (multiplier == 0) | ((shift < SHIFTS.start) & (step.accumulator_bound < halves))
    values = {"multiplier": np.where(still, 0, multiplier), "shift": np.where(still, -1, shift)}
    types = {"multiplier": multiplier.dtype, "shift": shift.dtype}  # as the generic kernels have them, too
    kept = {name: value.astype(types[name]) for name, value in values.items()}
    return replace(step, parameters={**step.parameters, **kept})


_SETTLED: Final = frozenset({"conv2d", "depthwise"})


def words(values: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return int32 as the words of a stream."""
    return values.astype(np.int32).view(np.uint32)


def scales(parameters: Mapping[str, Any]) -> NDArray[np.int32]:
    """Return multiplier and shift [units, 2] as nrv_dsp_requantize() takes them."""
    shift = parameters["shift"].astype(np.int32)
    return np.stack(
        [parameters["multiplier"], -1 - shift + 256 * (2 * parameters["output_zero"] + 1)], axis=1
    )


def activation(parameters: Mapping[str, Any]) -> dict[str, Value]:
    """Return the members of a kernel's parameters that a fused activation decides."""
    low = parameters["act_min"]
    return {
        "cut_below_zero": int(low >= parameters["output_zero"]),
        "act_min": low,
        "act_max": parameters["act_max"],
    }
