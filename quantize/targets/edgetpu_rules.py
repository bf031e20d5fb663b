"""What the Edge TPU asks of an operator: the table and the requirements of Coral's documentation.

https://www.coral.ai/docs/edgetpu/models-intro/ : supported operations (runtime 14), model requirements.
"""

import numpy as np

from quantize.targets.rule import Misfit, Site, rule
from quantize.targets.rules import INT8_RULES, named, not_sparse, static_shapes
from quantize.tflite_model import (
    AxisOptions,
    ConvOptions,
    DenseOptions,
    StridedSliceOptions,
    Tensor,
)

OPERATORS = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D EXPAND_DIMS FULLY_CONNECTED
    L2_NORMALIZATION LOGISTIC MAXIMUM MAX_POOL_2D MEAN MINIMUM MUL PACK PAD PRELU QUANTIZE REDUCE_MAX
    REDUCE_MIN RELU RELU6 RELU_N1_TO_1 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR RSQRT SLICE SOFTMAX
    SPACE_TO_DEPTH SPLIT SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM TANH TRANSPOSE TRANSPOSE_CONV
    UNIDIRECTIONAL_SEQUENCE_LSTM
    """.split()  # noqa: SIM905
)
_EIGHT_BITS = ("INT8", "UINT8")
_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"
_SOFTMAX = 16_000
_MEAN_DEPTH = 4
# Larger constants are not searched for values other than zero: nobody pads with so much.
_PADDING = 1 << 16
# Reported of edgetpu_compiler 16.0: https://github.com/google-coral/edgetpu/issues/631 and /845.
_NEWEST = {"CONV_2D": 5, "TRANSPOSE_CONV": 3}


def _wide(tensor: Tensor) -> int:
    """Return how many of the innermost dimensions it takes to hold all that are above 1."""
    above = [position for position, extent in enumerate(tensor.shape) if extent > 1]
    return len(tensor.shape) - above[0] if above else 0


def _numbers(tensor: Tensor | None) -> list[int] | None:
    if tensor is None or tensor.data is None or tensor.dtype not in ("INT32", "INT64") or tensor.sparse:
        return None
    return [int(n) for n in tensor.data.reshape(-1)]


def _axes(site: Site, position: int, of: Tensor | None) -> list[int]:
    rank = len(of.shape) if of is not None else 0
    return [a + rank if a < 0 else a for a in _numbers(site.input(position)) or []]


@rule()
def eight_bits(site: Site) -> Misfit | None:
    """Tensors are int8 or uint8, but for int32 constants and the int16 cell state of an LSTM."""
    for tensor in (*site.given, *site.outputs):
        is_state = tensor.variable and tensor.dtype == "INT16" and site.name == _LSTM
        is_number = tensor.data is not None and tensor.dtype in ("INT32", "INT64")
        if tensor.dtype not in _EIGHT_BITS and not is_state and not is_number:
            return Misfit(
                f"{named(tensor)} is {tensor.dtype}",
                "Convert with full-integer quantization, inputs and outputs included",
            )
    return None


@rule()
def three_dimensions(site: Site) -> Misfit | None:
    """Only the three innermost dimensions of a tensor may be above 1."""
    for tensor in site.computed:
        if _wide(tensor) > 3:
            return Misfit(
                f"{named(tensor)} has {list(tensor.shape)}", "Use a batch of 1 and fewer dimensions"
            )
    return None


@rule("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "PRELU", "TRANSPOSE_CONV")
def constant_parameters(site: Site) -> Misfit | None:
    """Weights, biases and slopes are constants of the file."""
    first = 2 if site.name == "TRANSPOSE_CONV" else 0  # where the data goes in
    for position in range(4):
        tensor = site.input(position)
        if tensor is not None and tensor.data is None and position != first:
            return Misfit(f"{named(tensor)} is computed", "Make it a constant, or multiply by other means")
    return None


@rule(*_NEWEST, versions=" and ".join(f"{name} up to version {newest}" for name, newest in _NEWEST.items()))
def known_version(site: Site) -> Misfit | None:
    """edgetpu_compiler 16.0 knows {versions}."""
    version = site.operator.version
    if version > _NEWEST[site.name]:
        return Misfit(f"it is version {version}", "Convert with TensorFlow 2.8 or older")
    return None


@rule("AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D")
def no_fused_activation(site: Site) -> Misfit | None:
    """AVERAGE_POOL_2D, MAX_POOL_2D and CONCATENATION have no fused activation."""
    activation = getattr(site.options, "activation", "NONE")
    return Misfit(f"it has {activation}", "Put it into a layer of its own") if activation != "NONE" else None


@rule("CONCATENATION")
def concatenation_of_zeros(site: Site) -> Misfit | None:
    """A constant is concatenated only with one other tensor, and only if it is all zeros."""
    for tensor in site.constants:
        zero = tensor.quantization.zero_point[0] if tensor.quantization else 0
        if len(site.given) != 2 or tensor.size > _PADDING or np.any(tensor.data != zero):
            return Misfit(
                f"{named(tensor)} is a constant of another sort", "Concatenate computed tensors only"
            )
    return None


@rule("CONV_2D", "DEPTHWISE_CONV_2D")
def equal_dilation(site: Site) -> Misfit | None:
    """CONV_2D and DEPTHWISE_CONV_2D are dilated alike in height and width."""
    options = site.options
    if isinstance(options, ConvOptions) and options.dilation[0] != options.dilation[1]:
        here = "by {} and {}".format(*options.dilation)
        return Misfit(here, "Dilate both axes alike, an axis of length 1 included, or use strides instead")
    return None


@rule("FULLY_CONNECTED")
def dense_row(site: Site) -> Misfit | None:
    """FULLY_CONNECTED has weights in the default format and a one-dimensional output."""
    if isinstance(site.options, DenseOptions) and site.options.shuffled:
        return Misfit("the weights are in another format", "Convert it again with the default format")
    for target in site.outputs[:1]:
        if _wide(target) > 1:
            return Misfit(
                f"{named(target)} has {list(target.shape)}", "Use one row a call, or a convolution of 1 x 1"
            )
    return None


@rule("MEAN", depth=_MEAN_DEPTH)
def mean_axes(site: Site) -> Misfit | None:
    """MEAN leaves the batch alone, and where it takes in channels their number is a multiple of {depth}."""
    source = site.input(0)
    axes = _axes(site, 1, source)
    if source is None or not axes:
        return Misfit("its axes are not constant", "Use constant axes")
    if 0 in axes and len(source.shape) > 3:
        return Misfit(f"the axes are {axes}", "Take the mean over height, width or channels only")
    channels = source.shape[-1] if source.shape else 1
    if len(source.shape) - 1 in axes and channels % _MEAN_DEPTH:
        return Misfit(f"there are {channels}", f"Use a multiple of {_MEAN_DEPTH}")
    return None


@rule("REDUCE_MAX", "REDUCE_MIN", "SUM")
def reduced_axes(site: Site) -> Misfit | None:
    """SUM, REDUCE_MAX and REDUCE_MIN leave the batch alone."""
    source = site.input(0)
    axes = _axes(site, 1, source)
    if source is None or not axes or (0 in axes and len(source.shape) > 3):
        return Misfit(f"the axes are {axes or 'not constant'}", "Reduce height, width or channels only")
    return None


@rule("PAD")
def padded_axes(site: Site) -> Misfit | None:
    """PAD leaves the batch alone."""
    amounts = _numbers(site.input(1))
    source = site.input(0)
    if amounts is None or source is None or (any(amounts[:2]) and len(source.shape) > 3):
        return Misfit(f"the paddings are {amounts or 'not constant'}", "Pad height, width or channels only")
    return None


@rule("PACK")
def packed_axis(site: Site) -> Misfit | None:
    """PACK does not make a batch."""
    options = site.options
    if (
        isinstance(options, AxisOptions)
        and options.axis == 0
        and site.outputs
        and len(site.outputs[0].shape) > 3
    ):
        return Misfit("it packs axis 0", "Pack another axis")
    return None


@rule("SPLIT")
def split_axis(site: Site) -> Misfit | None:
    """SPLIT leaves the batch alone."""
    source = site.input(1)
    axes = _axes(site, 0, source)
    if source is None or not axes or (axes[0] == 0 and len(source.shape) > 3):
        return Misfit(f"the axis is {axes[0] if axes else 'not constant'}", "Split another axis")
    return None


@rule("PRELU")
def prelu_slopes(site: Site) -> Misfit | None:
    """PRELU has one slope a channel: only the innermost dimension of its slopes may be above 1."""
    slopes = site.input(1)
    if slopes is not None and _wide(slopes) > 1:
        return Misfit(f"{named(slopes)} has {list(slopes.shape)}", "Share the slopes over height and width")
    return None


@rule("SOFTMAX", most=_SOFTMAX)
def softmax_row(site: Site) -> Misfit | None:
    """SOFTMAX is one-dimensional, of at most {most:,} elements."""
    for source in site.given[:1]:
        if _wide(source) > 1 or source.size > _SOFTMAX:
            return Misfit(f"{named(source)} has {list(source.shape)}", "Use one row of fewer classes a call")
    return None


@rule("STRIDED_SLICE")
def plain_slice(site: Site) -> Misfit | None:
    """STRIDED_SLICE has strides of 1, no ellipsis and no new axis."""
    strides = _numbers(site.input(3))
    if strides is None or any(stride != 1 for stride in strides):
        return Misfit(f"the strides are {strides or 'not constant'}", "Use strides of 1, or a pooling layer")
    options = site.options
    if isinstance(options, StridedSliceOptions) and (options.ellipsis_mask or options.new_axis_mask):
        return Misfit("it has one of them", "Write the slice out for each axis")
    return None


RULES = (
    eight_bits,
    static_shapes,
    not_sparse,
    three_dimensions,
    constant_parameters,
    known_version,
    no_fused_activation,
    concatenation_of_zeros,
    equal_dilation,
    dense_row,
    mean_axes,
    reduced_axes,
    padded_axes,
    packed_axis,
    split_axis,
    prelu_slopes,
    softmax_row,
    plain_slice,
    *INT8_RULES,
)
