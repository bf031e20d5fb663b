"""Random operators of int16 activations and int8 weights, between QUANTIZEs to int16 and back."""

from collections.abc import Callable
from math import prod

import numpy as np

from tests.random_draw import Draw, Shape, f32, ints, named, reaches
from tests.tflite_maker import SAME


def _widened(d: Draw, shape: Shape) -> tuple[int, float]:
    """An int8 input in 16 bits, and its scale."""
    scale = d.scale(-14, -3)
    source = d.maker.input(shape, f32(scale * 2.0 ** d.rng.uniform(0, 9)), d.zero())
    return d.maker.operator("QUANTIZE", [source], d.maker.tensor(shape, scale, int16=True)), scale


def _narrowed(d: Draw, wide: int, scale: float) -> int:
    """A 16-bit value in 8 bits: its lowest, its highest, or those between."""
    shape = d.maker.graph.tensors[wide].shape
    target = d.maker.tensor(shape, f32(scale * 2.0 ** d.rng.uniform(0, 9)), d.zero())
    return d.maker.operator("QUANTIZE", [wide], target)


def _wide_weights(d: Draw, shape: Shape, axis: int, source_scale: float) -> tuple[list[int], float]:
    """Weights and int64 biases, and a scale that the outputs about fill."""
    taps, channels = prod(shape) // shape[axis], shape[axis]
    count = channels if d.rng.random() < 0.6 else 1
    scales = [d.scale(-10, -5) for _ in range(count)]
    data = d.rng.integers(-127, 128, shape).astype(np.int8)
    if d.rng.random() < 0.1:
        data[:] = 127
    typical = 9000 * 74 * taps**0.5
    bias = d.rng.normal(0, typical, channels).astype(np.int64)
    constants = [
        d.maker.constant(data, scales, axis if count > 1 else 0),
        d.maker.constant(bias, [f32(source_scale * scale) for scale in scales]),
    ]
    return constants, f32(source_scale * np.median(scales) * typical / 9000 * 2.0 ** d.rng.uniform(-2, 3))


def wide_convolution(name: str, d: Draw) -> int:
    """CONV_2D or DEPTHWISE_CONV_2D of int16."""
    shape = (d.integer(1, 2), d.integer(1, 7), d.integer(1, 9), d.integer(1, 5))
    kernel = [min(d.integer(1, 4), n) for n in shape[1:3]]
    stride, padding = [d.integer(1, 3) for _ in range(2)], d.integer(0, 1)
    dilation = [d.integer(1, 2) if (k - 1) * 2 < n else 1 for k, n in zip(kernel, shape[1:3], strict=True)]
    at, scale = _widened(d, shape)
    depthwise = name == "DEPTHWISE_CONV_2D"
    channels = shape[3] * d.integer(1, 2) if depthwise else d.integer(1, 6)
    weights = (1, *kernel, channels) if depthwise else (channels, *kernel, shape[3])
    constants, out = _wide_weights(d, weights, 3 if depthwise else 0, scale)
    sizes = [
        -(-n // s) if padding == SAME else -(-(n - (k - 1) * r) // s)
        for n, k, s, r in zip(shape[1:3], kernel, stride, dilation, strict=True)
    ]
    target = d.maker.tensor((shape[0], *sizes, channels), out, int16=True)
    options = {"strideH": stride[0], "strideW": stride[1], "padding": padding}
    options |= {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    options |= {"fusedActivationFunction": d.activation()}
    options |= {"depthMultiplier": channels // shape[3]} if depthwise else {}
    return _narrowed(d, d.maker.operator(name, [at, *constants], target, **options), out)


def wide_dense(d: Draw) -> int:
    shape, units = d.shape(2, 3, 9), d.integer(1, 9)
    at, scale = _widened(d, shape)
    if d.rng.random() < 0.3:  # scales of powers of two make every other sum an exact half
        scale = 2.0**-7
        d.maker.graph.tensors[at].quantization.scale = [scale]
    constants, out = _wide_weights(d, (units, shape[-1]), 0, scale)
    target = d.maker.tensor((*shape[:-1], units), out, int16=True)
    options = {"fusedActivationFunction": d.activation(), "keepNumDims": True}
    at = d.maker.operator("FULLY_CONNECTED", [at, *constants], target, **options)
    return _narrowed(d, at, out)


def wide_pool(name: str, d: Draw) -> int:
    """AVERAGE_POOL_2D or MAX_POOL_2D of int16."""
    shape = (d.integer(1, 2), d.integer(1, 7), d.integer(1, 9), d.integer(1, 5))
    kernel = [min(d.integer(1, 4), n) for n in shape[1:3]]
    stride, padding = [d.integer(1, 3) for _ in range(2)], d.integer(0, 1)
    at, scale = _widened(d, shape)
    sizes = [
        -(-n // s) if padding == SAME else -(-(n - k + 1) // s)
        for n, k, s in zip(shape[1:3], kernel, stride, strict=True)
    ]
    target = d.maker.tensor((shape[0], *sizes, shape[3]), scale, int16=True)
    options = {"strideH": stride[0], "strideW": stride[1], "padding": padding}
    options |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
    options |= {"fusedActivationFunction": d.activation()}
    return _narrowed(d, d.maker.operator(name, [at], target, **options), scale)


def wide_add(d: Draw) -> int:
    shape = d.shape()
    other = shape if d.rng.random() < 0.6 else reaches(shape, d.rng)
    (first, a), (second, b) = _widened(d, shape), _widened(d, other)
    out = f32((a + b) * 2.0 ** d.rng.uniform(-2, 1))
    target = d.maker.tensor(shape, out, int16=True)
    options = {"fusedActivationFunction": d.activation(), "potScaleInt16": bool(d.rng.random() < 0.5)}
    return _narrowed(d, d.maker.operator("ADD", [first, second], target, **options), out)


def wide_moved(d: Draw) -> int:
    """PAD, STRIDED_SLICE, TRANSPOSE and RESHAPE of int16."""
    shape = d.shape(2, 4)
    at, scale = _widened(d, shape)
    amounts = d.rng.integers(0, 3, (len(shape), 2)).astype(np.int32)
    shape = tuple(int(n + a.sum()) for n, a in zip(shape, amounts, strict=True))
    padded = d.maker.tensor(shape, scale, int16=True)
    at = d.maker.operator("PAD", [at, d.maker.constant(amounts)], padded)
    begin = [d.integer(0, n - 1) for n in shape]
    size = tuple(n - b for n, b in zip(shape, begin, strict=True))
    parts = [ints(d, part) for part in (begin, shape, [1] * len(shape))]
    at = d.maker.operator("STRIDED_SLICE", [at, *parts], d.maker.tensor(size, scale, int16=True))
    order = [int(i) for i in d.rng.permutation(len(size))]
    turned = d.maker.tensor(tuple(size[i] for i in order), scale, int16=True)
    at = d.maker.operator("TRANSPOSE", [at, ints(d, order)], turned)
    flat = d.maker.tensor((prod(size),), scale, int16=True)
    at = d.maker.operator("RESHAPE", [at, ints(d, [prod(size)])], flat, newShape=[prod(size)])
    return _narrowed(d, at, scale)


WIDE: dict[str, Callable[[Draw], int]] = {
    "WIDE_ADD": wide_add,
    "WIDE_AVERAGE": named(wide_pool, "AVERAGE_POOL_2D"),
    "WIDE_CONV": named(wide_convolution, "CONV_2D"),
    "WIDE_DENSE": wide_dense,
    "WIDE_DEPTHWISE": named(wide_convolution, "DEPTHWISE_CONV_2D"),
    "WIDE_MAX": named(wide_pool, "MAX_POOL_2D"),
    "WIDE_MOVED": wide_moved,
}
"""Name, what adds one to a file and returns its output."""
