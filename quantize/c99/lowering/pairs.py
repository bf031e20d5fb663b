"""Operators on two tensors to steps."""

from math import prod
from typing import cast

from quantize.c99 import arithmetic
from quantize.c99.arithmetic import Multiplier
from quantize.c99.context import Context
from quantize.c99.program import Step, Value
from quantize.tflite_model import Activation, AddOptions, FusedOptions, MatmulOptions
from quantize.tflite_pair_rules import matrix_sizes

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


def below_one(c: Context, multipliers: tuple[Multiplier, ...]) -> tuple[Multiplier, ...]:
    """Return multipliers that need no shift to the left, as the reference kernels demand."""
    if any(m.shift > 0 for m in multipliers):
        raise c.unfit("The inputs' scales are too large for the output's")
    return multipliers


def lower_add(c: Context) -> Step:
    """Return an ADD or SUB as a step."""
    first, second = c.inputs
    to_common = below_one(c, arithmetic.add_multipliers(first, second, c.output))
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


def lower_squared_difference(c: Context) -> Step:
    """Return a SQUARED_DIFFERENCE as a step."""
    first, second = c.inputs
    to_common = below_one(c, arithmetic.squared_difference_multipliers(first, second, c.output))
    return _pair(
        c,
        "squared_difference",
        {
            "zero": (first.zero_point, second.zero_point),
            "multiplier": tuple(m.value for m in to_common[:2]),
            "shift": tuple(m.shift for m in to_common[:2]),
            "output_multiplier": to_common[2].value,
            "output_shift": to_common[2].shift,
            "output_zero": c.output.zero_point,
        },
        c.prove((255 << 7) ** 2, 0),
    )


def lower_batch_matmul(c: Context) -> Step:
    """Return a BATCH_MATMUL as a step."""
    first, second = c.inputs
    options = c.operator.options
    assert isinstance(options, MatmulOptions)
    rows, columns, (depth, _) = matrix_sizes(c.model, c.operator)
    batches = walk(first.shape[:-2], second.shape[:-2], c.output.shape[:-2])
    # From matrices to elements, as rows of one matrix; of at most three axes the first is never used.
    extent, first_step, second_step = (cast("tuple[int, ...]", v)[1:] for v in batches.values())
    scale = arithmetic.product_multiplier(first, second, c.output, division_in_float64=True)
    largest = [max(t.zero_point + 128, 127 - t.zero_point) for t in (first, second)]
    bound = c.prove(depth * largest[0] * largest[1], scale.shift)
    return Step(
        c.operator,
        "matmul",
        {
            "batches": {
                "extent": (*extent, 1),
                "first_step": (*(n * rows * depth for n in first_step), 0),
                "second_step": (*(n * depth * columns for n in second_step), 0),
            },
            "rows": rows,
            "columns": columns,
            "depth": depth,
            # (step from row to row or from column to column, step along the sum)
            "first_step": (1, rows) if options.adjoint[0] else (depth, 1),
            "second_step": (depth, 1) if options.adjoint[1] else (1, columns),
            "zero": (first.zero_point, second.zero_point),
            "multiplier": scale.value,
            "shift": scale.shift,
            "output_zero": c.output.zero_point,
        },
        (first.index, second.index),
        c.output.index,
        macs=c.output.size * depth,
        accumulator_bound=bound,
    )
