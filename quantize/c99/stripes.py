"""Layers carried out in stripes: a convolution makes only what the layers after it take next.

The first output of a network is often its largest tensor, and the next layer makes it small. Where each of
the values that follow is made of a piece of its own (windows side by side, no border), both go through the
picture in stripes, and the arena holds one stripe of what lies between. Nothing is computed twice, and the
kernels are the same: a stripe is a layer whose windows start further on.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import prod
from typing import Any, Final

from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.mve.planes import smaller_planes
from quantize.c99.program import Program, Step, Stripe

_PREFIXES: Final = ("", "dsp_", "mve_")  # of the families' kernels
_POOLS: Final = frozenset(f"{p}{kind}_pool" for p in _PREFIXES for kind in ("average", "max"))
_FOLLOW: Final = _POOLS | {f"{p}depthwise" for p in _PREFIXES}
_LEAD: Final = _FOLLOW | {f"{p}conv2d" for p in _PREFIXES}
_COUNTS: Final = (2, 4, 8)
_AXES: Final = {"h": ("top", "bottom"), "w": ("left", "right")}
# Stripes cost calls, 60 bytes of flash for each: they have to save at least this part of the arena.
_WORTH: Final = 1 / 16


def _window(step: Step) -> dict[str, int]:
    window: Any = step.parameters["window"]
    return dict(window)


def _pooled(step: Step) -> int:
    """Return how many windows along a row become one output, in a convolution that took in a max-pool."""
    matrix: Any = step.parameters.get("matrix", {"pool": 1})
    return int(matrix["pool"])


def _extents(step: Step) -> tuple[int, int, int]:
    """Return batches, rows and columns of a step's output."""
    window = _window(step)
    return window["batches"], window["out_h"], window["out_w"] // _pooled(step)


def _follows(before: Step, step: Step, axis: str, program: Program) -> bool:
    """Whether each window of a step lies beside the one before it, in the output of the step before."""
    if step.kernel not in _FOLLOW or step.stripe or program.storage(step.inputs[0]) != before.output:
        return False
    window = _window(step)
    used = [program.storage(i) for other in program.steps for i in other.inputs]
    used += [program.storage(i) for i in program.model.outputs]
    return (
        used.count(before.output) == 1
        and _extents(before) == (window["batches"], window["in_h"], window["in_w"])
        and window[f"kernel_{axis}"] == window[f"stride_{axis}"]
        and (window[f"kernel_{axis}"] == 1 or window[f"dilation_{axis}"] == 1)
        and window[f"pad_{_AXES[axis][0]}"] == 0
        and window[f"kernel_{axis}"] * window[f"out_{axis}"] <= window[f"in_{axis}"]
    )


def _chains(program: Program) -> Iterator[tuple[int, int, str]]:
    """Yield first step, end and axis of steps that can be carried out in stripes."""
    steps = program.steps
    for axis in _AXES:
        for first, step in enumerate(steps):
            if step.kernel not in _LEAD or step.stripe:
                continue
            end = first + 1
            while (
                end < len(steps)
                and not steps[end].stripe
                and _follows(steps[end - 1], steps[end], axis, program)
            ):
                end += 1
                batches, rows, _ = _extents(steps[end - 1])
                # Stripes of the last output lie one after the other.
                if batches == 1 and (axis == "h" or rows == 1):
                    yield first, end, axis


def _part(step: Step, axis: str, start: int, stop: int, alone: bool) -> tuple[Step, int]:
    """Return the step for outputs `start` to `stop` along an axis, and where its input starts, in bytes.

    `alone`: its input is a stripe as well. Stripes within the borders are the same but for that start.
    """
    window = _window(step)
    start, stop = (n * (_pooled(step) if axis == "w" else 1) for n in (start, stop))
    low, high = _AXES[axis]
    count, first = stop - start, start * window[f"stride_{axis}"] - window[f"pad_{low}"]
    furthest = (window[f"inside_{high}"] - count) * window[f"stride_{axis}"] - window[f"pad_{low}"]
    inside = [min(max(window[f"inside_{end}"] - start, 0), count) for end in (low, high)]
    window.update(zip((f"inside_{low}", f"inside_{high}"), inside, strict=True))
    window[f"out_{axis}"] = count
    window[f"pad_{low}"] = -first
    offset = beyond = 0
    if alone:
        window[f"in_{axis}"] = count * window[f"stride_{axis}"]
        window[f"pad_{low}"] = 0
    elif inside == [0, count]:
        channels: Any = step.parameters["channels" if step.kernel in _POOLS else "in_c"]
        line = channels * (window["in_w"] if axis == "h" else 1)
        offset, beyond = first * line, furthest * line
        window[f"pad_{low}"] = 0
    parameters: dict[str, Any] = {**step.parameters, "window": window}
    scratch = step.scratch
    if step.kernel == "mve_depthwise":
        parameters, scratch = smaller_planes(parameters, window)
    elif step.kernel == "mve_conv2d":
        parameters["readable"] -= beyond  # of the last stripe, so that they are the same
    return replace(step, parameters=parameters, scratch=scratch, lead=None), offset


def _striped(program: Program, first: int, end: int, axis: str, count: int) -> Program | None:
    """Return the program with steps `first` to `end` in so many stripes, or None if that is too many."""
    chain = program.steps[first:end]
    tensors = program.model.tensors
    which = 1 + "hw".index(axis)
    extent = _extents(chain[-1])[which]
    if extent < 2 * count:
        return None
    width = -(-extent // count)
    made = []
    for number, (start, stop) in enumerate(pairwise([*range(0, extent, width), extent])):
        for place, step in enumerate(chain):
            scale = prod(_window(after)[f"stride_{axis}"] for after in chain[place + 1 :])
            whole = tensors[step.output].size
            line = whole // _extents(step)[which]
            is_last = step is chain[-1]
            part, from_byte = _part(step, axis, start * scale, stop * scale, alone=place > 0)
            stripe = Stripe(
                number,
                start=from_byte,
                offset=start * line if is_last else 0,
                buffer=whole if is_last else width * scale * line,
            )
            made.append(replace(part, stripe=stripe, macs=step.macs if stop == extent else 0))
    return replace(program, steps=(*program.steps[:first], *made, *program.steps[end:]))


def striped(program: Program) -> Program:
    """Return the program with layers in stripes wherever that makes the arena smaller."""
    size = plan(arena_buffers(program)).size
    while True:
        best = None
        for first, end, axis in _chains(program):
            for count in _COUNTS:
                candidate = _striped(program, first, end, axis, count)
                if candidate is None:
                    break
                needed = plan(arena_buffers(candidate)).size
                if needed <= size * (1 - _WORTH):
                    best, size = candidate, needed
        if best is None:
            return program
        program = best
