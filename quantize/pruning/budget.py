"""The least pruning with which a network keeps within a budget."""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from edge.errors import InnervateError
from quantize.pruning.cost import Budget, Footprint, shortfall
from quantize.pruning.pruner import Cut

RESERVE: Final = 0.01
"""Of instructions: how many there are depends a little on the weights, which are still to be trained."""


def cuts_within(
    order: Sequence[Cut],
    budget: Budget,
    measure: Callable[[Sequence[Cut]], Footprint],
    progress: Callable[[int, int], None] | None = None,
) -> Sequence[Cut]:
    """Find the shortest beginning of `order` after which the network keeps within `budget`, by bisection.

    Args:
        order: all cuts of it, in the order to make them; each makes the network cheaper, but for the odd one
            after which a slower kernel has to be used.
        budget: what a window may take.
        measure: what the network takes after some cuts.
        progress: called with measurements done and in all.

    Raises:
        InnervateError: no pruning will do; says how near it comes.
    """
    report = progress or (lambda done, total: None)
    total = 2 + max(len(order) - 1, 0).bit_length()
    done = 0

    def excess(count: int) -> float:
        nonlocal done
        taken = measure(order[:count])
        done += 1
        report(min(done, total), total)
        return reserved.excess(taken)

    reserved = budget
    if budget.instructions is not None:
        reserved = msgspec.structs.replace(budget, instructions=int(budget.instructions * (1 - RESERVE)))
    if excess(0) <= 1:
        report(total, total)
        return []
    least = measure(order)
    if reserved.excess(least) > 1:
        raise InnervateError(
            "no pruning keeps the model within its budget: with all that can go removed it still takes "
            + (shortfall(budget, least) or shortfall(reserved, least)),
            "budget",
            "Allow more, or begin with a smaller model or a shorter window",
        )
    too_few, enough = 0, len(order)
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if excess(middle) <= 1:
            enough = middle
        else:
            too_few = middle
    report(total, total)
    return order[:enough]
