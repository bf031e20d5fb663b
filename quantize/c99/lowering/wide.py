"""Operators of int16 activations and int8 weights (TFLite's 16x8) to steps.

Zero points are 0, biases int64.
"""

from collections.abc import Callable
from math import frexp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99 import arithmetic
from quantize.c99.context import INT32_MAX, Context
from quantize.c99.lowering.pairs import below_one, walk
from quantize.c99.program import Step, Value
from quantize.c99.windows import window
from quantize.tflite_model import AddOptions, ConvOptions, DenseOptions, PoolOptions

_INPUT_MAX = 1 << 15
# A sum that the kernels of convolutions and dense layers multiply without overflow.
_SUM_BITS, _DENSE_SUM_BITS = 46, 36
_MOST_SHIFT = 7  # of the reference kernels
_MANTISSA_BITS, _LOW_BITS = 53, 27


def _bound(c: Context, weights: NDArray[np.int64], scales: list[float], bits: int) -> int:
    """Return the bound of all sums of rows of weights [channel, tap], proved to fit so many bits."""
    bias = c.inputs[2].data
    assert bias is not None
    sizes = np.abs(weights).sum(axis=1) * _INPUT_MAX
    bounds = [int(size) + abs(int(b)) for size, b in zip(sizes, bias.reshape(-1), strict=True)]
    if max(bounds) >= 1 << bits:
        raise c.unfit(f"A sum of up to {max(bounds)} could overflow its accumulator")
    largest = max(bound * scale for bound, scale in zip(bounds, scales, strict=True))
    if largest > INT32_MAX:
        raise c.unfit(f"A result of up to {largest:.0f} could overflow 32 bits before it is cut off")
    return max(bounds)


def _activation(c: Context) -> dict[str, Value]:
    options: Any = c.operator.options
    low, high = arithmetic.activation_range(options.activation, c.output)
    return {"act_min": low, "act_max": high}


def _convolution(c: Context) -> Step:
    source, weights, bias = c.inputs
    options = c.operator.options
    assert isinstance(options, ConvOptions)
    assert weights.data is not None
    assert bias.data is not None
    depthwise = c.operator.name == "DEPTHWISE_CONV_2D"
    kernel = (weights.shape[1], weights.shape[2])
    channels = c.output.shape[3]
    rows = weights.data.reshape(-1, channels).T if depthwise else weights.data.reshape(channels, -1)
    scales = arithmetic.output_scales(source, weights, c.output, channels)
    bound = _bound(c, rows.astype(np.int64), scales, _SUM_BITS)
    multipliers = arithmetic.channel_multipliers(source, weights, c.output, channels)
    if any(m.shift > _MOST_SHIFT for m in multipliers):
        raise c.unfit("The output's scale is too small for this layer's sums")
    groups = source.shape[3] if depthwise else 1
    return Step(
        c.operator,
        "conv16",
        {
            "window": window(c, options, kernel, c.output.shape),
            "groups": groups,
            "group_in": source.shape[3] // groups,
            "group_out": channels // groups,
            # From channel to channel, and from tap to tap.
            "weight_step": (1, channels) if depthwise else (rows.shape[1], 1),
            **_activation(c),
            "weights": weights.data.astype(np.int8),
            "bias": bias.data.reshape(-1).astype(np.int64),
            # The reference kernels take the upper half of the multiplier.
            "multiplier": np.array([min((m.value + (1 << 15)) >> 16, 0x7FFF) for m in multipliers], np.int16),
            "shift": np.array([15 - m.shift for m in multipliers], np.int8),
        },
        (source.index,),
        c.output.index,
        macs=c.output.size * rows.shape[1],
        accumulator_bound=bound,
    )


def _dense(c: Context) -> Step:
    source, weights, bias = c.inputs
    assert isinstance(c.operator.options, DenseOptions)
    assert weights.data is not None
    assert bias.data is not None
    units, depth = weights.shape
    scales = arithmetic.output_scales(source, weights, c.output, units)
    bound = _bound(c, weights.data.astype(np.int64), scales, _DENSE_SUM_BITS)
    high, low, shifts = [], [], []
    for scale in scales:
        fraction, exponent = frexp(scale)
        mantissa = int(fraction * (1 << _MANTISSA_BITS))
        shift = _MANTISSA_BITS - exponent
        if not _LOW_BITS + 2 <= shift <= _LOW_BITS + 60:
            raise c.unfit("The output's scale is too far from that of this layer's sums")
        high.append(mantissa >> _LOW_BITS)
        low.append(mantissa & ((1 << _LOW_BITS) - 1))
        shifts.append(shift)
    return Step(
        c.operator,
        "dense16",
        {
            "rows": source.size // depth,
            "depth": depth,
            "units": units,
            **_activation(c),
            "weights": weights.data.astype(np.int8),
            "bias": bias.data.reshape(-1).astype(np.int64),
            "scale_high": np.array(high, np.uint32),
            "scale_low": np.array(low, np.uint32),
            "shift": np.array(shifts, np.int8),
        },
        (source.index,),
        c.output.index,
        macs=source.size * units,
        accumulator_bound=bound,
    )


def _pool(c: Context) -> Step:
    options = c.operator.options
    assert isinstance(options, PoolOptions)
    average = c.operator.name == "AVERAGE_POOL_2D"
    return Step(
        c.operator,
        "pool16",
        {
            "window": window(c, options, options.kernel, c.output.shape),
            "channels": c.inputs[0].shape[3],
            "average": int(average),
            **_activation(c),
        },
        (c.inputs[0].index,),
        c.output.index,
        accumulator_bound=c.prove(((1 << 15) + 1) * options.kernel[0] * options.kernel[1], 0),
    )


def _add(c: Context) -> Step:
    first, second = c.inputs
    assert isinstance(c.operator.options, AddOptions)
    to_common = below_one(c, arithmetic.add_multipliers(first, second, c.output))
    return Step(
        c.operator,
        "add16",
        {
            "pairs": walk(first.shape, second.shape, c.output.shape),
            "multiplier": tuple(m.value for m in to_common[:2]),
            "shift": tuple(m.shift for m in to_common[:2]),
            "output_multiplier": to_common[2].value,
            "output_shift": to_common[2].shift,
            **_activation(c),
        },
        (first.index, second.index),
        c.output.index,
        accumulator_bound=c.prove(1 << 30, 0),
    )


def _quantize(c: Context) -> Step:
    source, target = c.inputs[0], c.output
    scale = arithmetic.multiplier_of(source.scale / target.scale)
    largest = _INPUT_MAX if source.dtype == "INT16" else 255
    return Step(
        c.operator,
        "narrow16" if source.dtype == "INT16" else "widen16",
        {
            "count": target.size,
            "zero": source.zero_point,
            "multiplier": scale.value,
            "shift": scale.shift,
            "output_zero": target.zero_point,
        },
        (source.index,),
        target.index,
        accumulator_bound=c.prove(largest, scale.shift),
    )


WIDE: dict[str, Callable[[Context], Step]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _pool,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _dense,
    "MAX_POOL_2D": _pool,
    "QUANTIZE": _quantize,
}
"""Operators with int16 kernels of their own; what only moves values has one for all types."""
