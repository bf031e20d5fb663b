"""Max-pools that become part of the convolution before them: requantization is monotonic."""

from collections.abc import Callable, Container, Iterable
from dataclasses import replace
from typing import Any

from quantize.c99.program import Program, Step


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
