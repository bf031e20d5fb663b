"""Operators' options: what the schema calls them and how to read those that a rule or the compiler needs."""

from collections.abc import Callable
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from quantize.tflite_model import (
    Activation,
    AddOptions,
    AxisOptions,
    ConcatOptions,
    ConvOptions,
    DenseOptions,
    FusedOptions,
    LeakyOptions,
    LstmOptions,
    MatmulOptions,
    MeanOptions,
    Options,
    Padding,
    PoolOptions,
    SoftmaxOptions,
    StridedSliceOptions,
)

_PADDING: dict[int, Padding] = {0: "SAME", 1: "VALID"}
_ACTIVATION: dict[int, Activation] = {
    0: "NONE",
    1: "RELU",
    2: "RELU_N1_TO_1",
    3: "RELU6",
    4: "TANH",
    5: "SIGN_BIT",
}
_MAX_WINDOW = 1 << 16


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


def _lstm(options: Any) -> LstmOptions:
    return LstmOptions(
        _activation(options), float(options.CellClip()), float(options.ProjClip()), bool(options.TimeMajor())
    )


# operator -> (the schema's options, what makes ours of them); all others have no options here
_OPTIONS: dict[str, tuple[str, Callable[[Any], Options]]] = {
    "ADD": ("AddOptions", lambda o: AddOptions(_activation(o), bool(o.PotScaleInt16()))),
    "AVERAGE_POOL_2D": ("Pool2DOptions", _pool),
    "BATCH_MATMUL": ("BatchMatMulOptions", lambda o: MatmulOptions((bool(o.AdjX()), bool(o.AdjY())))),
    "CONCATENATION": ("ConcatenationOptions", lambda o: ConcatOptions(int(o.Axis()), _activation(o))),
    "CONV_2D": ("Conv2DOptions", _conv),
    "DEPTHWISE_CONV_2D": ("DepthwiseConv2DOptions", _conv),
    "DIV": ("DivOptions", lambda o: FusedOptions(_activation(o))),
    "FULLY_CONNECTED": (
        "FullyConnectedOptions",
        lambda o: DenseOptions(_activation(o), o.WeightsFormat() != 0),
    ),
    "L2_NORMALIZATION": ("L2NormOptions", lambda o: FusedOptions(_activation(o))),
    "LEAKY_RELU": ("LeakyReluOptions", lambda o: LeakyOptions(float(o.Alpha()))),
    "MAX_POOL_2D": ("Pool2DOptions", _pool),
    "MEAN": ("ReducerOptions", lambda o: MeanOptions(bool(o.KeepDims()))),
    "MUL": ("MulOptions", lambda o: FusedOptions(_activation(o))),
    "PACK": ("PackOptions", lambda o: AxisOptions(int(o.Axis()))),
    "SOFTMAX": ("SoftmaxOptions", lambda o: SoftmaxOptions(float(o.Beta()))),
    "STRIDED_SLICE": (
        "StridedSliceOptions",
        lambda o: StridedSliceOptions(
            int(o.EllipsisMask()),
            int(o.NewAxisMask()),
            int(o.BeginMask()),
            int(o.EndMask()),
            int(o.ShrinkAxisMask()),
        ),
    ),
    "SUB": ("SubOptions", lambda o: FusedOptions(_activation(o))),
    "UNPACK": ("UnpackOptions", lambda o: AxisOptions(int(o.Axis()))),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": ("UnidirectionalSequenceLSTMOptions", _lstm),
}


def read_options(name: str, operator: Any) -> Options:
    """Read an operator's options out of its flatbuffer table.

    Raises:
        OptionsError: they are another operator's, or have values that do not exist.
    """
    if name not in _OPTIONS:
        return None
    kind, convert = _OPTIONS[name]
    union = operator.BuiltinOptions()
    if operator.BuiltinOptionsType() != getattr(schema.BuiltinOptions, kind) or union is None:
        raise OptionsError("its options are missing or another operator's")
    options = getattr(schema, kind)()
    options.Init(union.Bytes, union.Pos)
    return convert(options)
