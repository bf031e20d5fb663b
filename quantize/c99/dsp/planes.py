"""Depthwise layers of the DSP kernels, channel by channel: taps side by side are multiplied in pairs."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from quantize.c99.dsp.parts import activation, scales, words
from quantize.c99.program import Step, Value

_BLOCK = 4  # outputs of a line, taps of a group
_LEAST_PLANE = 1024  # bytes of scratch that any layer may take
_AXES = {"h": ("top", "w"), "w": ("left", "h")}  # what lies before along an axis; the other axis


def _geometry(window: Mapping[str, int], axis: str, channels: int, out_c: int) -> dict[str, int]:
    """Return how the kernel sees a layer whose lines lie along an axis."""
    before, other = _AXES[axis]
    groups = -(-window[f"kernel_{axis}"] // _BLOCK)
    blocks = -(-window[f"out_{axis}"] // _BLOCK)
    steps = {"w": 1, "h": window["in_w"]}, {"w": 1, "h": window["out_w"]}
    reach = (window[f"kernel_{other}"] - 1) * window[f"dilation_{other}"] + 1
    return {
        "in_lines": window[f"in_{other}"],
        "in_length": window[f"in_{axis}"],
        "in_line_step": steps[0][other] * channels,
        "in_step": steps[0][axis] * channels,
        "out_lines": window[f"out_{other}"],
        "out_length": window[f"out_{axis}"],
        "out_line_step": steps[1][other] * out_c,
        "out_step": steps[1][axis] * out_c,
        "lines_before": window[f"pad_{_AXES[other][0]}"],
        "taps_before": window[f"pad_{before}"],
        "line_stride": window[f"stride_{other}"],
        "kernel_lines": window[f"kernel_{other}"],
        "line_dilation": window[f"dilation_{other}"],
        "groups": groups,
        "plane_lines": (window[f"out_{other}"] - 1) * window[f"stride_{other}"] + reach,
        "pitch": _BLOCK * (blocks + groups),
    }


def _instructions(g: Mapping[str, int], multiplier: int) -> float:
    """Estimate what a channel takes."""
    blocks = -(-g["out_length"] // _BLOCK)
    line = 30 + 40 * (g["out_length"] % _BLOCK > 0)
    block = 50 + g["kernel_lines"] * (10 + 13 * g["groups"])
    filling = 60 + 4 * g["plane_lines"] * g["pitch"]
    return filling + multiplier * g["out_lines"] * (line + blocks * block)


def by_planes(step: Step, direct: float) -> Step | None:
    """Return a generic depthwise layer as one by planes, or None.

    None where windows do not move by one tap along an axis, where planes would take more of the arena than
    their worth, or more instructions than `direct` for a channel.
    """
    parameters: Mapping[str, Any] = step.parameters
    window, channels, multiplier = (parameters[n] for n in ("window", "in_c", "channel_multiplier"))
    out_c = channels * multiplier
    possible = [
        (axis, _geometry(window, axis, channels, out_c))
        for axis in _AXES
        if window[f"stride_{axis}"] == 1 and window[f"dilation_{axis}"] == 1
    ]
    if not possible:
        return None
    axis, geometry = min(possible, key=lambda p: _instructions(p[1], multiplier))
    scratch = 2 * geometry["plane_lines"] * geometry["pitch"]
    of_input = window["in_h"] * window["in_w"] * channels
    if _instructions(geometry, multiplier) > direct or scratch > max(_LEAST_PLANE, of_input // 2):
        return None
    weights = parameters["weights"].reshape(window["kernel_h"], window["kernel_w"], out_c)
    lines = np.moveaxis(weights, -1, 0) if axis == "w" else weights.transpose(2, 1, 0)
    lines = np.pad(lines, ((0, 0), (0, 0), (0, -lines.shape[2] % _BLOCK))).astype(np.int16)
    taps = np.ascontiguousarray(lines.reshape(out_c, -1)).view("<u4")
    parts = [words(parameters["bias"].reshape(-1, 1)), taps, words(scales(parameters))]
    stream = np.concatenate(parts, axis=1).astype(np.uint32)
    of_output = window["out_h"] * window["out_w"] * out_c
    values: dict[str, Value] = {
        "batches": window["batches"],
        "channels": channels,
        "multiplier": multiplier,
        "input_zero": window["input_zero"],
        **geometry,
        **activation(parameters),
        "filter_words": stream.shape[1],
        "stream": stream,
    }
    return replace(
        step,
        kernel="dsp_planes",
        parameters=values,
        takes_scratch=True,
        scratch=scratch,
        in_place=multiplier == 1 and (window["batches"] == 1 or of_output <= of_input),
    )
