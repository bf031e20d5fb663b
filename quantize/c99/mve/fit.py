"""Steps for processors with Helium (MVE): weights in the order in which its kernels consume them.

Every step that the kernels here cannot carry out exactly, or not faster, is left to the DSP extension's.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arithmetic import Multiplier
from quantize.c99.dsp import fit as dsp
from quantize.c99.dsp.dense import scale_within
from quantize.c99.fusion import fused, widened, without_pads
from quantize.c99.mve.planes import COLUMNS, LANES, choose_planes, groups_of, planes_lead, reached
from quantize.c99.overlap import lead_of_blocks, lead_of_rows, lead_of_windows
from quantize.c99.program import Program, Step, Value
from quantize.c99.windows import one_row

_SPAN_BYTES = 512  # that windows at a border may be copied to, as far as four do not need more
_MAX_UNITS = 1 << 14  # whose outputs for four windows are told apart by 16 bits
_UNROLLED = 8  # groups of taps
_SHIFTS = range(-31, 0)  # what VRSHL rounds as the reference does


def _is_exact(step: Step) -> bool:
    """Whether outputs round as the reference's: without a shift only if all below the zero point is cut."""
    p: Mapping[str, Any] = step.parameters
    is_cut = p["act_min"] >= p["output_zero"]
    return all(int(s) in _SHIFTS or (s == 0 and is_cut) for s in p["shift"])


def _taps(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return weights [units, taps] in groups of sixteen, [units, groups, 16], filled up with zeros."""
    units, taps = weights.shape
    padded = np.zeros((units, groups_of(taps), LANES), np.int8)
    padded.reshape(units, -1)[:, :taps] = weights
    return padded


def _scales(parameters: Mapping[str, Any]) -> NDArray[np.uint32]:
    """Return biases, multipliers and shifts as words [units, 3]."""
    columns = [parameters[name].astype(np.int32) for name in ("bias", "multiplier", "shift")]
    return np.asarray(np.stack(columns, axis=1), np.int32).view(np.uint32)


def _matrix(weights: NDArray[np.int8], parameters: Mapping[str, Any], pool: int) -> dict[str, Value]:
    """Return an `nrv_mve_matrix_t` of weights [units, taps] and a generic kernel's other parameters."""
    units, odd = len(weights), len(weights) % 2
    taps = np.pad(_taps(weights), ((0, odd), (0, 0), (0, 0)))
    groups = taps.shape[1]
    if groups <= _UNROLLED:
        taps = taps[:, [0, *range(groups - 1, 0, -1)]]
    pairs = taps.reshape(-1, 2, groups, LANES).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(pairs).reshape(len(pairs), -1).view("<u4").astype(np.uint32)
    scales = np.pad(_scales(parameters), ((0, odd), (0, 0)))
    return {
        "units": units,
        "groups": groups,
        **_activation(parameters),
        "pool": pool,
        "stream": words,
        "scales": scales.view(np.int32),
    }


def _activation(parameters: Mapping[str, Any]) -> dict[str, Value]:
    low, zero = parameters["act_min"], parameters["output_zero"]
    limits = {"act_min": low, "act_max": parameters["act_max"]}
    return {"output_zero": zero, "cut_below_zero": int(low >= zero), **limits}


def _are_neighbours(window: Mapping[str, int], in_c: int) -> bool:
    """Whether the taps of a window lie side by side in the input."""
    row_is_whole = window["kernel_w"] == 1 or window["dilation_w"] == 1
    rows_adjoin = window["dilation_h"] * window["in_w"] == window["kernel_w"]
    return row_is_whole and (window["kernel_h"] == 1 or rows_adjoin)


def _span(window: Mapping[str, int], in_c: int, in_place: bool, read: int) -> tuple[int, int]:
    """Return how many blocks of windows are copied together at a border, and the scratch of a convolution.

    `read`: bytes of a window, filled up. In place it is worth while where windows overlap in one row of taps.
    """
    step = window["stride_w"] * in_c
    copies = COLUMNS * (read + LANES)
    if in_place and window["kernel_h"] == 1 and step <= read:
        border = max(window["inside_left"], window["out_w"] - window["inside_right"])
        room = max(COLUMNS * read, _SPAN_BYTES) - read
        blocks = max(min(-(-border // COLUMNS), (room // step + 1) // COLUMNS), 1)
        return blocks, max(copies, (blocks * COLUMNS - 1) * step + read)
    _, width = reached(window, 1, COLUMNS)
    bytes_reached = window["kernel_h"] * width * in_c + LANES - 1
    if in_place or bytes_reached > _SPAN_BYTES or window["out_w"] < COLUMNS:
        return 0, copies
    return 1, copies + bytes_reached


def _conv2d(step: Step, pool: int = 1) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    window, in_c, weights = one_row(parameters["window"]), parameters["in_c"], parameters["weights"]
    if not _is_exact(step) or len(weights) > _MAX_UNITS:
        return step
    taps, units = weights[0].size, len(weights)
    in_place = _are_neighbours(window, in_c)
    span, scratch = _span(window, in_c, in_place, groups_of(taps) * LANES)
    lead = lead_of_blocks(window, in_c, units / pool, COLUMNS)
    if in_place:
        # Windows are read again for each unit, when outputs of their block are already written.
        lead = max(lead, 0) + COLUMNS * units // pool
    return replace(
        step,
        kernel="mve_conv2d",
        parameters={
            "window": window,
            "in_c": in_c,
            "in_place": int(in_place),
            "span": span,
            "readable": in_c * prod(window[n] for n in ("batches", "in_h", "in_w")),
            "matrix": _matrix(weights.reshape(units, -1), parameters, pool),
        },
        scratch=scratch,
        lead=lead,
    )


_MAX_AVERAGED = 4080  # taps


def _depthwise(step: Step) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    in_c, multiplier, window = (parameters[name] for name in ("in_c", "channel_multiplier", "window"))
    taps = parameters["weights"]
    if in_c == 1:
        filters = np.ascontiguousarray(np.moveaxis(taps.reshape(taps.shape[1:]), -1, 0)[..., None])
        whole = {k: v for k, v in parameters.items() if k != "channel_multiplier"}
        return _conv2d(replace(step, parameters={**whole, "weights": filters, "out_c": multiplier}))
    units = in_c * multiplier
    planes = choose_planes(window, in_c, units) if _is_exact(step) else None
    if planes is None:
        return step
    flat = np.zeros((units, planes.groups * LANES), np.int8)
    y, x = np.indices((window["kernel_h"], window["kernel_w"]))
    places = y * window["dilation_h"] * planes.step_y + x * window["dilation_w"] * planes.step_x
    flat[:, places.reshape(-1)] = taps.reshape(-1, units).T
    return replace(
        step,
        kernel="mve_depthwise",
        parameters={
            "window": window,
            "in_c": in_c,
            "channel_multiplier": multiplier,
            **asdict(planes),
            **_activation(parameters),
            "stream": np.concatenate([flat.view("<u4").astype(np.uint32), _scales(parameters)], axis=1),
        },
        takes_scratch=True,
        scratch=planes.scratch(in_c),
        lead=planes_lead(window, planes, in_c, units),
    )


def _dense_scales(step: Step) -> tuple[int, NDArray[np.int32]] | None:
    """Return the bits that a dense layer's sums are raised by, and `nrv_mve_dense_t`'s scales, or None."""
    p: Mapping[str, Any] = step.parameters
    assert step.accumulator_bound is not None
    raised = 30 - step.accumulator_bound.bit_length()
    weights, bias = p["weights"].astype(np.int64), p["bias"].astype(np.int64)
    bounds = np.abs(bias) + 128 * np.abs(weights).sum(axis=1)
    scaled = [
        scale_within(Multiplier(int(m), int(shift)), int(bound), p["output_zero"], raised)
        for m, shift, bound in zip(p["multiplier"], p["shift"], bounds, strict=True)
        if raised >= 0
    ]
    found = [scale for scale in scaled if scale is not None]
    if len(found) < len(bias):
        return None
    columns = np.column_stack([p["bias"], np.array(found) * (1, 1, -1)]).astype(np.int32)
    fours = np.pad(columns, ((0, -len(columns) % COLUMNS), (0, 0))).reshape(-1, COLUMNS, 4)
    return raised, np.ascontiguousarray(fours.transpose(0, 2, 1)).reshape(-1)


def _dense(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    # A row is read again for each four of its units.
    lead = p["units"] + max(0, (p["rows"] - 1) * (p["units"] - p["depth"]))
    if p["units"] <= COLUMNS:
        lead = lead_of_rows(p["rows"], p["depth"], p["units"])
    scales = _dense_scales(step)
    whole: dict[str, Value] = {"dense": dict(p), "raised": 0, "scales": 0}
    if scales:
        left_out = ("bias", "multiplier", "shift", "output_zero")
        kept = {name: value for name, value in p.items() if name not in left_out}
        whole = {"dense": kept, "raised": scales[0], "scales": scales[1]}
    return replace(step, kernel="mve_dense", parameters=whole, lead=lead)


def _pool(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    window, channels = p["window"], p["channels"]
    if step.kernel == "average_pool" and window["kernel_h"] * window["kernel_w"] > _MAX_AVERAGED:
        return step
    return replace(step, kernel=f"mve_{step.kernel}", lead=lead_of_windows(window, channels, channels))


def _mean(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    fits = p["middle"] == 1 and p["shift"] in _SHIFTS
    return replace(step, kernel="mve_mean") if fits else step


def _lstm(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    to_the_left = any(s not in (*_SHIFTS, 0) for s in (*p["shift"], *p["recurrent_shift"]))
    if p["units"] < COLUMNS or to_the_left or p["hidden_shift"] not in _SHIFTS:
        return step
    lead = lead_of_rows(p["batches"] * p["steps"], p["inputs"], p["units"])
    return replace(step, kernel="mve_lstm", scratch=10 * (-(-p["units"] // 8) * 8), lead=lead)


_HALF = 1 << 30  # as a multiplier with a shift of 0
_MAX_STEP = 8191  # whose sevenfold fits 16 bits


def _in_turns(step: Step) -> Step:
    """Return the step with this family's kernel, which may write over what it has read."""
    pairs: Any = step.parameters.get("pairs")
    plain = pairs is None or (pairs["first_step"], pairs["second_step"]) == ((0, 0, 0, 1), (0, 0, 0, 1))
    return replace(step, kernel=f"mve_{step.kernel}", lead=0 if plain else None)


def _add(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    terms = zip(p["multiplier"], p["shift"], strict=True)
    exact = all(shift in _SHIFTS or (shift == 0 and multiplier == _HALF) for multiplier, shift in terms)
    return _in_turns(step) if exact and p["output_shift"] in _SHIFTS else step


def _mul(step: Step) -> Step:
    return _in_turns(step) if step.parameters["shift"] in _SHIFTS else step


def _matmul(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    if p["shift"] not in _SHIFTS or p["first_step"][1] != 1 or p["second_step"][1] > _MAX_STEP:
        return step
    scratch = COLUMNS * groups_of(p["depth"]) * LANES
    return replace(step, kernel="mve_matmul", takes_scratch=True, scratch=scratch)


_FIT: dict[str, Callable[[Step], Step]] = {
    "add": _add,
    "average_pool": _pool,
    "conv2d": _conv2d,
    "dense": _dense,
    "depthwise": _depthwise,
    "lookup": _in_turns,
    "lstm": _lstm,
    "matmul": _matmul,
    "max_pool": _pool,
    "maximum": _in_turns,
    "mean": _mean,
    "minimum": _in_turns,
    "mul": _mul,
    "softmax": _in_turns,
    "squared_difference": _add,
}


def _pooled(conv: Step, pool: Step) -> Step | None:
    """Return a convolution that keeps the higher of two neighbours, or None if it cannot."""
    wider = widened(conv, pool, (2,)) if _is_exact(conv) else None
    return replace(_conv2d(*wider), output=pool.output) if wider else None


def fit(program: Program) -> Program:
    """Return the program with this family's steps, and those of the DSP family where it has none."""
    program = without_pads(program)
    steps = fused(program, map(dsp.laid_down, program.steps), _pooled)
    steps = [_FIT[s.kernel](s) if s.kernel in _FIT else s for s in steps]
    return dsp.fit(replace(program, steps=tuple(steps)))
