"""Which operators the compiler supports, and what each demands of its tensors: types, shapes, quantization.

The shape rules are TensorFlow's; the quantization rules are those of TFLite's int8 specification
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec) and of the checks in
its reference kernels. One function an operator; the table at the end is the registry.
"""

from collections.abc import Callable

from edge.errors import InnervateError
from quantize.tflite_checker import Checker
from quantize.tflite_model import (
    ConvOptions,
    DenseOptions,
    Model,
    Operator,
    Padding,
    PoolOptions,
    SoftmaxOptions,
    Tensor,
)
from quantize.tflite_move_rules import (
    concatenation,
    pack,
    pad,
    reshape,
    slice_,
    split,
    strided_slice,
    transpose,
    unpack,
)
from quantize.tflite_pair_rules import add, batch_matmul, extremum, mul, squared_difference
from quantize.tflite_sequence_rules import lstm
from quantize.tflite_table_rules import elementwise, hard_swish, leaky_relu, rsqrt, squashing

# The reference softmax stops the process where its sum of exponentials, each at most 1, reaches 512.
SOFTMAX_MAX_DEPTH = 511
# Constants may be shared, as by the steps of an unrolled loop; beyond this, work would no longer be in
# proportion to the file.
MAX_CONSTANT_USE = 1 << 27  # bytes
# Far above any model for a microcontroller; placing tensors takes time that grows with the square of it.
MAX_OPERATORS = 1 << 12
_STATIC = "Export the model with fixed shapes, batch included"
_FULL_INT8 = "Convert it again as a plain full-integer model"

# What to do instead of an operator that is not supported.
INSTEAD = {
    "DEQUANTIZE": "Convert with int8 inputs and outputs (full-integer quantization)",
    "SUM": "Use MEAN; the reference kernels' int8 sums below zero are wrong",
    "MIRROR_PAD": "Use PAD, which fills with zero",
    "DIV": "Multiply by the reciprocal, or fold the division into the layer before",
}


def window_extent(size: int, kernel: int, stride: int, dilation: int, padding: Padding) -> tuple[int, int]:
    """Return (number of outputs, padding before) of a sliding window along one axis, by TensorFlow's rule."""
    reach = (kernel - 1) * dilation + 1
    if padding == "VALID":
        return (size - reach) // stride + 1, 0
    outputs = -(-size // stride)
    return outputs, max((outputs - 1) * stride + reach - size, 0) // 2


def mean_axes(model: Model, operator: Operator) -> tuple[int, ...]:
    """Return the axes a MEAN reduces, sorted, none negative; out-of-range ones are left as they are."""
    source, axes = (model.tensors[i] for i in operator.inputs)
    assert axes.data is not None
    return tuple(sorted({int(a) + (len(source.shape) if a < 0 else 0) for a in axes.data.reshape(-1)}))


def _rank4(c: Checker, tensor: Tensor) -> None:
    c.require(
        len(tensor.shape) == 4, f"tensor '{tensor.label}' has {len(tensor.shape)} axes instead of 4 (NHWC)"
    )


def _windows(c: Checker, options: ConvOptions | PoolOptions, kernel: tuple[int, int], channels: int) -> None:
    source = c.input(0)
    dilation = options.dilation if isinstance(options, ConvOptions) else (1, 1)
    extents = [
        window_extent(source.shape[i + 1], kernel[i], options.stride[i], dilation[i], options.padding)[0]
        for i in (0, 1)
    ]
    c.require(min(extents) >= 1, f"the window is larger than the input of {list(source.shape)}")
    c.shape((source.shape[0], *extents, channels))


def _conv_2d(c: Checker) -> None:
    c.arity(3, 3)
    source = c.activation(c.input(0))
    _rank4(c, source)
    weights = c.weights(c.input(1), 4, 0)
    out_c, kernel_h, kernel_w, in_c = weights.shape
    c.require(
        in_c == source.shape[3],
        f"the weights take {in_c} channels, the input has {source.shape[3]}",
        "Grouped convolutions are not supported: use DEPTHWISE_CONV_2D or full ones",
    )
    c.bias(out_c)
    assert isinstance(c.operator.options, ConvOptions)
    _windows(c, c.operator.options, (kernel_h, kernel_w), out_c)


def _depthwise_conv_2d(c: Checker) -> None:
    c.arity(2, 3)
    source = c.activation(c.input(0))
    _rank4(c, source)
    weights = c.weights(c.input(1), 4, 3)
    one, kernel_h, kernel_w, out_c = weights.shape
    c.require(
        one == 1 and out_c % source.shape[3] == 0,
        f"weights of shape {list(weights.shape)} do not fit an input of {source.shape[3]} channels",
    )
    c.bias(out_c)
    assert isinstance(c.operator.options, ConvOptions)
    _windows(c, c.operator.options, (kernel_h, kernel_w), out_c)


def _fully_connected(c: Checker) -> None:
    c.arity(2, 3)
    source = c.activation(c.input(0))
    assert isinstance(c.operator.options, DenseOptions)
    c.require(
        not c.operator.options.shuffled,
        "the weights are in a shuffled format; only the default one is supported",
    )
    weights = c.weights(c.input(1), 2, 0)
    units, depth = weights.shape
    c.require(
        source.size % depth == 0, f"an input of {source.size} values does not divide into rows of {depth}"
    )
    c.bias(units)
    fits = c.output.shape[-1:] == (units,) and c.output.size == source.size // depth * units
    c.require(
        fits, f"the output has shape {list(c.output.shape)}, not {source.size // depth} rows of {units}"
    )


def _pool_2d(c: Checker) -> None:
    c.arity(1, 1)
    source = c.activation(c.input(0))
    _rank4(c, source)
    assert isinstance(c.operator.options, PoolOptions)
    _windows(c, c.operator.options, c.operator.options.kernel, source.shape[3])
    c.activation(c.output)
    c.same_quantization()


def _mean(c: Checker) -> None:
    c.arity(2, 2)
    source = c.activation(c.input(0))
    c.constant_int32(1, "axes")
    axes = mean_axes(c.model, c.operator)
    rank = len(source.shape)
    c.require(
        bool(axes) and axes[0] >= 0 and axes[-1] < rank, f"axes {list(axes)} do not fit {rank} dimensions"
    )
    c.require(
        len(reduced_runs(source.shape, axes)) <= 5,
        f"the mean over axes {list(axes)} of {list(source.shape)} is of too many separate parts",
        "Reduce over adjoining axes, such as height and width",
    )
    kept = tuple(1 if a in axes else extent for a, extent in enumerate(source.shape))
    dropped = tuple(extent for a, extent in enumerate(source.shape) if a not in axes)
    c.shape(kept if len(c.output.shape) == rank else dropped)


def reduced_runs(shape: tuple[int, ...], axes: tuple[int, ...]) -> list[int]:
    """Return extents that are kept, reduced, kept, ...: neighbours in one, those of 1 left out."""
    runs = [1]
    for axis, extent in enumerate(shape):
        if extent > 1 and (axis in axes) != (len(runs) % 2 == 0):
            runs.append(1)
        if extent > 1:
            runs[-1] *= extent
    return runs


def _softmax(c: Checker) -> None:
    c.arity(1, 1)
    source = c.activation(c.input(0))
    target = c.activation(c.output)
    c.shape(source.shape)
    c.require(1 <= len(source.shape) <= 4, f"softmax of {len(source.shape)} dimensions; 1 to 4 are defined")
    c.require(source.shape[-1] <= SOFTMAX_MAX_DEPTH, f"softmax over more than {SOFTMAX_MAX_DEPTH} classes")
    c.require(
        target.scale == 1 / 256 and target.zero_point == -128,
        "a softmax's output must have scale 1/256 and zero point -128",
    )
    assert isinstance(c.operator.options, SoftmaxOptions)
    scaled = c.operator.options.beta * source.scale * (1 << 26)
    # Positive also rules out beta that is not a number; below 1 the reference kernels stop the process.
    c.require(
        scaled > 1, f"beta times the input's scale is {c.operator.options.beta * source.scale:g}, too small"
    )


_RULES: dict[str, Callable[[Checker], None]] = {
    "ADD": add,
    "AVERAGE_POOL_2D": _pool_2d,
    "BATCH_MATMUL": batch_matmul,
    "CONCATENATION": concatenation,
    "CONV_2D": _conv_2d,
    "DEPTHWISE_CONV_2D": _depthwise_conv_2d,
    "EXPAND_DIMS": reshape,
    "FULLY_CONNECTED": _fully_connected,
    "HARD_SWISH": hard_swish,
    "LEAKY_RELU": leaky_relu,
    "LOGISTIC": squashing,
    "MAXIMUM": extremum,
    "MAX_POOL_2D": _pool_2d,
    "MEAN": _mean,
    "MINIMUM": extremum,
    "MUL": mul,
    "PACK": pack,
    "PAD": pad,
    "PADV2": pad,
    "QUANTIZE": elementwise,
    "RELU": elementwise,
    "RELU6": elementwise,
    "RELU_N1_TO_1": elementwise,
    "RESHAPE": reshape,
    "RSQRT": rsqrt,
    "SLICE": slice_,
    "SOFTMAX": _softmax,
    "SPLIT": split,
    "SQUARED_DIFFERENCE": squared_difference,
    "SQUEEZE": reshape,
    "STRIDED_SLICE": strided_slice,
    "SUB": add,
    "TANH": squashing,
    "TRANSPOSE": transpose,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
    "UNPACK": unpack,
}


SUPPORTED = tuple(_RULES)


def _check_tensor(model: Model, tensor: Tensor) -> None:
    where = ", ".join(filter(None, (model.where, f"tensor '{tensor.label}'")))
    if tensor.dynamic:
        raise InnervateError("A dimension is only known at run time", where, _STATIC)
    if not all(tensor.shape):
        raise InnervateError(f"The shape {list(tensor.shape)} holds nothing", where, _STATIC)
    if tensor.sparse:
        raise InnervateError("The constant is stored sparse, which is not supported", where, _FULL_INT8)


def check_supported(model: Model, operator: Operator) -> None:
    """Raise InnervateError where the compiler does not know an operator."""
    if operator.name not in _RULES:
        fix = f"Supported are {', '.join(SUPPORTED)}, all int8; build the model of these"
        raise InnervateError(
            f"Unsupported operator {operator.name}", model.place(operator), INSTEAD.get(operator.name, fix)
        )


def check_operator(model: Model, operator: Operator) -> None:
    """Raise InnervateError where the compiler does not take an operator, or its tensors break its rules."""
    check_supported(model, operator)
    for index in (*operator.inputs, *operator.outputs):
        if index != -1:
            _check_tensor(model, model.tensors[index])
    checker = Checker(model, operator)
    checker.activation_is_one_of_ours()
    _RULES[operator.name](checker)
    checker.activation(checker.output)
    checker.one_type()


def check_limits(model: Model) -> None:
    """Raise InnervateError where compiling a model would take time out of all proportion."""
    fix = "Build a smaller model; do not unroll loops"
    if len(model.operators) > MAX_OPERATORS:
        raise InnervateError(
            f"{len(model.operators):,} operators, more than {MAX_OPERATORS:,}", model.where, fix
        )
    used = [model.tensors[i].data for operator in model.operators for i in operator.inputs if i != -1]
    if sum(data.nbytes for data in used if data is not None) > MAX_CONSTANT_USE:
        what = f"The operators use more than {MAX_CONSTANT_USE:,} bytes of constants in all"
        raise InnervateError(what, model.where, fix)


def check_operators(model: Model) -> None:
    """Raise InnervateError where the compiler does not take a model.

    Operators come before tensors: what is not supported often has odd tensors too.
    """
    if model.subgraphs:
        raise InnervateError(
            f"{1 + len(model.subgraphs)} subgraphs, but only files with exactly one are supported",
            model.where,
            _FULL_INT8,
        )
    for operator in model.operators:
        check_supported(model, operator)
    unused = {i for operator in model.operators for i in operator.intermediates}
    for tensor in model.tensors:
        if tensor.index not in unused:
            _check_tensor(model, tensor)
    check_limits(model)
    for operator in model.operators:
        check_operator(model, operator)
    for tensor in (model.tensors[i] for i in (*model.inputs, *model.outputs)):
        if tensor.dtype != "INT8":
            where = ", ".join(filter(None, (model.where, f"tensor '{tensor.label}'")))
            raise InnervateError(f"The model's input or output is {tensor.dtype}", where, _FULL_INT8)
