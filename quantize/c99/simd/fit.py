"""Steps for processors with vectors besides convolutions and dense layers: what goes channel by channel."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import tables
from quantize.c99.arithmetic import Multiplier
from quantize.c99.program import Program, Step
from quantize.c99.simd import matrix as simd
from quantize.c99.simd.lstm import fit_lstm

_COLUMNS = 64  # channels at once
_TAPS = 4
_MIN_NEIGHBOURS = 4  # fewer are faster one by one
_INT8_MIN = -128


def _order() -> NDArray[np.int64]:
    """Return the column that each lane of four vectors of sixteen holds, as nrv_simd_columns.h has them."""
    columns = np.arange(_COLUMNS).reshape(4, 4, 4)  # [16 bytes, vector, lane of four]
    return np.asarray(columns.transpose(1, 0, 2).reshape(-1), np.int64)


def _columns(values: NDArray[Any], pixels: int) -> NDArray[Any]:
    """Return values [outputs, channels] as [outputs, blocks, 64]: those of so many pixels side by side."""
    repeated = np.tile(values, (1, pixels))
    blocks = -(-repeated.shape[1] // _COLUMNS)
    padded = np.pad(repeated, ((0, 0), (0, blocks * _COLUMNS - repeated.shape[1])))
    return padded.reshape(len(values), blocks, _COLUMNS)[..., _order()]


def _depthwise(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    in_c, multiplier, window = (p[name] for name in ("in_c", "channel_multiplier", "window"))
    taps = p["weights"].reshape(-1, in_c, multiplier)
    if not simd.is_exact(step) or int(taps.min()) == _INT8_MIN:
        return step
    stride = window["stride_w"]
    reach_h, reach_w = ((window[f"kernel_{a}"] - 1) * window[f"dilation_{a}"] + 1 for a in "hw")
    plane_h = (window["out_h"] - 1) * window["stride_h"] + reach_h
    plane_w = window["out_w"] + (reach_w - 1) // stride
    y, x = (i.reshape(-1) for i in np.indices((window["kernel_h"], window["kernel_w"])))
    column = x * window["dilation_w"]
    part = y * window["dilation_h"] * stride + column % stride
    odd = -len(taps) % _TAPS
    places = np.pad((part * plane_w + column // stride) * in_c, (0, odd))
    pixels = max(1, _COLUMNS // in_c)
    # [outputs of a channel, groups * 4, channels]
    filters = np.pad(taps, ((0, odd), (0, 0), (0, 0))).transpose(2, 0, 1)
    laid = _columns(filters.reshape(-1, in_c), pixels)
    blocks = laid.shape[1]
    laid = laid.reshape(multiplier, -1, _TAPS, blocks, _COLUMNS).transpose(0, 3, 1, 4, 2)
    scales = {
        name: _columns(p[name].reshape(in_c, multiplier).T, pixels).reshape(-1)
        for name in ("bias", "multiplier", "shift")
    }
    sums = _columns(filters.sum(axis=1, dtype=np.int64), pixels).reshape(-1)
    outputs = window["out_w"] * in_c * multiplier if multiplier > 1 else 0
    return replace(
        step,
        kernel="simd_depthwise",
        parameters={
            "window": window,
            "in_c": in_c,
            "channel_multiplier": multiplier,
            "blocks": blocks,
            "pixels": pixels,
            "groups": len(places) // _TAPS,
            "plane_h": plane_h,
            "plane_w": plane_w,
            **{name: p[name] for name in ("output_zero", "act_min", "act_max")},
            "places": places.astype(np.int32),
            "weights": np.ascontiguousarray(laid),
            "scales": simd.scales(scales, sums),
        },
        takes_scratch=True,
        scratch=plane_h * plane_w * stride * in_c + _COLUMNS + outputs,
    )


def _pool(step: Step) -> Step:
    return replace(step, kernel=f"simd_{step.kernel}")


def _requantizes(step: Step) -> bool:
    """Whether nrv_simd_requantize() is equal to the reference for sums that have one shift."""
    shift: Any = step.parameters["shift"]
    assert step.accumulator_bound is not None
    return bool(step.accumulator_bound + ((1 << max(0, -shift)) >> 1) < 1 << 31)


def _mean(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    fits = p["inner"] >= _MIN_NEIGHBOURS and _requantizes(step)
    return replace(step, kernel="simd_mean") if fits else step


def _softmax(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    exponentials = tables.exponentials(Multiplier(p["multiplier"], p["shift"]), p["diff_min"])
    padded = np.pad(exponentials, (0, 256 - len(exponentials)))
    words = -(-p["depth"] // simd.LANES) * simd.LANES
    return replace(
        step,
        kernel="simd_softmax",
        parameters={**p, "exponentials": padded},
        takes_scratch=True,
        scratch=4 * words,
    )


def _pairwise(step: Step) -> Step:
    pairs: Any = step.parameters["pairs"]
    fits = pairs["extent"][3] >= _MIN_NEIGHBOURS
    return replace(step, kernel=f"simd_{step.kernel}8") if fits else step


def _matmul(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    if not _requantizes(step):
        return step
    columns = -(-p["columns"] // simd.LANES) * simd.LANES
    pairs = -(-p["depth"] // 2)
    return replace(
        step, kernel="simd_matmul", takes_scratch=True, scratch=4 * pairs * (p["rows"] + columns + 1) + 64
    )


_FIT: dict[str, Callable[[Step], Step]] = {
    "add": _pairwise,
    "average_pool": _pool,
    "depthwise": _depthwise,
    "lstm": fit_lstm,
    "matmul": _matmul,
    "max_pool": _pool,
    "mean": _mean,
    "mul": _pairwise,
    "softmax": _softmax,
}


def fit(program: Program) -> Program:
    """Return the program with the steps of this family."""
    fitted = simd.fit(program)
    return replace(fitted, steps=tuple(_FIT[s.kernel](s) if s.kernel in _FIT else s for s in fitted.steps))
