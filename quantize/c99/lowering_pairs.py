"""Operators on two tensors, element by element, to steps."""

from math import prod

from quantize.c99 import arithmetic
from quantize.c99.context import Context
from quantize.c99.program import Step, Value
from quantize.tflite_model import Activation, AddOptions, FusedOptions

_RANK = 4  # of the walk


def _activation(c: Context) -> Activation:
    options = c.operator.options
    return options.activation if isinstance(options, AddOptions | FusedOptions) else "NONE"


def _steps(shape: tuple[int, ...], rank: int) -> list[int]:
    """Return how far a tensor moves along each axis of a result of `rank` axes; 0 where it is repeated."""
    whole = (1,) * (rank - len(shape)) + shape
    return [0 if n == 1 else prod(whole[i + 1 :]) for i, n in enumerate(whole)]


def walk(first: tuple[int, ...], second: tuple[int, ...], output: tuple[int, ...]) -> dict[str, Value]:
    """Return the fewest axes that walk over two operands and their result together, as `nrv_pairs_t`."""
    rank = len(output)
    axes: list[tuple[int, int, int]] = []
    for n, a, b in zip(output, _steps(first, rank), _steps(second, rank), strict=True):
        if n == 1:
            continue
        if axes and axes[-1][1] == n * a and axes[-1][2] == n * b:
            axes[-1] = (axes[-1][0] * n, a, b)
        else:
            axes.append((n, a, b))
    axes = [(1, 0, 0)] * (_RANK - len(axes)) + axes
    extents, first_steps, second_steps = zip(*axes, strict=True)
    return {"extent": extents, "first_step": first_steps, "second_step": second_steps}


def _pair(c: Context, kernel: str, parameters: dict[str, Value], bound: int | None = None) -> Step:
    first, second = c.inputs
    pairs = walk(first.shape, second.shape, c.output.shape)
    return Step(
        c.operator,
        kernel,
        {"pairs": pairs, **parameters},
        (first.index, second.index),
        c.output.index,
        accumulator_bound=bound,
    )


def _ends(c: Context) -> dict[str, Value]:
    low, high = arithmetic.activation_range(_activation(c), c.output)
    return {"output_zero": c.output.zero_point, "act_min": low, "act_max": high}


def lower_add(c: Context) -> Step:
    """Return an ADD or SUB as a step."""
    first, second = c.inputs
    to_common = arithmetic.add_multipliers(first, second, c.output)
    return _pair(
        c,
        "add",
        {
            "sign": 1 if c.operator.name == "ADD" else -1,
            "zero": (first.zero_point, second.zero_point),
            "multiplier": tuple(m.value for m in to_common[:2]),
            "shift": tuple(m.shift for m in to_common[:2]),
            "output_multiplier": to_common[2].value,
            "output_shift": to_common[2].shift,
            **_ends(c),
        },
        c.prove(255 << 21, 0),
    )


def lower_mul(c: Context) -> Step:
    """Return a MUL as a step."""
    first, second = c.inputs
    scale = arithmetic.product_multiplier(first, second, c.output)
    return _pair(
        c,
        "mul",
        {
            "zero": (first.zero_point, second.zero_point),
            "multiplier": scale.value,
            "shift": scale.shift,
            **_ends(c),
        },
        c.prove(255 * 255, scale.shift),
    )


def lower_extremum(c: Context) -> Step:
    """Return a MAXIMUM or MINIMUM as a step."""
    return _pair(c, c.operator.name.lower(), {})
