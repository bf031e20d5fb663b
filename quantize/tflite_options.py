"""The supported operators: what the schema calls their options, how to read them, what replaces others."""

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize.tflite_model import (
    Activation,
    AddOptions,
    ConvOptions,
    DenseOptions,
    MeanOptions,
    Options,
    Padding,
    PoolOptions,
    SoftmaxOptions,
)

_PADDING: dict[int, Padding] = {0: "SAME", 1: "VALID"}
_ACTIVATION: dict[int, Activation] = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6"}
_MAX_WINDOW = 1 << 16

# What to do instead of an operator that is not supported.
INSTEAD = {
    "CONCATENATION": "Use ADD, or one wider convolution",
    "DEQUANTIZE": "Convert with int8 inputs and outputs (full-integer quantization)",
    "QUANTIZE": "Convert with int8 inputs and outputs (full-integer quantization)",
    "EXPAND_DIMS": "Use RESHAPE",
    "SQUEEZE": "Use RESHAPE",
    "PADV2": "Use PAD, which fills with zero",
    "SUM": "Use MEAN",
    "TRANSPOSE": "Keep the layout NHWC throughout, so that nothing needs transposing",
    "RELU": "Fuse it into the layer before",
    "RELU6": "Fuse it into the layer before",
}


class OptionsError(Exception):
    """What is wrong with an operator's options, without a full stop."""


def _pair(height: int, width: int, what: str) -> tuple[int, int]:
    if not (1 <= height <= _MAX_WINDOW and 1 <= width <= _MAX_WINDOW):
        raise OptionsError(f"{what} is {height} x {width}, but both must be from 1 to {_MAX_WINDOW}")
    return height, width


def _activation(options: Any) -> Activation:
    code = options.FusedActivationFunction()
    if code not in _ACTIVATION:
        raise OptionsError(f"fused activation {code} is none of {', '.join(_ACTIVATION.values())}")
    return _ACTIVATION[code]


def _padding(options: Any) -> Padding:
    code = options.Padding()
    if code not in _PADDING:
        raise OptionsError(f"padding {code} is neither SAME nor VALID")
    return _PADDING[code]


def _conv(options: Any) -> ConvOptions:
    return ConvOptions(
        _padding(options),
        _pair(options.StrideH(), options.StrideW(), "the stride"),
        _pair(options.DilationHFactor(), options.DilationWFactor(), "the dilation"),
        _activation(options),
    )


def _pool(options: Any) -> PoolOptions:
    return PoolOptions(
        _padding(options),
        _pair(options.StrideH(), options.StrideW(), "the stride"),
        _pair(options.FilterHeight(), options.FilterWidth(), "the pool"),
        _activation(options),
    )


def _dense(options: Any) -> DenseOptions:
    if options.WeightsFormat() != 0:
        raise OptionsError("the weights are in a shuffled format; only the default one is supported")
    return DenseOptions(_activation(options))


# operator -> (the schema's options, what makes ours of them); None where nothing in them is needed
_OPTIONS: dict[str, tuple[str, Callable[[Any], Options]] | None] = {
    "ADD": ("AddOptions", lambda o: AddOptions(_activation(o))),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _pool),
    "CONV_2D": ("Conv2DOptions", _conv),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _conv),
    "FULLY_CONNECTED": ("FullyConnectedOptions", _dense),
    "MAX_POOL_2D": ("Pool2DOptions", _pool),
    "MEAN": ("ReducerOptions", lambda o: MeanOptions(bool(o.KeepDims()))),
    "PAD": None,
    "RESHAPE": None,
    "SOFTMAX": ("SoftmaxOptions", lambda o: SoftmaxOptions(float(o.Beta()))),
}
SUPPORTED = tuple(_OPTIONS)


def read_options(name: str, operator: Any) -> Options:
    """Read a supported operator's options out of its flatbuffer table.

    Raises:
        OptionsError: they are another operator's, or have values that do not exist.
    """
    entry = _OPTIONS[name]
    if entry is None:
        return None
    kind, convert = entry
    union = operator.BuiltinOptions()
    if operator.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind) or union is None:
        raise OptionsError("its options are missing or another operator's")
    options = getattr(schema, kind)()
    options.Init(union.Bytes, union.Pos)
    return convert(options)
