"""A run: one trained network with all that it takes to use, judge or repeat it, in a folder.

The folder holds ``run.json`` (what was done: plan, split, seed, signal path), ``model.pt`` (weights) and
``metrics.json`` (figures of the test part, and of the floor). It appears when all of it is there. While a
run trains, its state lies in a hidden folder beside it; the same call after an interruption goes on from
there.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import msgspec
import torch
from torch import nn

from edge.context import ContextField
from edge.errors import InnervateError
from edge.signal_path import SignalPath
from train import models
from train.corpus import Corpus
from train.experiment import Experiment, predict_classes, score_plan, shortened
from train.fit import UNREADABLE, FitResult, Progress, named
from train.metrics import Metrics
from train.recording import Recording
from train.splits import Split, make_splits
from train.task import Plan, Task, load
from train.windows import WindowSet

FORMAT = 1
Part = Literal["train", "valid", "test"]

_CHECKPOINTS = ("common.pt", "checkpoint.pt")
_MAX_JSON_BYTES = 64 * 1024 * 1024


class RunRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What ``run.json`` holds.

    Attributes:
        format: version of this layout.
        innervate: version of the program.
        task: the task file.
        plan: the task settled for the data set and protocol.
        fast: whether training was cut short to see that all works.
        data_path: where the recordings were; None if simulated.
        split: recordings that trained and tested.
        seed: of everything random.
        signal_path: designed filters with the normalisation of the training recordings.
        context: facts that the network takes beside a window, with their spread in the training recordings.
        fit: how training went.
    """

    format: int
    innervate: str
    task: Task
    plan: Plan
    fast: bool
    data_path: str | None
    split: Split
    seed: int
    signal_path: SignalPath
    context: tuple[ContextField, ...] = ()
    fit: FitResult


class RunMetrics(msgspec.Struct, frozen=True):
    """What ``metrics.json`` holds: the network and the linear discriminant on the test part."""

    test: Metrics
    floor: Metrics


class Run:
    """A finished run in its folder.

    Attributes:
        folder: where it is.
        record: what was done.
        metrics: how well it works.
    """

    def __init__(self, folder: Path, record: RunRecord, metrics: RunMetrics) -> None:
        self.folder, self.record, self.metrics = folder, record, metrics
        self._windows: dict[Part, WindowSet] = {}

    @classmethod
    def load(cls, folder: Path) -> "Run":
        """Read a run from its folder.

        Raises:
            InnervateError: it is no run, or a file of it is missing or malformed.
        """
        record = _read_json(folder / "run.json", RunRecord)
        if record.format != FORMAT:
            raise InnervateError(
                f"The run has format {record.format}, this version reads {FORMAT}", str(folder), "Train again"
            )
        record.signal_path.validate()
        return cls(folder, record, _read_json(folder / "metrics.json", RunMetrics))

    @property
    def plan(self) -> Plan:
        """Settings of the run."""
        return self.record.plan

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names in the order of the outputs."""
        return self.record.plan.labels

    @property
    def signal_path(self) -> SignalPath:
        """The signal path that made the windows."""
        return self.record.signal_path

    @cached_property
    def experiment(self) -> Experiment:
        """The run's plan with its recordings, read from where they were.

        Raises:
            InnervateError: they are not there any more, or are malformed.
        """
        record = self.record
        path = None if record.data_path is None else Path(record.data_path)
        corpus = Corpus(record.plan.dataset, path, record.plan.resample_hz)
        return Experiment(record.plan, corpus, record.split, record.seed)

    def model(self) -> nn.Module:
        """Build the network with the trained weights, in evaluation mode.

        Raises:
            InnervateError: ``model.pt`` is missing, malformed or of another network.
        """
        plan, (window, channels) = self.plan, self.signal_path.model_shape
        model = models.build(
            plan.model,
            channels,
            window,
            len(plan.labels),
            plan.model_params,
            len(plan.context),
            plan.keeps_state,
        )
        file = self.folder / "model.pt"
        try:
            model.load_state_dict(torch.load(file, weights_only=True))
        except UNREADABLE as error:
            raise InnervateError(
                f"The weights cannot be read: {type(error).__name__}", str(file), "Train again"
            ) from None
        return model.eval()

    def windows(self, part: Part) -> WindowSet:
        """Return the windows that trained the network, validated it or test it."""
        if part not in self._windows:
            if part == "test":
                self._windows["test"] = self.experiment.test_windows(self.signal_path)
            else:
                train, valid = self.experiment.training_windows(self.signal_path)
                self._windows |= {"train": train, "valid": valid}
        return self._windows[part]

    def recordings(self, part: Literal["train", "test"]) -> Iterator[Recording]:
        """Yield the recordings of the training or test part."""
        split = self.record.split
        return self.experiment.corpus.recordings(split.train if part == "train" else split.test)


def train(
    task: str | Path | Task,
    dataset: str,
    data_path: Path | None,
    *,
    out: Path,
    model: str | None = None,
    protocol: str | None = None,
    fold: int = 0,
    subject: str | None = None,
    seed: int = 0,
    fast: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train a network and write its run folder.

    Args:
        task: name, TOML file or task.
        dataset: name of a reader.
        data_path: the data set's folder; None if simulated.
        out: folder to write; must not exist.
        model: another network than the task's.
        protocol: another split than the task's.
        fold: which of the protocol's splits.
        subject: instead of `fold`, the split that tests this subject.
        seed: of everything random.
        fast: few epochs, to see that all works.
        progress: called with stage, done, total.

    Raises:
        InnervateError: `out` exists, or task, data or settings are at fault.
    """
    if out.exists():
        raise InnervateError("The output exists already", str(out), "Choose another folder or remove it")
    settled = task if isinstance(task, Task) else load(task)
    plan = settled.plan(dataset, protocol, model)
    plan = shortened(plan) if fast else plan
    report = progress or (lambda stage, done, total: None)

    report("read", 0, 1)
    corpus = Corpus(dataset, data_path, plan.resample_hz)
    splits = make_splits(plan.protocol, corpus.keys, plan.train_sessions, plan.test_sessions, seed)
    experiment = Experiment(plan, corpus, _choose(splits, fold, subject, corpus), seed)
    report("read", 1, 1)
    return train_split(settled, experiment, out=out, fast=fast, progress=progress)


def train_split(
    task: Task,
    experiment: Experiment,
    *,
    out: Path,
    common: nn.Module | None = None,
    fast: bool = False,
    progress: Progress | None = None,
) -> Run:
    """Train a network for one split and write its run folder.

    Args:
        task: that the experiment's plan came from.
        experiment: plan, recordings, split and seed.
        out: folder to write; must not exist.
        common: the network for everyone (`Experiment.fit_common`) where it is there already.
        fast: whether the plan was shortened, for the record.
        progress: called with stage, done, total.

    Raises:
        InnervateError: `out` exists, or data or settings are at fault.
    """
    if out.exists():
        raise InnervateError("The output exists already", str(out), "Choose another folder or remove it")
    plan, report = experiment.plan, progress or (lambda stage, done, total: None)
    report("windows", 0, 1)
    path = experiment.design_path()
    fitted, validated = experiment.training_windows(path)
    report("windows", 1, 1)

    try:
        work = _work_folder(out, experiment, path, fitted)
        common = None
        if experiment.learns_from_all:
            common = experiment.fit_common(named(progress, "everyone"), work / _CHECKPOINTS[0])
        network, result = experiment.fit_model(fitted, validated, common, progress, work / _CHECKPOINTS[1])

        report("test", 0, 1)
        test = experiment.test_windows(path)
        metrics = RunMetrics(
            test=score_plan(plan, test.y, predict_classes(network, test), test.subject),
            floor=score_plan(plan, test.y, experiment.predict_floor(path, test), test.subject),
        )
        record = RunRecord(
            format=FORMAT,
            innervate=version("innervate"),
            task=task,
            plan=plan,
            fast=fast,
            data_path=None if experiment.corpus.path is None else str(experiment.corpus.path.resolve()),
            split=experiment.split,
            seed=experiment.seed,
            signal_path=path,
            context=experiment.context,
            fit=result,
        )
        torch.save(network.state_dict(), work / "model.pt")
        _write_json(work / "run.json", record)
        _write_json(work / "metrics.json", metrics)
        for name in _CHECKPOINTS:
            (work / name).unlink(missing_ok=True)
        work.rename(out)
    except OSError as error:
        raise InnervateError(
            f"The run cannot be written: {error.strerror or error}",
            str(out),
            "Check the folder and its space",
        ) from None
    report("test", 1, 1)
    run = Run(out, record, metrics)
    run.experiment = experiment  # spares reading the recordings again
    return run


def _choose(splits: list[Split], fold: int, subject: str | None, corpus: Corpus) -> Split:
    if subject is not None:
        mine = {key.id for key in corpus.keys if key.subject == subject}
        for split in splits:
            if not mine.isdisjoint(split.test):
                return split
        known = sorted({key.subject for key in corpus.keys})
        raise InnervateError(
            f"No split tests the subject '{subject}'", splits[0].protocol, f"Subjects are {', '.join(known)}"
        )
    if not 0 <= fold < len(splits):
        raise InnervateError(f"There is no fold {fold}", splits[0].protocol, f"Choose 0 to {len(splits) - 1}")
    return splits[fold]


def _work_folder(out: Path, experiment: Experiment, path: SignalPath, fitted: WindowSet) -> Path:
    """Make or find the hidden folder of just this run; what another run left under the same name goes."""
    identity = hashlib.sha256(
        msgspec.json.encode((FORMAT, experiment.plan, experiment.split, experiment.seed, path))
    )
    for array in (fitted.x, fitted.context):
        identity.update(array.tobytes())
    work = out.with_name(f".{out.name}.{identity.hexdigest()[:16]}")
    mine = re.compile(re.escape(f".{out.name}.") + "[0-9a-f]{16}")
    out.parent.mkdir(parents=True, exist_ok=True)
    for old in out.parent.iterdir():
        if old != work and mine.fullmatch(old.name) and old.is_dir():
            shutil.rmtree(old)
    work.mkdir(exist_ok=True)
    return work


def _write_json(file: Path, value: msgspec.Struct) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def _read_json(file: Path, kind: type[Any]) -> Any:
    try:
        with file.open("rb") as stream:
            raw = stream.read(_MAX_JSON_BYTES)
        return msgspec.json.decode(raw, type=kind)
    except OSError as error:
        raise InnervateError(
            f"Cannot read the run: {error.strerror}", str(file), "Give a folder that 'innervate train' wrote"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InnervateError(f"The run is malformed: {error}", str(file), "Train again") from None
