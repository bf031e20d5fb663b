"""Operators on two tensors for the DSP kernels."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from quantize.c99.arithmetic import INT8_MAX, INT8_MIN
from quantize.c99.dsp.parts import COLUMNS, GROUP, GROUP_BYTES, SHIFTS, is_exact
from quantize.c99.program import Step

_HALF = 1 << 30  # the multiplier that with shift 0 stands for 1/2
_HEADROOM = 20  # bits of the common scale below an input's


def _round(zero_point: int, shift: int) -> int:
    """Return what is added before a last shift to the right."""
    return (zero_point << shift) + (1 << (shift - 1))


def _limits(p: Mapping[str, Any]) -> dict[str, int]:
    return {"act_min": p["act_min"], "act_max": p["act_max"]}


def add(step: Step) -> Step:
    """Return an ADD or SUB for `nrv_dsp_add`, where its operands move along the last axis."""
    p: Mapping[str, Any] = step.parameters
    pairs = p["pairs"]
    operands = list(zip(p["zero"], p["multiplier"], p["shift"], strict=True))
    larger = 0 if operands[0][1:] == (_HALF, 0) else 1
    zero, multiplier, shift = operands[1 - larger]
    exact = operands[larger][1:] == (_HALF, 0) and (shift < 0 or multiplier == _HALF)
    moves = pairs["first_step"][-1] == pairs["second_step"][-1] == 1
    if not exact or not moves or p["output_shift"] not in SHIFTS:
        return step
    signs = (1, p["sign"])
    # An equal scale is twice a half of it.
    factor, down = (1 << _HEADROOM + 1, -shift) if shift < 0 else (1 << _HEADROOM + 2, 1)
    first_factor = signs[larger] << _HEADROOM
    order = ("first_step", "second_step")[:: -1 if larger else 1]
    return replace(
        step,
        kernel="dsp_add",
        inputs=step.inputs[:: -1 if larger else 1],
        parameters={
            "pairs": {
                "extent": pairs["extent"],
                "first_step": pairs[order[0]],
                "second_step": pairs[order[1]],
            },
            "factor": factor,
            "offset": -zero * factor,
            "multiplier": multiplier,
            "round": _round(0, down),
            "shift": down,
            "first_factor": first_factor,
            "first_offset": -operands[larger][0] * first_factor,
            "second_factor": 2 * signs[1 - larger],
            "output_multiplier": p["output_multiplier"],
            "output_round": _round(p["output_zero"], -p["output_shift"]),
            "output_shift": -p["output_shift"],
            **_limits(p),
        },
    )


def mul(step: Step) -> Step:
    """Return a MUL for `nrv_dsp_mul`."""
    p: Mapping[str, Any] = step.parameters
    if not is_exact(step):
        return step
    return replace(
        step,
        kernel="dsp_mul",
        parameters={
            "pairs": p["pairs"],
            "twice_zero": 2 * p["zero"][0],
            "zero": p["zero"][1],
            "multiplier": p["multiplier"],
            "round": _round(p["output_zero"], -p["shift"]),
            "shift": -p["shift"] - 1,
            **_limits(p),
        },
    )


def matmul(step: Step) -> Step:
    """Return a BATCH_MATMUL for `nrv_dsp_product` or `nrv_dsp_matmul`, where rows lie tap by tap."""
    p: Mapping[str, Any] = step.parameters
    if not is_exact(step) or p["first_step"] != (p["depth"], 1):
        return step
    groups = -(-p["depth"] // GROUP)
    if p["zero"][1] != 0:
        return replace(step, kernel="dsp_matmul", takes_scratch=True, scratch=groups * GROUP_BYTES)
    return _product(step, groups)


def _product(step: Step, groups: int) -> Step:
    p: Mapping[str, Any] = step.parameters
    rows, columns, depth = p["rows"], p["columns"], p["depth"]
    # As far beyond a row is read, which must be in the operand.
    beyond = -depth % GROUP + (depth == 1)
    words = 2 * (3 + groups) * -(-columns // 2)
    window = {
        **dict.fromkeys(("batches", "in_h", "out_h", "kernel_h", "kernel_w", "inside_bottom"), 1),
        **dict.fromkeys(("stride_h", "stride_w", "dilation_h", "dilation_w"), 1),
        **dict.fromkeys(("in_w", "out_w"), rows),
        "inside_right": max(rows - -(-beyond // depth), 0),
    }
    matrix = {
        "units": columns,
        "groups": groups,
        "cut_below_zero": int(p["output_zero"] == INT8_MIN),
        "act_min": INT8_MIN,
        "act_max": INT8_MAX,
        "pool": 1,
    }
    reading = {"in_c": depth, "rows": 1, "runs": 1, "run_groups": groups, "run_taps": depth, "span": COLUMNS}
    return replace(
        step,
        kernel="dsp_product",
        parameters={
            "batches": p["batches"],
            "rows": {"window": window, **reading, "matrix": matrix},
            "depth": depth,
            "second_step": p["second_step"],
            "first_zero": p["zero"][0],
            "multiplier": p["multiplier"],
            "shift": -1 - p["shift"] + 256 * (2 * p["output_zero"] + 1),
            "stream_words": words,
        },
        takes_scratch=True,
        scratch=4 * words + groups * GROUP_BYTES + COLUMNS * depth + beyond,
    )
