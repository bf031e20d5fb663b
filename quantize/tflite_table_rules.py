"""What operators on one tensor, element by element, demand of it; see `tflite_rules`."""

from quantize.tflite_checker import Checker

# Scale and zero point that a function's output must have.
_FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}


def squashing(c: Checker) -> None:
    """Check LOGISTIC or TANH."""
    c.arity(1, 1)
    source, target = c.activation(c.input(0)), c.activation(c.output)
    c.shape(source.shape)
    scale, zero_point = _FIXED[c.operator.name]
    c.require(
        (target.scale, target.zero_point) == (scale, zero_point),
        f"the output must have scale 1/{round(1 / scale)} and zero point {zero_point}",
    )
