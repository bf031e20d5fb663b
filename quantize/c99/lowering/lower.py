"""From a model to steps: one kernel call each, with every constant it needs already computed.

A step's parameters are written as a C structure by `source.py`; nothing about the text is decided here.
Another kernel family or layout is another set of steps, from the same arithmetic.
"""

from collections.abc import Callable, Mapping
from math import floor

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import arithmetic, tables
from quantize.c99.arithmetic import Multiplier
from quantize.c99.context import Context
from quantize.c99.lowering.lstm import lower_lstm
from quantize.c99.lowering.moves import (
    lower_boxes,
    lower_joined,
    lower_pad,
    lower_reshape,
    lower_transpose,
)
from quantize.c99.lowering.pairs import (
    lower_add,
    lower_batch_matmul,
    lower_extremum,
    lower_mul,
    lower_squared_difference,
)
from quantize.c99.lowering.tables import (
    lower_hard_swish,
    lower_leaky_relu,
    lower_quantize,
    lower_relu,
    lower_rsqrt,
    lower_squashing,
)
from quantize.c99.lowering.wide import WIDE
from quantize.c99.program import Program, Step, Value
from quantize.c99.windows import window
from quantize.tflite_model import (
    ConvOptions,
    DenseOptions,
    Model,
    PoolOptions,
    SoftmaxOptions,
)
from quantize.tflite_rules import mean_axes, reduced_runs


def _reaches_border(window: Mapping[str, int]) -> bool:
    whole = (0, window["out_h"], 0, window["out_w"])
    return tuple(window[f"inside_{side}"] for side in ("top", "bottom", "left", "right")) != whole


def _folded_bias(c: Context, weights: NDArray[np.int64]) -> tuple[NDArray[np.int32], list[int]]:
    """Return biases with the input's zero point folded in, and each channel's accumulator bound."""
    bias = np.zeros(len(weights), np.int64)
    if len(c.inputs) > 2:
        data = c.inputs[2].data
        assert data is not None
        bias = data.reshape(-1).astype(np.int64)
    folded = bias - c.inputs[0].zero_point * weights.sum(axis=1)
    # |x| is at most 128, and padded taps hold the zero point, which is an int8 as well.
    bounds = [int(b) for b in np.abs(folded) + 128 * np.abs(weights).sum(axis=1)]
    c.prove(max(bounds), 0)
    return folded.astype(np.int32), bounds


def _weighted(
    c: Context, weights: NDArray[np.int64], multipliers: list[Multiplier], activation: tuple[int, int]
) -> tuple[dict[str, Value], int]:
    """Return a layer's parameters but for the weights, and its bound; `weights` is [channel, tap]."""
    folded, bounds = _folded_bias(c, weights)
    bound = max(c.prove(b, m.shift) for b, m in zip(bounds, multipliers, strict=True))
    return {
        "output_zero": c.output.zero_point,
        "act_min": activation[0],
        "act_max": activation[1],
        "bias": folded,
        "multiplier": np.array([m.value for m in multipliers], np.int32),
        "shift": np.array([m.shift for m in multipliers], np.int8),
    }, bound


def _conv_2d(c: Context) -> Step:
    source, weights = c.inputs[:2]
    options = c.operator.options
    assert isinstance(options, ConvOptions)
    assert weights.data is not None
    out_c, kernel_h, kernel_w, in_c = weights.shape
    sliding = window(c, options, (kernel_h, kernel_w), c.output.shape)
    layer, bound = _weighted(
        c,
        weights.data.reshape(out_c, -1).astype(np.int64),
        arithmetic.channel_multipliers(source, weights, c.output, out_c),
        arithmetic.activation_range(options.activation, c.output),
    )
    patch = kernel_h * kernel_w * in_c
    return Step(
        c.operator,
        "conv2d",
        {"window": sliding, "in_c": in_c, "out_c": out_c, "weights": weights.data.astype(np.int8), **layer},
        (source.index,),
        c.output.index,
        macs=c.output.size * patch,
        accumulator_bound=bound,
        takes_scratch=True,
        scratch=patch if _reaches_border(sliding) else 0,
    )


def _depthwise_conv_2d(c: Context) -> Step:
    source, weights = c.inputs[:2]
    options = c.operator.options
    assert isinstance(options, ConvOptions)
    assert weights.data is not None
    _, kernel_h, kernel_w, out_c = weights.shape
    in_c = source.shape[3]
    sliding = window(c, options, (kernel_h, kernel_w), c.output.shape)
    layer, bound = _weighted(
        c,
        weights.data.reshape(-1, out_c).T.astype(np.int64),
        arithmetic.channel_multipliers(source, weights, c.output, out_c),
        arithmetic.activation_range(options.activation, c.output),
    )
    return Step(
        c.operator,
        "depthwise",
        {
            "window": sliding,
            "in_c": in_c,
            "channel_multiplier": out_c // in_c,
            "weights": weights.data.astype(np.int8),
            **layer,
        },
        (source.index,),
        c.output.index,
        macs=c.output.size * kernel_h * kernel_w,
        accumulator_bound=bound,
        takes_scratch=True,
        scratch=kernel_h * kernel_w * in_c if _reaches_border(sliding) else 0,
    )


def _fully_connected(c: Context) -> Step:
    source, weights = c.inputs[:2]
    options = c.operator.options
    assert isinstance(options, DenseOptions)
    assert weights.data is not None
    units, depth = weights.shape
    rows = source.size // depth
    folded, bounds = _folded_bias(c, weights.data.astype(np.int64))
    scales = arithmetic.output_scales(source, weights, c.output, units)
    multipliers = []
    for scale, bound in zip(scales, bounds, strict=True):
        c.prove(floor(bound * scale), 0)
        multiplier = arithmetic.single_rounding_multiplier(scale, c.prove(bound, 0))
        if multiplier is None:
            raise c.unfit("No integer multiplier rounds this layer's sums as the reference kernels do")
        multipliers.append(multiplier)
    act_min, act_max = arithmetic.activation_range(options.activation, c.output)
    return Step(
        c.operator,
        "dense",
        {
            "rows": rows,
            "depth": depth,
            "units": units,
            "output_zero": c.output.zero_point,
            "act_min": act_min,
            "act_max": act_max,
            "weights": weights.data.astype(np.int8),
            "bias": folded,
            "multiplier": np.array([m.value for m in multipliers], np.uint64),
            "shift": np.array([m.shift for m in multipliers], np.int8),
        },
        (source.index,),
        c.output.index,
        macs=rows * units * depth,
        accumulator_bound=max(bounds),
    )


def _pool_2d(c: Context) -> Step:
    options = c.operator.options
    assert isinstance(options, PoolOptions)
    act_min, act_max = arithmetic.activation_range(options.activation, c.output)
    average = c.operator.name == "AVERAGE_POOL_2D"
    return Step(
        c.operator,
        "average_pool" if average else "max_pool",
        {
            "window": window(c, options, options.kernel, c.output.shape),
            "channels": c.inputs[0].shape[3],
            "act_min": act_min,
            "act_max": act_max,
        },
        (c.inputs[0].index,),
        c.output.index,
        accumulator_bound=c.prove(129 * options.kernel[0] * options.kernel[1], 0) if average else None,
    )


def _mean(c: Context) -> Step:
    source = c.inputs[0]
    runs = reduced_runs(source.shape, mean_axes(c.model, c.operator))
    if len(runs) <= 3:
        runs = [*runs, 1, 1][:2] + [1, 1, *runs[2:], 1][:3]
    outer, count, middle, second, inner = [*runs, 1][:5]
    total = count * second
    scale = arithmetic.mean_multiplier(source, c.output, total)
    return Step(
        c.operator,
        "mean",
        {
            "outer": outer,
            "count": count,
            "middle": middle,
            "second_count": second,
            "inner": inner,
            "offset": -total * source.zero_point,
            "multiplier": scale.value,
            "shift": scale.shift,
            "output_zero": c.output.zero_point,
        },
        (source.index,),
        c.output.index,
        accumulator_bound=c.prove(256 * total, scale.shift),
    )


# A softmax of more values than this takes its exponentials from a table of up to 1 kB.
_MANY_EXPONENTIALS = 256


def _softmax(c: Context) -> Step:
    source = c.inputs[0]
    options = c.operator.options
    assert isinstance(options, SoftmaxOptions)
    scale, diff_min = arithmetic.softmax_parameters(source, options.beta)
    depth = source.shape[-1]
    return Step(
        c.operator,
        "softmax",
        {
            "rows": source.size // depth,
            "depth": depth,
            "multiplier": scale.value,
            "shift": scale.shift,
            "diff_min": diff_min,
            "exponentials": tables.exponentials(scale, diff_min) if source.size >= _MANY_EXPONENTIALS else 0,
        },
        (source.index,),
        c.output.index,
        accumulator_bound=c.prove(depth << 19, 0),
    )


_LOWER: dict[str, Callable[[Context], Step | tuple[Step, ...]]] = {
    "ADD": lower_add,
    "AVERAGE_POOL_2D": _pool_2d,
    "BATCH_MATMUL": lower_batch_matmul,
    "CONCATENATION": lower_joined,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "EXPAND_DIMS": lower_reshape,
    "FULLY_CONNECTED": _fully_connected,
    "HARD_SWISH": lower_hard_swish,
    "LEAKY_RELU": lower_leaky_relu,
    "LOGISTIC": lower_squashing,
    "MAXIMUM": lower_extremum,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _mean,
    "MINIMUM": lower_extremum,
    "MUL": lower_mul,
    "PACK": lower_joined,
    "PAD": lower_pad,
    "PADV2": lower_pad,
    "QUANTIZE": lower_quantize,
    "RELU": lower_relu,
    "RELU6": lower_relu,
    "RELU_N1_TO_1": lower_relu,
    "RESHAPE": lower_reshape,
    "RSQRT": lower_rsqrt,
    "SLICE": lower_boxes,
    "SOFTMAX": _softmax,
    "SPLIT": lower_boxes,
    "SQUARED_DIFFERENCE": lower_squared_difference,
    "SQUEEZE": lower_reshape,
    "STRIDED_SLICE": lower_boxes,
    "SUB": lower_add,
    "TANH": lower_squashing,
    "TRANSPOSE": lower_transpose,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lower_lstm,
    "UNPACK": lower_boxes,
}


def lower(model: Model) -> Program:
    """Turn every operator into steps; what moves nothing into an alias.

    Raises:
        InnervateError: an accumulator could overflow.
    """
    steps: list[Step] = []
    alias = {}
    for operator in model.operators:
        context = Context(model, operator)
        wide = "INT16" in (context.source.dtype, context.output.dtype) and operator.name in WIDE
        made = (WIDE if wide else _LOWER)[operator.name](context)
        if made == ():
            alias[operator.outputs[0]] = context.source.index
        steps += made if isinstance(made, tuple) else [made]
    return Program(model, tuple(steps), alias)
