"""Pruning of a finished run: rank, remove, fine-tune."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from quantize.pruning.budget import cuts_within
from quantize.pruning.cost import Budget, Footprint, footprint, rough_cost
from quantize.pruning.pruner import Cut, Pruner, check_fraction
from train.fit import fit
from train.models import keeps_state, to_input
from train.predict import predict_windows
from train.recording import UNMARKED
from train.run import Run
from train.windows import WindowSet

Progress = Callable[[str, int, int], None]

RANKING_WINDOWS: Final = 1024
TRIAL_WINDOWS: Final = 16
"""That calibrate a network of which only the size counts."""
JUDGING_WINDOWS: Final = 4096
MAX_EPOCHS: Final = 40
"""Of fine-tuning, however few windows there are."""
STEPS: Final = 500
FAST_STEPS: Final = 150
LEARNING_RATE: Final = 0.5
"""Of that in training: the weights are near where they should be."""


class Pruning(msgspec.Struct, frozen=True):
    """What was asked for and what was done.

    Attributes:
        fraction: of the units of every layer that was to go.
        budget: that was to be kept, or None.
        allotment: evenly, or by importance, where that measured better.
        removed: units that went, of each layer.
    """

    fraction: float = 0.0
    budget: Budget | None = None
    allotment: str = "evenly"
    removed: dict[str, int] = {}


def prune_run(
    run: Run,
    model: nn.Module,
    fraction: float = 0.0,
    budget: Budget | None = None,
    fast: bool = False,
    progress: Progress | None = None,
) -> tuple[nn.Module, Pruning]:
    """Copy a run's network without its least important units, fine-tuned.

    For a budget the least is removed that will do, once from every layer alike and once where units matter
    least for what they cost; of the two networks that with the smaller loss after fine-tuning is returned.

    Args:
        run: a finished training.
        model: its network; left as it is.
        fraction: of the units of every layer.
        budget: in place of a fraction.
        fast: few steps of fine-tuning.
        progress: called with stage, done, total.

    Raises:
        InnervateError: a fraction out of range, or a budget that no pruning keeps.
    """
    report = progress or (lambda stage, done, total: None)
    check_fraction(fraction)
    windows, context, labels = ranking(run)
    pruner = Pruner(model, windows, labels, context)
    plans: dict[str, Sequence[Cut]] = {"evenly": pruner.evenly(fraction)}
    if budget is not None:
        plans = _plans(pruner, budget, windows, context, report)
    results = []
    for number, (allotment, cuts) in enumerate(plans.items()):
        smaller = pruner.without(cuts)

        def tuned(done: int, total: int, number: int = number) -> None:
            report("prune", number * total + done, len(plans) * total)

        if cuts:
            _fine_tune(run, smaller, fast, tuned)
        loss = _loss(run, smaller) if len(plans) > 1 else 0.0
        removed: Counter[str] = Counter()
        for cut in cuts:
            removed[cut.layer] += len(cut.units)
        results.append((loss, number, smaller, Pruning(fraction, budget, allotment, dict(removed))))
    _, _, best, pruning = min(results, key=lambda result: result[:2])
    return best, pruning


def ranking(run: Run) -> tuple[torch.Tensor, torch.Tensor | None, torch.Tensor]:
    """Training windows that rank the units: windows, context where there is any, labels."""
    train = run.windows("train")
    chosen = sample(train.select(train.y != UNMARKED), RANKING_WINDOWS, run.record.seed)
    context = torch.from_numpy(chosen.context) if chosen.context.shape[1] else None
    return to_input(chosen.x), context, torch.from_numpy(chosen.y)


def sample(windows: WindowSet, count: int, seed: int) -> WindowSet:
    """Choose windows at random, without putting any back."""
    chosen = np.random.default_rng(seed).permutation(len(windows))[:count]
    return windows.select(np.sort(chosen))


def judging(run: Run, model: nn.Module) -> WindowSet:
    """Windows that accuracies during pruning are of: of validation, or for want of any of training."""
    valid, train = run.windows("valid"), run.windows("train")
    if (valid.y != UNMARKED).any():
        return valid
    return train if keeps_state(model) else sample(train, JUDGING_WINDOWS, run.record.seed)


def _plans(
    pruner: Pruner, budget: Budget, windows: torch.Tensor, context: torch.Tensor | None, report: Progress
) -> dict[str, Sequence[Cut]]:
    """The cuts that keep a budget, for each way of sharing them out."""
    cost = rough_cost(windows.shape[1:], 0 if context is None else context.shape[1], budget, pruner.model)
    few = windows[:TRIAL_WINDOWS], None if context is None else context[:TRIAL_WINDOWS]

    known: dict[frozenset[tuple[int, ...]], Footprint] = {}

    def measure(cuts: Sequence[Cut]) -> Footprint:
        key = frozenset(cut.units for cut in cuts)
        if key not in known:
            known[key] = footprint(pruner.without(cuts), few[0], budget, few[1])
        return known[key]

    def found(order: Sequence[Cut], first: int) -> Sequence[Cut]:
        def told(done: int, total: int) -> None:
            report("measure", first * total + done, 2 * total)

        return cuts_within(order, budget, measure, told)

    evenly = found(pruner.evenly(), 0)
    if not evenly:
        report("measure", 1, 1)
        return {"evenly": evenly}
    return {"evenly": evenly, "by importance": found(pruner.by_importance(pruner.savings(cost)), 1)}


def _loss(run: Run, model: nn.Module) -> float:
    windows = judging(run, model)
    marked = windows.y != UNMARKED
    logits = torch.from_numpy(predict_windows(model, windows)[marked])
    return float(functional.cross_entropy(logits, torch.from_numpy(windows.y[marked])))


def _fine_tune(run: Run, pruned: nn.Module, fast: bool, progress: Callable[[int, int], None]) -> None:
    """Train a pruned network as the run did, but for the number of steps and the learning rate."""
    train, settings = run.windows("train"), run.plan.fit
    steps = FAST_STEPS if fast else STEPS
    if not keeps_state(pruned):  # which learns from windows in a row
        train = sample(train, steps * settings.batch_size, run.record.seed)
    batches = max(1, len(train) // settings.batch_size)
    settings = msgspec.structs.replace(
        settings,
        epochs=min(MAX_EPOCHS, max(1, round(steps / batches))),
        learning_rate=settings.learning_rate * LEARNING_RATE,
        patience=0,
    )
    fit(
        pruned,
        train,
        run.windows("valid"),
        settings,
        seed=run.record.seed,
        progress=lambda _, done, total: progress(done, total),
    )
