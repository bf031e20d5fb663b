"""What operators on one tensor, element by element, demand of it; see `tflite_rules`."""

from quantize.tflite_checker import Checker
from quantize.tflite_model import LeakyOptions

# Scale and zero point that a function's output must have.
_FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
# Of HARD_SWISH: within these its 16-bit steps are defined.
_LEAST_INPUT, _MOST_INPUT, _MOST_RATIO, _LEAST_RATIO = 2.0**-14, 2.0**14, 127.0, 2.0**-6


def elementwise(c: Checker) -> None:
    """Check an operator that only needs an input and an output of one shape."""
    c.arity(1, 1)
    c.shape(c.activation(c.input(0)).shape)
    c.activation(c.output)


def squashing(c: Checker) -> None:
    """Check LOGISTIC or TANH."""
    elementwise(c)
    scale, zero_point = _FIXED[c.operator.name]
    c.require(
        (c.output.scale, c.output.zero_point) == (scale, zero_point),
        f"the output must have scale 1/{round(1 / scale)} and zero point {zero_point}",
    )


def leaky_relu(c: Checker) -> None:
    """Check LEAKY_RELU."""
    elementwise(c)
    assert isinstance(c.operator.options, LeakyOptions)
    slope = c.operator.options.slope
    c.require(0 <= slope <= 1, f"a slope of {slope:g} below zero; 0 to 1 are supported")


def rsqrt(c: Checker) -> None:
    """Check RSQRT: the reference kernels stop at an input below its zero point."""
    elementwise(c)
    zero = c.input(0).zero_point
    c.require(
        zero == -128, f"the input's zero point is {zero}, and so inputs may be negative; -128 is supported"
    )


def hard_swish(c: Checker) -> None:
    """Check HARD_SWISH."""
    elementwise(c)
    source, ratio = c.input(0).scale, c.input(0).scale / c.output.scale
    c.require(
        _LEAST_INPUT <= source <= _MOST_INPUT and _LEAST_RATIO <= ratio <= _MOST_RATIO,
        "the scales of input and output are too far from each other, or from 1",
    )
