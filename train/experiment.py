"""One split of one plan, from recordings to a fitted network: done once in a run, often in an evaluation."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.errors import InnervateError
from edge.signal_path import PathRunner, SignalPath
from train import models
from train.baseline import predict_floor
from train.corpus import Corpus
from train.delay import budget
from train.filter_design import design, normalise
from train.fit import FitResult, Progress, fit, predict
from train.metrics import Metrics, score
from train.splits import Split, hold_out
from train.task import Plan
from train.windows import WindowSet, counts_for, cut

NORMALISATION_SAMPLES = 1 << 21
"""Most filtered samples kept to find the percentile; of more, every second, third, ... is taken."""

_FAST_EPOCHS = 4


@dataclass(frozen=True)
class Experiment:
    """A plan with data, a split and a seed.

    Attributes:
        plan: settings.
        corpus: recordings.
        split: which of them train and which test.
        seed: of weights, order, augmentation and validation subjects.
    """

    plan: Plan
    corpus: Corpus
    split: Split
    seed: int

    def design_path(self) -> SignalPath:
        """Design the signal path; its normalisation comes from the training recordings only.

        Raises:
            InnervateError: a filter that cannot be, a dead channel, a recording that does not fit, or a
                delay above the task's limit.
        """
        settings, plan = self.plan.signal_path, self.plan
        made = design(settings.filters, plan.fs_hz, plan.counts_bits)
        window, hop = _samples(settings.window_ms, plan.fs_hz), _samples(settings.hop_ms, plan.fs_hz)
        first = next(self.corpus.recordings(self.split.train[:1]))
        count = len(plan.channels)
        path = SignalPath(
            channels=plan.channels,
            fs_hz=plan.fs_hz,
            uv_per_count=first.uv_per_count,
            counts_bits=plan.counts_bits,
            shift=made.shift,
            sections=made.sections,
            filters=settings.filters,
            settle=made.settle,
            group_delay_ms=made.group_delay_ms,
            window=window,
            hop=hop,
            multiplier=(0,) * count,
            right_shift=(0,) * count,
        )
        delay = budget(path, plan.decision)
        if plan.delay is not None and delay.mean_ms > plan.delay.limit_ms:
            raise InnervateError(
                f"A mean delay of {delay.mean_ms:.0f} ms is above the limit of {plan.delay.limit_ms:g} ms",
                f"task {plan.task}",
                "Shorten window_ms or hop_ms, or take fewer votes",
            )
        multiplier, right_shift = normalise(self._filtered(path), settings.percentile, plan.channels)
        return msgspec.structs.replace(path, multiplier=multiplier, right_shift=right_shift)

    def _filtered(self, path: SignalPath) -> NDArray[np.int32]:
        """Settled, filtered samples of the training recordings, int32 [n, channels]."""
        runner = PathRunner(path)
        kept: list[NDArray[np.int32]] = []
        total, step = 0, 1
        for recording in self.corpus.recordings(self.split.train):
            runner.reset()
            kept.append(runner.filter(counts_for(path, recording))[path.settle :: step].copy())
            total += len(kept[-1])
            while total > NORMALISATION_SAMPLES:
                kept, step = [part[::2].copy() for part in kept], 2 * step
                total = sum(len(part) for part in kept)
        if total == 0:
            raise InnervateError(
                "All training recordings are shorter than the filters need to settle",
                f"{path.settle} samples",
                "Raise the lowest filter edge, or add longer recordings",
            )
        return np.concatenate(kept)

    def training_windows(self, path: SignalPath) -> tuple[WindowSet, WindowSet]:
        """Return the windows that fit and those that validate, both of training recordings.

        Raises:
            InnervateError: a label has no window to train on.
        """
        settings = self.plan.signal_path
        hop_ms = settings.train_hop_ms if settings.train_hop_ms is not None else settings.hop_ms
        dense = msgspec.structs.replace(path, hop=_samples(hop_ms, path.fs_hz))
        windows = self._cut(self.split.train, dense)
        fitted, validated = hold_out(windows, self.split.protocol, self.seed)
        train = windows.select(fitted)
        missing = [label for number, label in enumerate(self.plan.labels) if not (train.y == number).any()]
        if missing:
            raise InnervateError(
                f"No training window has the label '{missing[0]}'",
                f"data set {self.plan.dataset}",
                "Leave the label out of the task, or add recordings that have it",
            )
        return train, windows.select(validated)

    def test_windows(self, path: SignalPath) -> WindowSet:
        """Return the windows of the test recordings.

        Raises:
            InnervateError: there is none.
        """
        windows = self._cut(self.split.test, path)
        if len(windows) == 0:
            raise InnervateError(
                "The test recordings hold no labelled window",
                f"data set {self.plan.dataset}",
                "Check the labels and the length of the recordings",
            )
        return windows

    def _cut(self, ids: Collection[str], path: SignalPath) -> WindowSet:
        return cut(self.corpus.recordings(ids), path, self.plan.classes)

    def build_model(self) -> nn.Module:
        """Build the plan's network with fresh weights that depend on the seed alone."""
        plan, settings = self.plan, self.plan.signal_path
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return models.build(
                plan.model,
                len(plan.channels),
                _samples(settings.window_ms, plan.fs_hz),
                len(plan.labels),
                plan.model_params,
            )

    def fit_model(
        self,
        train: WindowSet,
        valid: WindowSet,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> tuple[nn.Module, FitResult]:
        """Build and fit the network."""
        model = self.build_model()
        return model, fit(
            model, train, valid, self.plan.fit, seed=self.seed, progress=progress, checkpoint=checkpoint
        )

    def predict_floor(self, path: SignalPath, test: WindowSet) -> NDArray[np.int64]:
        """Return what a linear discriminant predicts that was trained on all training recordings."""
        return predict_floor(
            self._cut(self.split.train, path), test, per_subject=self.split.protocol == "within_subject"
        )


def predict_classes(model: nn.Module, windows: WindowSet) -> NDArray[np.int64]:
    """Return a network's class for each window, int64 ``[N]``."""
    return np.asarray(predict(model, windows.x).argmax(axis=1), np.int64)


def score_plan(
    plan: Plan, y: NDArray[np.int64], predicted: NDArray[np.int64], subject: NDArray[np.str_]
) -> Metrics:
    """Score predicted classes ``[N]`` of windows cut at the plan's hop."""
    settings = plan.signal_path
    return score(y, predicted, subject, plan.labels, overlap=settings.window_ms / settings.hop_ms)


def shortened(plan: Plan) -> Plan:
    """Return the plan with so few epochs that it only shows whether all works."""
    return msgspec.structs.replace(
        plan, fit=msgspec.structs.replace(plan.fit, epochs=min(_FAST_EPOCHS, plan.fit.epochs))
    )


def _samples(milliseconds: float, fs_hz: float) -> int:
    return max(1, round(milliseconds * fs_hz / 1000))
