"""Steps for processors with vectors of integers (x86-64 with AVX2 or AVX-512, 64-bit Arm with NEON).

One layout of weights for all of them: sixteen output channels by four taps. Every step that the kernels here
cannot carry out exactly keeps its generic kernel.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.fusion import fused, widened
from quantize.c99.program import Program, Step, Value

LANES = 16
_TAPS = 4
_FLIP = 128
_ROWS = 8  # of a dense layer, at the most, that are multiplied at once
_INT8_MIN = -128


def is_exact(step: Step) -> bool:
    """Whether nrv_simd_requantize() is equal to the reference for a step's sums."""
    shift: Any = step.parameters["shift"]
    assert step.accumulator_bound is not None
    half = (1 << max(0, -int(shift.min()))) >> 1
    return step.accumulator_bound + half < 1 << 31


def blocks(values: NDArray[Any], axis: int = 0) -> NDArray[Any]:
    """Return values with an axis filled up to a multiple of 16 with zeros."""
    pads = [(0, 0)] * values.ndim
    pads[axis] = (0, -values.shape[axis] % LANES)
    return np.pad(values, pads)


def biases_of(bias: NDArray[np.int32], sums: NDArray[np.int64]) -> list[NDArray[np.int32]]:
    """Return biases, and biases for flipped input, of channels whose weights have such sums."""
    return [bias, (bias - _FLIP * sums).astype(np.int32)]  # wraps around as the sums do


def scales(parameters: Mapping[str, Any], sums: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return, of each 16 channels, biases, biases for flipped input, multipliers and shifts [blocks, 4, 16].

    Args:
        parameters: of a generic kernel.
        sums: of each channel's weights.
    """
    columns = [*biases_of(parameters["bias"], sums), parameters["multiplier"], parameters["shift"]]
    return np.stack([blocks(c.astype(np.int32)).reshape(-1, LANES) for c in columns], axis=1)


def _packed(taps: NDArray[np.int8]) -> NDArray[np.int8]:
    """Return weights [units, groups, 4] as [blocks, groups, 16, 4]."""
    return np.ascontiguousarray(blocks(taps).reshape(-1, LANES, *taps.shape[1:]).transpose(0, 2, 1, 3))


def _conv2d(step: Step, pool: int = 1) -> Step:
    p: Mapping[str, Any] = step.parameters
    window, in_c, weights = p["window"], p["in_c"], p["weights"]
    if not is_exact(step) or int(weights.min()) == _INT8_MIN:
        return step
    reach_h, reach_w = ((window[f"kernel_{a}"] - 1) * window[f"dilation_{a}"] + 1 for a in "hw")
    plane_h = (window["out_h"] - 1) * window["stride_h"] + reach_h
    plane_w = (window["out_w"] - 1) * window["stride_w"] + reach_w
    # Taps side by side in the input: a row of the window, or a pixel.
    run = window["kernel_w"] * in_c if window["dilation_w"] == 1 else in_c
    runs = weights.reshape(len(weights), window["kernel_h"], -1, run)
    y, x = np.indices(runs.shape[1:3])
    starts = (y * window["dilation_h"] * plane_w + x * window["dilation_w"]) * in_c
    places = (starts[..., None] + np.arange(0, run, _TAPS)).reshape(-1)
    taps = np.pad(runs, ((0, 0), (0, 0), (0, 0), (0, -run % _TAPS))).reshape(len(weights), -1, _TAPS)
    return replace(
        step,
        kernel="simd_conv2d",
        parameters={
            "window": window,
            "in_c": in_c,
            "out_c": len(weights),
            "groups": len(places),
            "plane_h": plane_h,
            "plane_w": plane_w,
            "pool": pool,
            "output_zero": p["output_zero"],
            "act_min": p["act_min"],
            "act_max": p["act_max"],
            "places": places.astype(np.int32),
            "weights": _packed(taps),
            "scales": scales(p, weights.reshape(len(weights), -1).sum(axis=1, dtype=np.int64)),
        },
        takes_scratch=True,
        scratch=plane_h * plane_w * in_c + _TAPS - 1,
    )


def _first_sums(multiplier: int, shift: int, bound: int) -> list[int]:
    """Return the least |sum| for 1 or more, 2 or more, ... 255 or more; `bound` + 1 stands for never."""
    half = 1 << (shift - 1)
    return [min(-(-((level << shift) - half) // multiplier), bound + 1) for level in range(1, 256)]


def short_scale(multiplier: int, shift: int, bound: int) -> tuple[int, int] | None:
    """Return a multiplier below 2^31 and its shift that scale every |sum| <= bound alike; None without any.

    Of outputs beyond 255 it is known only that they are, and fit 31 bits with a zero point added.
    """
    cut = max(0, multiplier.bit_length() - 31)
    if multiplier == 0 or shift - cut < 1:
        return None
    wanted = _first_sums(multiplier, shift, bound)
    for short in ((multiplier >> cut), (multiplier >> cut) + 1):
        fits = short < 1 << 31 and bound * short >> (shift - cut) < (1 << 31) - 256
        if fits and _first_sums(short, shift - cut, bound) == wanted:
            return short, shift - cut
    return None


def _dense_scales(p: Mapping[str, Any], bound: int) -> dict[str, Value]:
    """Return a dense layer's multipliers and shifts as its kernel takes them."""
    pairs = zip(p["multiplier"].tolist(), p["shift"].tolist(), strict=True)
    short = [short_scale(multiplier, shift, bound) for multiplier, shift in pairs]
    if None in short:
        return {"multiplier": p["multiplier"], "shift": p["shift"], "scales": 0}
    # Units that are missing are shifted as well.
    columns = [blocks(np.array(column, np.int32)) for column in zip(*filter(None, short), strict=True)]
    columns[1] = np.maximum(columns[1], 1)
    return {"multiplier": 0, "shift": 0, "scales": np.stack([c.reshape(-1, LANES) for c in columns], axis=1)}


def _dense(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    weights = p["weights"]
    if int(weights.min()) == _INT8_MIN:
        return step
    taps = np.pad(weights, ((0, 0), (0, -p["depth"] % _TAPS))).reshape(len(weights), -1, _TAPS)
    groups = taps.shape[1]
    names = ("rows", "depth", "units", "output_zero", "act_min", "act_max")
    assert step.accumulator_bound is not None
    biases = biases_of(p["bias"], weights.sum(axis=1, dtype=np.int64))
    return replace(
        step,
        kernel="simd_dense",
        parameters={
            **{name: p[name] for name in names},
            **_dense_scales(p, step.accumulator_bound),
            "groups": groups,
            "weights": _packed(taps),
            "bias": np.stack([blocks(b).reshape(-1, LANES) for b in biases], axis=1),
        },
        takes_scratch=True,
        scratch=min(p["rows"], _ROWS) * groups * _TAPS,
    )


def _pooled(conv: Step, pool: Step) -> Step | None:
    """Return a convolution that keeps the highest of so many neighbours, or None if it cannot."""
    wider = widened(conv, pool, (2, 4))
    joined = _conv2d(*wider) if wider else None
    return replace(joined, output=pool.output) if joined and joined.kernel == "simd_conv2d" else None


_FIT: dict[str, Callable[[Step], Step]] = {"conv2d": _conv2d, "dense": _dense}


def fit(program: Program) -> Program:
    """Return the program with this family's steps; max-pools become part of convolutions where they can."""
    steps = fused(program, program.steps, _pooled)
    return replace(program, steps=tuple(_FIT[s.kernel](s) if s.kernel in _FIT else s for s in steps))
