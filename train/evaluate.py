"""Evaluation by a protocol: every split trained and tested, the linear floor beside it."""

import time
from pathlib import Path

import msgspec
import numpy as np
from torch import nn

from train.corpus import Corpus
from train.delay import DelayBudget, budget
from train.experiment import Experiment, predict_classes, score_plan, shortened
from train.fit import Progress, named
from train.metrics import Metrics
from train.run import Run
from train.splits import make_splits
from train.task import Plan, Task, load


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of a protocol.

    Attributes:
        task, dataset, protocol, model: what was evaluated.
        folds: how many networks were trained and tested; 1 for a run's own.
        seed: of everything random.
        network: figures of the network, all folds together.
        floor: figures of the linear discriminant on the same windows.
        delay: budget without computing time.
        seconds: that the evaluation took.
    """

    task: str
    dataset: str
    protocol: str
    model: str
    folds: int
    seed: int
    network: Metrics
    floor: Metrics
    delay: DelayBudget
    seconds: float


def evaluate(run: Run, protocol: str | None = None, progress: Progress | None = None) -> Evaluation:
    """Evaluate a run.

    Args:
        run: a trained run.
        protocol: None scores the run's own network on its test recordings; a name trains a network for each
            split of that protocol with the run's settings and tests it.
        progress: called with stage, done, total.

    Raises:
        InnervateError: unknown protocol, or the recordings are gone or do not suit it.
    """
    if protocol is not None:
        record = run.record
        plan = record.task.plan(record.plan.dataset, protocol, record.plan.model)
        return cross_validate(
            shortened(plan) if record.fast else plan, run.experiment.corpus, record.seed, progress
        )
    began = time.monotonic()
    test = run.windows("test")
    plan = run.plan
    return Evaluation(
        task=plan.task,
        dataset=plan.dataset,
        protocol=plan.protocol,
        model=plan.model,
        folds=1,
        seed=run.record.seed,
        network=score_plan(plan, test.y, predict_classes(run.model(), test), test.subject),
        floor=run.metrics.floor,
        delay=budget(run.signal_path, plan.decision),
        seconds=time.monotonic() - began,
    )


def evaluate_task(
    task: str | Path | Task,
    dataset: str,
    data_path: Path | None,
    *,
    protocol: str | None = None,
    model: str | None = None,
    seed: int = 0,
    fast: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Evaluate a task on a data set by a protocol; arguments as in `train.run.train`.

    Raises:
        InnervateError: task, data or settings are at fault.
    """
    settled = task if isinstance(task, Task) else load(task)
    plan = settled.plan(dataset, protocol, model)
    corpus = Corpus(dataset, data_path, plan.resample_hz)
    return cross_validate(shortened(plan) if fast else plan, corpus, seed, progress)


def cross_validate(plan: Plan, corpus: Corpus, seed: int, progress: Progress | None = None) -> Evaluation:
    """Train and test a network for each split of the plan's protocol.

    Raises:
        InnervateError: the recordings do not suit the protocol or the plan.
    """
    began = time.monotonic()
    splits = make_splits(plan.protocol, corpus.keys, plan.train_sessions, plan.test_sessions, seed)
    y, subject, predicted, floor = [], [], [], []
    common: nn.Module | None = None
    for split in splits:
        experiment = Experiment(plan, corpus, split, seed)
        path = experiment.design_path()
        if common is None and experiment.learns_from_all:
            common = experiment.fit_common(named(progress, "everyone"))
        windows = experiment.training_windows(path)
        report = named(progress, f"fold {split.fold + 1}/{split.folds}") if split.folds > 1 else progress
        network, _ = experiment.fit_model(*windows, common, report)
        test = experiment.test_windows(path)
        y.append(test.y)
        subject.append(test.subject)
        predicted.append(predict_classes(network, test))
        floor.append(experiment.predict_floor(path, test))
    whole = np.concatenate(y), np.concatenate(subject)
    return Evaluation(
        task=plan.task,
        dataset=plan.dataset,
        protocol=plan.protocol,
        model=plan.model,
        folds=len(splits),
        seed=seed,
        network=score_plan(plan, whole[0], np.concatenate(predicted), whole[1]),
        floor=score_plan(plan, whole[0], np.concatenate(floor), whole[1]),
        delay=budget(path, plan.decision),
        seconds=time.monotonic() - began,
    )
