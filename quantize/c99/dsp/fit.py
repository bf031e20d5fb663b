"""Steps for processors with Arm's DSP extension: weights in the order in which its kernels consume them.

Every step that the kernels here cannot carry out exactly keeps its generic kernel.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.dsp.dense import dense
from quantize.c99.dsp.lstm import lstm
from quantize.c99.dsp.pairs import add, matmul, mul
from quantize.c99.dsp.parts import (
    COLUMNS,
    GROUP,
    GROUP_BYTES,
    MAX_BOUND,
    activation,
    interleaved,
    is_exact,
    scales,
    settled,
    words,
)
from quantize.c99.dsp.planes import by_planes
from quantize.c99.fusion import fused, widened, without_pads
from quantize.c99.overlap import lead_of_blocks, lead_of_windows
from quantize.c99.program import Program, Step, Value
from quantize.c99.stripes import striped
from quantize.c99.windows import one_row

_BLOCK = 4  # channels of a depthwise convolution
# Instructions of one that takes four channels at a time, for each of them.
_PER_WINDOW, _PER_TAP = 16, 2.75
# A further kernel is 1 kB of flash: it has to save this part of the multiplications.
_WORTH_A_KERNEL = 1 / 20
_LEAST_RUN = 3  # taps, for which filling up to a group costs less than copying windows
_DIFFERENCES = 256  # of an int8 to a higher one
_MAX_INT16_TAPS = 256  # int8 whose sum fits int16


def matrix(weights: NDArray[np.int8], parameters: Mapping[str, Any], pool: int) -> dict[str, Value]:
    """Return an `nrv_dsp_matrix_t` of weights [units, taps] and a generic kernel's other parameters."""
    units, odd = len(weights), len(weights) % 2
    bias = np.pad(parameters["bias"], (0, odd))
    scale = np.pad(scales(parameters), ((0, odd), (0, 0))).reshape(-1, 4)
    taps = interleaved(weights).reshape(len(scale), -1)
    stream = np.concatenate([words(bias.reshape(-1, 2)), taps, words(scale)], axis=1)
    return {
        "units": units,
        "groups": -(-weights.shape[1] // GROUP),
        **activation(parameters),
        "pool": pool,
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


def _conv2d(step: Step, pool: int = 1) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    window, in_c, weights = one_row(parameters["window"]), parameters["in_c"], parameters["weights"]
    if not is_exact(step):
        return step
    taps = weights[0].size
    rows, runs, length = _runs(window, in_c)
    span, copied = 0, taps
    if length < _LEAST_RUN and rows * runs > 1:
        window = {**window, "inside_bottom": 0}  # each window is copied, and so one run
        rows, runs, length = 1, 1, taps
    else:
        # Up to this far beyond a window is read, which must be in the input.
        beyond = -length % GROUP + (window["stride_w"] * in_c == 1)
        reach = (window["kernel_w"] - 1) * window["dilation_w"] + 1 + -(-beyond // in_c)
        last = (window["in_w"] + window["pad_left"] - reach) // window["stride_w"] + 1
        window = {**window, "inside_right": min(window["inside_right"], window["out_w"], last)}
        if rows == window["kernel_h"]:
            span = (COLUMNS - 1) * window["stride_w"] + (window["kernel_w"] - 1) * window["dilation_w"] + 1
            copied = max(taps, window["kernel_h"] * span * in_c + beyond)
    rows_of_taps = weights.reshape(len(weights), rows * runs, length)
    filled = np.pad(rows_of_taps, ((0, 0), (0, 0), (0, -length % GROUP))).reshape(len(weights), -1)
    return replace(
        step,
        kernel="dsp_conv2d",
        parameters={
            "window": window,
            "in_c": in_c,
            "rows": rows,
            "runs": runs,
            "run_groups": -(-length // GROUP),
            "run_taps": length,
            "span": span,
            "matrix": matrix(filled, parameters, pool),
        },
        scratch=filled.shape[1] // GROUP * GROUP_BYTES + copied,
        lead=lead_of_blocks(window, in_c, len(weights) / pool, COLUMNS, whole=True),
    )


def _direct_instructions(step: Step) -> float:
    """Estimate what a channel of a depthwise layer takes, four at a time."""
    p: Mapping[str, Any] = step.parameters
    window = p["window"]
    per_window = _PER_WINDOW + _PER_TAP * window["kernel_h"] * window["kernel_w"]
    return float(window["out_h"] * window["out_w"] * p["channel_multiplier"] * per_window)


def _depthwise(step: Step, planes: bool = True) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    in_c, multiplier, window = (parameters[name] for name in ("in_c", "channel_multiplier", "window"))
    if in_c == 1:
        weights = parameters["weights"]
        filters = np.ascontiguousarray(np.moveaxis(weights.reshape(weights.shape[1:]), -1, 0)[..., None])
        whole = {k: v for k, v in parameters.items() if k != "channel_multiplier"}
        return _conv2d(replace(step, parameters={**whole, "weights": filters, "out_c": multiplier}))
    if not is_exact(step):
        return step
    made = by_planes(step, _direct_instructions(step) if in_c >= _BLOCK else inf) if planes else None
    if made or in_c < _BLOCK:
        return made or step
    taps = parameters["weights"].reshape(-1, in_c, multiplier)
    # Input channels of each block, then blocks of output channels [blocks * multiplier, 4].
    starts = np.minimum(np.arange(0, in_c, _BLOCK), in_c - _BLOCK)
    sources = starts[:, None, None] + np.arange(_BLOCK)
    outputs = (sources * multiplier + np.arange(multiplier)[:, None]).reshape(-1, _BLOCK)
    weights = taps.reshape(len(taps), -1).astype(np.int16).T[outputs].transpose(0, 2, 1)
    # Channels (0, 2), (1, 3) of a tap.
    pairs = np.ascontiguousarray(weights[..., [0, 2, 1, 3]]).reshape(len(outputs), -1).view("<u4")
    bias = parameters["bias"] + window["input_zero"] * taps.reshape(len(taps), -1).sum(axis=0, dtype=np.int32)
    starts = np.repeat(sources[:, 0, :1], multiplier, axis=0)
    scale = scales(parameters)[outputs].reshape(len(outputs), -1)
    parts = [words(starts), words(bias[outputs]), pairs, words(scale), words(outputs[:, :1])]
    stream = np.concatenate(parts, axis=1)
    # Not folded here: 255 for the largest difference of an input to its zero point.
    bounds = np.abs(bias) + 255 * np.abs(taps.reshape(len(taps), -1).astype(np.int64)).sum(axis=0)
    if int(bounds.max()) >= MAX_BOUND:
        return step
    return replace(
        step,
        kernel="dsp_depthwise",
        lead=lead_of_windows(window, in_c, in_c * multiplier),
        accumulator_bound=int(bounds.max()),
        parameters={
            "window": window,
            "in_c": in_c,
            "channel_multiplier": multiplier,
            **activation(parameters),
            "stream_words": stream.size,
            "stream": stream.astype(np.uint32),
        },
        takes_scratch=False,
        scratch=0,
    )


def _pool(step: Step) -> Step:
    parameters: Mapping[str, Any] = step.parameters
    window = parameters["window"]
    taps = window["kernel_h"] * window["kernel_w"]
    channels = parameters["channels"]
    lead = lead_of_windows(window, channels, channels)
    if channels < _BLOCK or taps > _MAX_INT16_TAPS:
        return replace(step, lead=lead)
    return replace(step, kernel=f"dsp_{step.kernel}", lead=lead)


def _mean(step: Step) -> Step:
    p: Mapping[str, Any] = step.parameters
    if p["inner"] < _BLOCK or p["middle"] > 1 or not is_exact(step):
        return step
    return replace(step, kernel="dsp_mean")


def _in_place(step: Step) -> Step:
    """What goes value by value reads each for the last time before it writes the one in its place."""
    pairs: Any = step.parameters.get("pairs")
    if pairs and (pairs["first_step"], pairs["second_step"]) != ((0, 0, 0, 1), (0, 0, 0, 1)):
        return step  # one of them is repeated, and so read again
    return replace(step, lead=0)


def _softmax(step: Step) -> Step:
    p = dict[str, Any](step.parameters)
    if isinstance(p["exponentials"], np.ndarray):
        p["exponentials"] = np.pad(p["exponentials"], (0, _DIFFERENCES - len(p["exponentials"])))
    return replace(step, kernel="dsp_softmax", parameters=p, takes_scratch=True, scratch=4 * p["depth"])


_FIT: dict[str, Callable[[Step], Step]] = {
    "add": lambda step: add(_in_place(step)),
    "average_pool": _pool,
    "conv2d": _conv2d,
    "dense": dense,
    "depthwise": _depthwise,
    "lookup": _in_place,
    "lstm": lstm,
    "matmul": matmul,
    "max_pool": _pool,
    "maximum": _in_place,
    "mean": _mean,
    "minimum": _in_place,
    "mul": lambda step: mul(_in_place(step)),
    "softmax": lambda step: _softmax(_in_place(step)),
    "squared_difference": _in_place,
}


def laid_down(step: Step) -> Step:
    """Return a step whose windows slide along one column as one whose windows slide along one row."""
    window: Any = step.parameters.get("window")
    if window is None or any(window[f"{extent}_w"] != 1 for extent in ("in", "out", "kernel")):
        return step
    turned = {"_h": "_w", "_w": "_h", "top": "left", "left": "top", "bottom": "right", "right": "bottom"}
    pattern = re.compile("|".join(f"{end}$" for end in turned))
    window = {pattern.sub(lambda m: turned[m.group()], name): value for name, value in window.items()}
    return replace(step, parameters={**step.parameters, "window": window})


def _pooled(conv: Step, pool: Step) -> Step | None:
    """Return a convolution that keeps the highest of so many neighbours, or None if it cannot."""
    wider = widened(conv, pool, (2, 4)) if is_exact(conv) else None
    return replace(_conv2d(*wider), output=pool.output) if wider else None


def fit(program: Program) -> Program:
    """Return the program with this family's steps; pads and max-pools become part of convolutions."""
    program = without_pads(program)
    steps = fused(program, map(settled, map(laid_down, program.steps)), _pooled)
    fitted = [_FIT[s.kernel](s) if s.kernel in _FIT else s for s in steps]
    return striped(replace(program, steps=tuple(_with_one_depthwise_kernel(steps, fitted))))


def _with_one_depthwise_kernel(steps: list[Step], fitted: list[Step]) -> list[Step]:
    """Return `fitted` without planes where another layer needs the other kernel and they bring little."""
    if not any(f.kernel == "dsp_depthwise" for f in fitted):
        return fitted
    by_planes = [s for s, f in zip(steps, fitted, strict=True) if f.kernel == "dsp_planes"]
    gain = 0.0
    for step in by_planes:
        p: Mapping[str, Any] = step.parameters
        if p["in_c"] < _BLOCK:
            return fitted
        # They take about half.
        gain += p["window"]["batches"] * p["in_c"] * _direct_instructions(step) / 2
    if gain > _WORTH_A_KERNEL * sum(f.macs for f in fitted):
        return fitted
    return [_depthwise(s, False) if s in by_planes else f for s, f in zip(steps, fitted, strict=True)]
