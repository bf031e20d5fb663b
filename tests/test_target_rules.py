"""Rules of targets: every one by a model that breaks it alone."""

import pytest

from quantize.targets import check
from quantize.targets.edgetpu import TARGET as EDGETPU
from tests.one_operator import Given, constant, one_operator
from tests.target_models import (
    COMPUTED,
    FLOATS,
    ONES,
    OPEN_BATCH,
    OPEN_HEIGHT,
    PLANE,
    RELU,
    ROW,
    TILE,
    WEIGHTS,
    ZEROS,
    concat,
    conv,
    dense,
    mean,
    no_compiler,
    pad,
    pool,
    prelu,
    reduced,
    softmax,
    strided,
    unary,
)

__all__ = ["no_compiler"]

# target, what fits, what differs from it in one thing, words of the rule
PAIRS = [
    ("edgetpu", conv(), conv(source=Given((1, 4, 4, 4), "FLOAT32")), "int8 or uint8"),
    ("edgetpu", conv(), conv(source=OPEN_BATCH), "is fixed, batch included"),
    ("edgetpu", conv(), conv(bias=COMPUTED), "constants of the file"),
    ("edgetpu", conv(version=5), conv(version=6), "up to version 5"),
    ("edgetpu", conv(dilationHFactor=2, dilationWFactor=2), conv(dilationWFactor=2), "dilated alike"),
    ("edgetpu", conv(), conv(weights_zero=3), "zero point 0"),
    ("edgetpu", conv(), conv(bias=constant([0] * 4, scale=0.5)), "the input's times"),
    ("edgetpu", pool(), pool(RELU), "no fused activation"),
    ("edgetpu", pool(), pool(output_scale=0.25), "keeps their scale"),
    ("edgetpu", concat(PLANE), concat(PLANE, RELU), "no fused activation"),
    ("edgetpu", concat(ZEROS), concat(ONES), "all zeros"),
    ("edgetpu", dense(), dense(rows=3), "one-dimensional output"),
    ("edgetpu", dense(), dense(weightsFormat=1), "default format"),
    ("edgetpu", mean([1, 2]), mean([0], 8), "MEAN leaves the batch"),
    ("edgetpu", mean([3], 8), mean([-1], 6), "multiple of 4"),
    ("edgetpu", reduced("SUM", 1), reduced("SUM", 0), "leave the batch"),
    ("edgetpu", reduced("REDUCE_MAX", 3), reduced("REDUCE_MAX", 0), "leave the batch"),
    ("edgetpu", pad(0), pad(1), "PAD leaves the batch"),
    (
        "edgetpu",
        one_operator("PACK", [Given((1, 4, 4))] * 2, Given((1, 2, 4, 4)), "Pack", 2, axis=1),
        one_operator("PACK", [Given((4, 4, 4))] * 2, Given((2, 4, 4, 4)), "Pack", 2, axis=0),
        "does not make a batch",
    ),
    (
        "edgetpu",
        one_operator("SPLIT", [constant(3), PLANE], PLANE, "Split", 2, numSplits=1),
        one_operator("SPLIT", [constant(0), PLANE], PLANE, "Split", 2, numSplits=1),
        "SPLIT leaves",
    ),
    ("edgetpu", prelu((1, 1, 4)), prelu((4, 1, 4)), "one slope a channel"),
    ("edgetpu", softmax((1, 16_000)), softmax((1, 16_001)), "16,000 elements"),
    ("edgetpu", softmax((1, 4)), softmax((4, 4)), "one-dimensional"),
    ("edgetpu", softmax((1, 4)), softmax((1, 4), 1 / 128), "1/256 and -128"),
    ("edgetpu", strided(), strided(2), "strides of 1"),
    ("edgetpu", strided(), strided(newAxisMask=1), "no new axis"),
    ("edgetpu", strided(), strided(ellipsisMask=2), "no ellipsis"),
    ("edgetpu", unary("RELU", (1, 1, 4, 4, 4)), unary("RELU", (2, 4, 4, 4)), "three innermost"),
    ("edgetpu", unary("RELU"), unary("GELU"), "no such operator"),
    ("tflm", unary("ABS"), unary("NEG"), "no int8 kernel"),
    ("tflm", unary("ABS"), TILE, "no such operator"),
    ("tflm", conv(), conv(source=Given((1, 4, 4, 4), "UINT8")), "Tensors are one of"),
    ("tflm", conv(source=OPEN_BATCH), conv(source=OPEN_HEIGHT), "open batch size"),
    (
        "tflm",
        one_operator("DEQUANTIZE", [ROW], FLOATS),
        one_operator("FULLY_CONNECTED", [FLOATS, WEIGHTS], FLOATS, "FullyConnected"),
        "only where activations are",
    ),
    ("raspberry-pi", unary("RELU"), unary("RELU", version=9), "up to 3"),
    ("raspberry-pi", unary("NEG"), unary("SIN"), "no int8 kernel"),
    ("cortex-m4", softmax((1, 4)), softmax((1, 512)), "more than 511 classes"),
    ("cortex-m55", conv(), conv(bias=constant([2**31 - 1] * 4, scale=0.125)), "overflow"),
    ("cortex-m4", conv(), unary("GELU"), "no such operator"),
]  # fmt: skip


@pytest.mark.parametrize(("target", "good", "bad", "words"), PAIRS)
def test_a_model_that_breaks_one_rule(target: str, good: bytes, bad: bytes, words: str) -> None:
    fitting = check(good, target)
    assert fitting.fits, fitting
    assert not fitting.operators[0].why
    report = check(bad, target, "model.tflite")
    assert not report.fits
    assert words in report.operators[0].why
    assert report.operators[0].change.endswith(".")
    assert report.verdict.startswith("Does not fit")


def test_every_edge_tpu_rule_is_broken_by_some_model_here() -> None:
    said = " ".join(
        check(bad, "edgetpu").operators[0].why for target, _, bad, _ in PAIRS if target == "edgetpu"
    )
    untried = [rule.sentence for rule in EDGETPU.rules if rule.sentence.rstrip(".") not in said]
    # There is no way to write a sparse tensor with the object API that is any simpler than the rule.
    assert untried == ["Constants are stored whole, not sparse."]
