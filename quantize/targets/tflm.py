"""TensorFlow Lite Micro with CMSIS-NN, the usual interpreter on microcontrollers."""

from dataclasses import replace

from quantize.targets.memory import interpreter_arena
from quantize.targets.report import TargetReport
from quantize.targets.rule import Misfit, Site, rule
from quantize.targets.rules import INT8_RULES, named, not_hybrid, not_sparse, only_batch_open
from quantize.targets.target import Target
from quantize.tflite_model import Model

# Which operators `tflite-micro` 0.dev20261023 finds a kernel for: tried one by one on an x86-64 host.
_OPERATORS = """
    ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
    BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTHWISE_CONV_2D
    DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL EXP EXPAND_DIMS FILL
    FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF
    L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC
    LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU
    QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR
    RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND
    SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH
    TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
""".split()  # noqa: SIM905
# Of these the same interpreter refused an int8 model of the one operator.
_FLOAT_ONLY = tuple(
    "CEIL COS EXP FLOOR FLOOR_DIV FLOOR_MOD L2_POOL_2D LOG NEG ROUND SIN SQRT SQUARE".split()  # noqa: SIM905
)
# Folder tensorflow/lite/micro/kernels/cmsis_nn of tflite-micro.
_CMSIS_NN = """
    ADD AVERAGE_POOL_2D BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D FULLY_CONNECTED MAXIMUM MAX_POOL_2D MINIMUM
    MUL PAD PADV2 SOFTMAX SVDF TRANSPOSE TRANSPOSE_CONV UNIDIRECTIONAL_SEQUENCE_LSTM
""".split()  # noqa: SIM905
_DTYPES = ("BOOL", "FLOAT32", "INT4", "INT8", "INT16", "INT32", "INT64", "RESOURCE")
_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"


@rule(types=", ".join(_DTYPES))
def dtypes(site: Site) -> Misfit | None:
    """Tensors are one of {types}."""
    for tensor in (*site.given, *site.outputs):
        if tensor.dtype not in _DTYPES:
            return Misfit(f"{named(tensor)} is {tensor.dtype}", "Convert to int8")
    return None


@rule(*_FLOAT_ONLY, names=", ".join(_FLOAT_ONLY))
def float_only(site: Site) -> Misfit | None:
    """{names} have no int8 kernel."""
    for tensor in site.computed:
        if tensor.dtype == "INT8":
            return Misfit(f"{named(tensor)} is INT8", f"Leave {site.name} out, or replace it by what has one")
    return None


@rule(_LSTM)
def plain_lstm(site: Site) -> Misfit | None:
    """An LSTM is plain: all four gates, no peephole, projection or layer normalisation."""
    inputs = site.operator.inputs
    parts = {"peephole": inputs[9:12], "projection": inputs[16:18], "layer normalisation": inputs[20:24]}
    for part, indices in parts.items():
        if any(i != -1 for i in indices):
            return Misfit(f"it has a {part}", "Use the LSTM layer without it")
    return Misfit("a gate is missing", "Use an LSTM with four gates") if -1 in inputs[1:9] else None


@rule(_LSTM)
def hidden_scale(site: Site) -> Misfit | None:
    """An int8 LSTM has five intermediate tensors, the last with its scale."""
    if not site.outputs or site.outputs[0].dtype != "INT8":
        return None
    held = site.operator.intermediates
    if len(held) < 5 or held[4] == -1 or site.model.tensors[held[4]].quantization is None:
        return Misfit(f"there are {len(held)}, or that scale is missing", "Convert it again with calibration")
    return None


def _runs_on(site: Site) -> str:
    int8 = any(tensor.dtype == "INT8" for tensor in site.computed)
    return "CMSIS-NN" if int8 and site.name in _CMSIS_NN else "reference kernel"


def _finish(model: Model, tflite: bytes, report: TargetReport) -> TargetReport:
    arena = interpreter_arena(model)
    notes = [
        f"Estimate: an arena of {arena:,} bytes on a 32-bit processor, model file {len(tflite):,} bytes."
    ]
    if any(operator.name == _LSTM for operator in model.operators):
        notes.append(
            "CMSIS-NN's LSTM forgets its state between calls and may differ from TFLite's by 1 LSB; "
            "the reference kernel does neither."
        )
    return replace(report, notes=notes, estimates={"arena_bytes": arena, "model_bytes": len(tflite)})


TARGET = Target(
    title="TensorFlow Lite Micro",
    about=(
        "Fits: an interpreter with all operators registered finds a kernel for each, in these types. "
        "Which operators and which of them refuse int8 was tried on an x86-64 host; ranks and sizes that "
        "single kernels refuse are not checked. Not verified on hardware. The arena is an estimate: "
        "within 10 % of what five models need with CMSIS-NN under emulation of a Cortex-M4."
    ),
    operators=tuple(_OPERATORS),
    rules=(
        only_batch_open,
        not_sparse,
        dtypes,
        float_only,
        not_hybrid,
        plain_lstm,
        hidden_scale,
        *INT8_RULES,
    ),
    sources=(
        "https://github.com/tensorflow/tflite-micro: kernels, and kernels/cmsis_nn",
        "Package tflite-micro 0.dev20261023182759, x86-64: what it loads and runs",
        "https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec",
    ),
    runs_on=_runs_on,
    finish=_finish,
)
