"""Layers that become part of a convolution: PADs before it; max-pools after it, as scaling is monotonic."""

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any, Final

from quantize.c99.program import Program, Step
from quantize.c99.windows import along


def widened(conv: Step, pool: Step, sizes: Container[int]) -> tuple[Step, int] | None:
    """Return a convolution as wide as its pool reads, with both activations, and the neighbours to pool.

    None where the pool does not take whole neighbours of one row, of a number in `sizes`.
    """
    window: Any = pool.parameters["window"]
    outputs: Any = conv.parameters["window"]
    size = window["kernel_w"]
    span = window["out_w"] * size
    shape = (window["stride_w"], window["kernel_h"], window["stride_h"], window["pad_left"])
    turned = (window["in_h"], window["in_w"]) != (outputs["out_h"], outputs["out_w"])
    limits: Any = [step.parameters for step in (conv, pool)]
    low = max(p["act_min"] for p in limits)
    high = min(p["act_max"] for p in limits)
    if size not in sizes or shape != (size, 1, 1, 0) or turned or span > window["in_w"] or low > high:
        return None
    changed = {"window": {**outputs, "out_w": span}, "act_min": low, "act_max": high}
    return replace(conv, parameters={**conv.parameters, **changed}), size


def fused(program: Program, steps: Iterable[Step], pooled: Callable[[Step, Step], Step | None]) -> list[Step]:
    """Return `steps` with what `pooled` makes of convolutions whose outputs a max-pool alone reads."""
    uses = [program.storage(i) for s in program.steps for i in s.inputs]
    uses += [program.storage(i) for i in program.model.outputs]
    joined: list[Step] = []
    for step in steps:
        if joined and step.kernel == "max_pool" and joined[-1].kernel == "conv2d":
            before = joined[-1]
            alone = program.storage(step.inputs[0]) == before.output and uses.count(before.output) == 1
            both = pooled(before, step) if alone else None
            if both:
                joined[-1] = both
                continue
        joined.append(step)
    return joined


def without_pads(program: Program) -> Program:
    """Return the program with PADs of rows and columns as borders of the convolutions after them."""
    uses = [program.storage(i) for s in program.steps for i in s.inputs]
    uses += [program.storage(i) for i in program.model.outputs]
    pads = {s.output: s for s in program.steps if s.kernel == "pad" and uses.count(s.output) == 1}
    gone: set[int] = set()
    steps: list[Step] = []
    for step in program.steps:
        pad = pads.get(program.storage(step.inputs[0])) if step.kernel in _BORDERED else None
        bordered = _bordered(step, pad) if pad else None
        if pad and bordered:
            gone.add(pad.output)
        steps.append(bordered or step)
    return replace(program, steps=tuple(s for s in steps if s.output not in gone))


_BORDERED: Final = frozenset({"conv2d", "depthwise"})


def _bordered(step: Step, pad: Step) -> Step | None:
    """Return a convolution of what a PAD reads, or None where its border would not be the same."""
    sizes: Any = pad.parameters
    window: Any = step.parameters["window"]
    ends = [(sizes["before"][i], sizes["input"][i], sizes["output"][i]) for i in (0, 3)]
    if sizes["fill"] != window["input_zero"] or any(b != 0 or n != m for b, n, m in ends):
        return None
    for at, (axis, low) in enumerate((("h", "top"), ("w", "left")), start=1):
        if sizes["output"][at] != window[f"in_{axis}"]:
            return None
        window = along(
            window,
            axis,
            size=sizes["input"][at],
            count=window[f"out_{axis}"],
            pad=window[f"pad_{low}"] + sizes["before"][at],
            stride=window[f"stride_{axis}"],
            dilation=window[f"dilation_{axis}"],
        )
    in_c: Any = step.parameters["in_c"]
    return replace(
        step,
        parameters={**step.parameters, "window": window},
        inputs=pad.inputs,
        scratch=window["kernel_h"] * window["kernel_w"] * in_c,
    )
