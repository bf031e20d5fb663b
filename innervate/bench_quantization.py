"""What int8 costs: accuracy of trained networks in float and in int8 on the same test windows, over seeds."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from scipy import stats

from edge.errors import InnervateError
from quantize.convert import quantize
from quantize.recipe import Mode
from train import task as tasks
from train.fit import Progress, named
from train.run import Run, train

CONFIDENCE: Final = 0.95
VERIFIED: Final = 100
"""Windows for every executor: what the files compute is not the question here."""
MODES: Final[tuple[Mode, ...]] = ("ptq", "qat")


class Trial(msgspec.Struct, frozen=True):
    """One network, trained once and quantized each way.

    Attributes:
        model, dataset, seed: which; the seed deals the subjects too, and where each fold is one subject it
            says which one.
        windows: tested.
        trained: accuracy in float, 0 to 1.
        int8: the same of the file, by mode.
        bytes: size of the file, by mode.
        engine: what ran the file.
    """

    model: str
    dataset: str
    seed: int
    windows: int
    trained: float
    int8: dict[str, float]
    bytes: dict[str, int]
    engine: str


@dataclass(frozen=True)
class Loss:
    """Points of accuracy (percent) that int8 loses, over the trials of a network and a data set.

    Attributes:
        mean: float less int8.
        half: half of the interval that holds the mean in 95 of 100 cases (Student's t); None for one trial.
    """

    mean: float
    half: float | None

    @classmethod
    def of(cls, points: list[float]) -> "Loss":
        """Estimate from one value a trial."""
        if len(points) < 2:
            return cls(float(np.mean(points)), None)
        quantile = stats.t.ppf((1 + CONFIDENCE) / 2, len(points) - 1)
        return cls(float(np.mean(points)), float(quantile * stats.sem(points)))

    def __str__(self) -> str:
        return f"{self.mean:+.2f}" + ("" if self.half is None else f" ± {self.half:.2f}")


def trials(
    models: list[str],
    data: dict[str, Path | None],
    seeds: int,
    folder: Path,
    fast: bool = False,
    progress: Progress | None = None,
) -> Iterator[Trial]:
    """Train and quantize every network on every data set with every seed, but for what `folder` holds.

    Args:
        models: names of networks.
        data: folder of each data set, None if simulated.
        seeds: 0 to this, excluded.
        folder: where runs, bundles and results go.
        fast: few epochs, to see that all works.
        progress: called with stage, done, total.

    Raises:
        InnervateError: no task knows a data set, or training or quantization is at fault.
    """
    for model, (dataset, path), seed in product(models, data.items(), range(seeds)):
        home = folder / dataset / f"{model}-{seed}"
        done = home / "trial.json"
        if not done.is_file():
            report = named(progress, f"{model}, {dataset}, seed {seed}")
            run = _run(model, dataset, path, seed, home / "run", fast, report)
            made = {
                m: quantize(run, home / f"{m}.nrv", mode=m, verified=VERIFIED, fast=fast, progress=report)
                for m in MODES
            }
            first = made[MODES[0]].metrics
            trial = Trial(
                model,
                dataset,
                seed,
                first.trained.windows,
                first.trained.accuracy.value,
                {m: result.metrics.int8.accuracy.value for m, result in made.items()},
                {m: len(result.bundle.model) for m, result in made.items()},
                first.int8_engine,
            )
            partial = done.with_suffix(".part")
            partial.write_bytes(msgspec.json.encode(trial))
            partial.replace(done)
        yield msgspec.json.decode(done.read_bytes(), type=Trial)


def losses(done: list[Trial], key: Callable[[Trial], object]) -> dict[object, dict[str, Loss]]:
    """Estimate what each mode loses, for the trials of each key."""
    groups: dict[object, list[Trial]] = {}
    for trial in done:
        groups.setdefault(key(trial), []).append(trial)
    return {
        name: {mode: Loss.of([100 * (trial.trained - trial.int8[mode]) for trial in group]) for mode in MODES}
        for name, group in groups.items()
    }


def _run(
    model: str, dataset: str, path: Path | None, seed: int, out: Path, fast: bool, progress: Progress | None
) -> Run:
    if (out / "metrics.json").is_file():
        return Run.load(out)
    if out.exists():
        shutil.rmtree(out)
    task = _task_of(dataset)
    plan = task.plan(dataset, model=model)
    fold = seed if plan.protocol == "within_subject" else 0
    return train(
        task, dataset, path, out=out, model=model, fold=fold, seed=seed, fast=fast, progress=progress
    )


def _task_of(dataset: str) -> tasks.Task:
    for name in tasks.names():
        task = tasks.load(name)
        if dataset in task.datasets:
            return task
    raise InnervateError(f"No task takes the data set '{dataset}'", "--data", "See innervate tasks")
