"""Rules that several targets share.

Those on scales and zero points are the restrictions of TFLite's 8-bit quantization specification,
https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec .
"""

import numpy as np

from quantize.targets.rule import Misfit, Rule, Site, file_rule, rule
from quantize.tflite_model import Model, Tensor

WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
_FULL_INT8 = "Convert with full-integer quantization, int8 inputs and outputs included"
_REQUANTIZE = "Convert it again with a converter that keeps to TFLite's int8 specification"
_FIXED = {  # scale, zero point
    "L2_NORMALIZATION": (1 / 128, 0),
    "LOGISTIC": (1 / 256, -128),
    "LOG_SOFTMAX": (16 / 256, 127),
    "SOFTMAX": (1 / 256, -128),
    "TANH": (1 / 128, 0),
}
_KEEPING = """
    AVERAGE_POOL_2D BATCH_TO_SPACE_ND CONCATENATION GATHER MAXIMUM MAX_POOL_2D MINIMUM PAD PADV2 RESHAPE
    RESIZE_BILINEAR SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH SQUEEZE TRANSPOSE
""".split()  # noqa: SIM905
# Of scales that have to be equal, as the kernels themselves check it.
_SAME_SCALE = 1e-6
# Of an output's scale: how far a bias's scale may be from the product it should be.
_BIAS_TOLERANCE = 0.02


def named(tensor: Tensor) -> str:
    """Return how messages name a tensor."""
    return f"'{tensor.label}'"


@rule()
def static_shapes(site: Site) -> Misfit | None:
    """The shape of every tensor is fixed, batch included."""
    for tensor in (*site.given, *site.outputs):
        if tensor.dynamic:
            here = f"{named(tensor)} is {list(tensor.signature)}"
            return Misfit(here, "Export the model with fixed shapes and a batch of 1")
    return None


@rule()
def only_batch_open(site: Site) -> Misfit | None:
    """The shape of every tensor is fixed; an open batch size counts as 1."""
    for tensor in (*site.given, *site.outputs):
        if -1 in tensor.signature[1:] or (tensor.dynamic and tensor.shape[:1] != (1,)):
            here = f"{named(tensor)} is {list(tensor.signature)}"
            return Misfit(here, "Export the model with fixed shapes")
    return None


@rule()
def not_sparse(site: Site) -> Misfit | None:
    """Constants are stored whole, not sparse."""
    for tensor in site.constants:
        if tensor.sparse:
            return Misfit(f"{named(tensor)} is stored sparse", "Convert without sparse tensors")
    return None


@rule(*WEIGHTED)
def weights_symmetric(site: Site) -> Misfit | None:
    """Weights in int8 have zero point 0."""
    weights = site.input(1)
    if weights is None or weights.dtype != "INT8" or weights.quantization is None:
        return None
    if any(weights.quantization.zero_point):
        return Misfit(f"{named(weights)} has another", "Quantize weights symmetrically")
    return None


@rule(*WEIGHTED)
def bias_scale(site: Site) -> Misfit | None:
    """The scale of an int32 bias is the input's times the weights'."""
    source, weights, bias = (site.input(i) for i in range(3))
    target = site.outputs[0] if site.outputs else None
    quantized = [t.quantization for t in (source, weights, bias, target) if t is not None]
    if bias is None or len(quantized) < 4 or None in quantized or bias.dtype != "INT32":
        return None
    of_source, of_weights, of_bias, of_target = (np.array(q.scale) for q in quantized if q is not None)
    if len(of_bias) not in (1, len(of_weights)):
        return Misfit(f"{named(bias)} has {len(of_bias)} scales, the weights {len(of_weights)}", _REQUANTIZE)
    off = np.abs(of_source[0] * of_weights - of_bias).max() / of_target[0]
    return Misfit(f"that of {named(bias)} is another", _REQUANTIZE) if off > _BIAS_TOLERANCE else None


@rule(*_FIXED)
def fixed_output(site: Site) -> Misfit | None:
    """Some int8 outputs have a scale and zero point of their own.

    SOFTMAX and LOGISTIC have 1/256 and -128, LOG_SOFTMAX 1/16 and 127, TANH and L2_NORMALIZATION 1/128 and 0.
    """
    for target in site.outputs[:1]:
        if target.dtype == "INT8" and target.quantization is not None:
            scale, zero = target.quantization.scale[0], target.quantization.zero_point[0]
            if (scale, zero) != _FIXED[site.name]:
                return Misfit(f"{named(target)} has {scale:.6g} and {zero}", _REQUANTIZE)
    return None


@rule(*_KEEPING)
def keeps_scale(site: Site) -> Misfit | None:
    """What only selects, moves or averages int8 values keeps their scale and zero point."""
    all_of_them = [t for t in (*site.given, *site.outputs) if t.dtype == "INT8" and t.quantization]
    for tensor in all_of_them[1:]:
        first, other = all_of_them[0].quantization, tensor.quantization
        assert first is not None
        assert other is not None
        same = abs(first.scale[0] - other.scale[0]) <= _SAME_SCALE
        if not same or first.zero_point[0] != other.zero_point[0]:
            here = f"{named(all_of_them[0])} and {named(tensor)} differ"
            return Misfit(here, "Convert it again; a QUANTIZE before the operator would also do")
    return None


INT8_RULES: tuple[Rule, ...] = (weights_symmetric, bias_scale, fixed_output, keeps_scale)


@rule()
def not_hybrid(site: Site) -> Misfit | None:
    """Weights are int8 only where activations are."""
    activations = {t.dtype for t in site.computed}
    if site.name == "DEQUANTIZE" or "FLOAT32" not in activations or "INT8" in activations:
        return None
    for tensor in site.constants:
        if tensor.dtype == "INT8":
            return Misfit(f"{named(tensor)} is INT8 among FLOAT32 activations", _FULL_INT8)
    return None


@file_rule()
def one_graph(model: Model) -> Misfit | None:
    """A file holds one graph."""
    if model.subgraphs:
        change = "Write the model without control flow, and export one signature"
        return Misfit(f"there are {1 + len(model.subgraphs)}", change)
    return None


@file_rule()
def int8_ends(model: Model) -> Misfit | None:
    """The pipeline feeds one int8 window and reads one int8 row of scores."""
    ends = [model.tensors[i] for i in (*model.inputs, *model.outputs)]
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        return Misfit(f"there are {len(model.inputs)} inputs and {len(model.outputs)} outputs", "Export one")
    for tensor in ends:
        if tensor.dtype != "INT8" or tensor.quantization is None:
            return Misfit(f"{named(tensor)} is {tensor.dtype}", _FULL_INT8)
    return None
