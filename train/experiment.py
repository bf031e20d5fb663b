"""One split of one plan, from recordings to a fitted network: done once in a run, often in an evaluation."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge.context import ContextField
from edge.errors import InnervateError
from edge.path_runner import PathRunner
from edge.signal_path import SignalPath
from train import models
from train.baseline import predict_floor, view_of
from train.context import fit_fields
from train.corpus import Corpus
from train.delay import budget
from train.feature_settings import standardise, with_features
from train.filter_design import normalise, samples, signal_path
from train.fit import FitResult, Progress, fit
from train.metrics import Metrics, score
from train.predict import predict_windows
from train.recording import UNMARKED
from train.sequences import marked_only
from train.settings import FitSettings
from train.splits import Split, hold_out
from train.task import Plan
from train.windows import WindowSet, counts_for, cut, join

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

    @property
    def learns_from_all(self) -> bool:
        """Whether a network for everyone is trained first and then fitted to the split's subject."""
        return self.plan.personal is not None and bool(self.split.common)

    @cached_property
    def context(self) -> tuple[ContextField, ...]:
        """The facts that the network takes beside a window, scaled by the training recordings.

        Raises:
            InnervateError: none of them says a fact.
        """
        ids = frozenset(self.split.common or self.split.train)
        return fit_fields(self.plan.context, (key for key in self.corpus.keys if key.id in ids))

    def design_path(self) -> SignalPath:
        """Design the signal path; its scale comes from training recordings only.

        Raises:
            InnervateError: a filter that cannot be, a dead channel, a recording that does not fit, or a delay
                above the task's limit.
        """
        alone = self.plan.signal_path.scale_per_subject or not self.learns_from_all
        return self._scaled_path(self.split.train if alone else self.split.common)

    @cached_property
    def _unscaled_path(self) -> SignalPath:
        settings, plan = self.plan.signal_path, self.plan
        first = next(self.corpus.recordings(self.split.train[:1]))
        path = signal_path(
            settings.filters,
            plan.fs_hz,
            plan.channels,
            plan.counts_bits,
            first.uv_per_count,
            settings.window_ms,
            settings.hop_ms,
            settings.montage,
        )
        path = msgspec.structs.replace(
            path, gates=settings.gates.gates(path, settings.window_ms), gain_control=settings.gain_control
        )
        if settings.features:
            path = with_features(path, settings.features)
        delay = budget(path, plan.decision)
        if plan.delay is not None and delay.mean_ms > plan.delay.limit_ms:
            raise InnervateError(
                f"A mean delay of {delay.mean_ms:.0f} ms is above the limit of {plan.delay.limit_ms:g} ms",
                f"task {plan.task}",
                "Shorten window_ms or hop_ms, or take fewer votes",
            )
        return path

    def _scaled_path(self, ids: Collection[str]) -> SignalPath:
        path, settings = self._unscaled_path, self.plan.signal_path
        filtered = self._filtered(path, ids)
        if settings.scale == "band":
            multiplier, right_shift = normalise(filtered.reshape(-1, 1), settings.percentile, ["all"])
            count = len(path.outputs)
            multiplier, right_shift = multiplier * count, right_shift * count
        else:
            multiplier, right_shift = normalise(filtered, settings.percentile, path.outputs)
        path = msgspec.structs.replace(path, multiplier=multiplier, right_shift=right_shift)
        if path.features is None:
            return path
        return msgspec.structs.replace(path, feature_scale=standardise(self._levels(path, ids)))

    def _levels(self, path: SignalPath, ids: Collection[str]) -> NDArray[np.int32]:
        """Levels of the features of all windows of recordings, int32 [n, values]."""
        runner = PathRunner(path)
        kept = []
        for recording in self.corpus.recordings(ids):
            runner.reset()
            kept.append(runner.feature_levels(counts_for(path, recording))[0])
        levels = np.concatenate(kept)
        if len(levels) == 0:
            raise InnervateError(
                "All training recordings are shorter than a window",
                f"{path.samples_for(1)} samples",
                "Shorten window_ms, or add longer recordings",
            )
        return levels

    def _filtered(self, path: SignalPath, ids: Collection[str]) -> NDArray[np.int32]:
        """Settled, filtered samples of recordings, int32 [n, outputs]."""
        runner = PathRunner(path)
        kept: list[NDArray[np.int32]] = []
        total, step = 0, 1
        for recording in self.corpus.recordings(ids):
            runner.reset()
            kept.append(runner.filter(counts_for(path, recording))[path.settle :: step].copy())
            total += len(kept[-1])
            while total > NORMALISATION_SAMPLES:
                kept, step = [part[::2].copy() for part in kept], 2 * step
                total = sum(len(part) for part in kept)
        if total == 0:
            raise InnervateError(
                "All training recordings are shorter than the filters need to settle",
                f"{path.settle * path.decimation} samples",
                "Raise the lowest filter edge, or add longer recordings",
            )
        return np.concatenate(kept)

    def training_windows(self, path: SignalPath) -> tuple[WindowSet, WindowSet]:
        """Return the windows that fit and those that validate, both of training recordings.

        Without early stopping none validates.

        Raises:
            InnervateError: a label has no window to train on.
        """
        settings = self.plan.personal if self.learns_from_all and self.plan.personal else self.plan.fit
        return self._divided(self._cut_to_train(self.split.train, path), settings)

    def _common_windows(self) -> tuple[WindowSet, WindowSet]:
        """Windows of everyone's training recordings, at the scale each will have."""
        ids = self.split.common
        groups = [ids]
        if self.plan.signal_path.scale_per_subject:
            subject = {key.id: key.subject for key in self.corpus.keys}
            names = dict.fromkeys(subject[one] for one in ids)
            groups = [tuple(one for one in ids if subject[one] == name) for name in names]
        windows = join([self._cut_to_train(group, self._scaled_path(group)) for group in groups])
        return self._divided(windows, self.plan.fit)

    def _divided(self, windows: WindowSet, settings: FitSettings) -> tuple[WindowSet, WindowSet]:
        if settings.patience:
            fitted, validated = hold_out(windows, self.split.protocol, self.seed)
        else:
            fitted, validated = np.ones(len(windows), bool), np.zeros(len(windows), bool)
        if self.plan.keeps_state:
            train, valid = marked_only(windows, fitted), marked_only(windows, validated)
        else:
            train, valid = windows.select(fitted), windows.select(validated)
        missing = [label for number, label in enumerate(self.plan.labels) if not (train.y == number).any()]
        if missing:
            raise InnervateError(
                f"No training window has the label '{missing[0]}'",
                f"data set {self.plan.dataset}",
                "Leave the label out of the task, or add recordings that have it",
            )
        return train, valid

    def _cut_to_train(self, ids: Collection[str], path: SignalPath) -> WindowSet:
        """Windows at the hop of training, without the start of each annotation that training leaves out."""
        settings = self.plan.signal_path
        hop_ms = settings.train_hop_ms
        if hop_ms is None or path.gain_control is not None or self.plan.keeps_state:
            hop_ms = settings.hop_ms
        dense = msgspec.structs.replace(path, hop=samples(hop_ms, path.filtered_hz))
        skip = round(settings.train_skip_ms * path.fs_hz / 1000)
        return self._cut(ids, dense, skip)

    def _cut(self, ids: Collection[str], path: SignalPath, skip: int = 0) -> WindowSet:
        every = self.plan.keeps_state
        return cut(self.corpus.recordings(ids), path, self.plan.classes, skip, self.context, every)

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

    def build_model(self) -> nn.Module:
        """Build the plan's network with fresh weights that depend on the seed alone."""
        plan, path = self.plan, self._unscaled_path
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return models.build(
                plan.model,
                path.model_shape[1],
                path.model_shape[0],
                len(plan.labels),
                plan.model_params,
                len(plan.context),
                plan.keeps_state,
            )

    def fit_common(self, progress: Progress | None = None, checkpoint: Path | None = None) -> nn.Module:
        """Build and fit the network for everyone; the same for all splits with the same common recordings."""
        model = self.build_model()
        train, valid = self._common_windows()
        fit(model, train, valid, self.plan.fit, seed=self.seed, progress=progress, checkpoint=checkpoint)
        return model

    def fit_model(
        self,
        train: WindowSet,
        valid: WindowSet,
        common: nn.Module | None,
        progress: Progress | None = None,
        checkpoint: Path | None = None,
    ) -> tuple[nn.Module, FitResult]:
        """Fit the split's network: a copy of the one for everyone, or where there is none, from the start."""
        model, settings = self.build_model(), self.plan.fit
        if common is not None and self.plan.personal is not None:
            model.load_state_dict(common.state_dict())
            settings = self.plan.personal
        result = fit(model, train, valid, settings, seed=self.seed, progress=progress, checkpoint=checkpoint)
        return model, result

    def predict_floor(self, path: SignalPath, test: WindowSet) -> NDArray[np.int64]:
        """Return what a linear discriminant predicts that was trained on all training recordings."""
        train = self._cut_to_train(self.split.train, path)
        return predict_floor(
            train.select(train.y != UNMARKED),
            test,
            per_subject=self.split.protocol == "within_subject",
            view=view_of(path, self.plan.floor),
        )


def predict_classes(model: nn.Module, windows: WindowSet) -> NDArray[np.int64]:
    """Return a network's class for each window, int64 ``[N]``."""
    return np.asarray(predict_windows(model, windows).argmax(axis=1), np.int64)


def score_plan(
    plan: Plan, y: NDArray[np.int64], predicted: NDArray[np.int64], subject: NDArray[np.str_]
) -> Metrics:
    """Score predicted classes ``[N]`` of windows cut at the plan's hop; UNMARKED ones do not count."""
    settings, marked = plan.signal_path, y != UNMARKED
    return score(
        y[marked],
        predicted[marked],
        subject[marked],
        plan.labels,
        overlap=settings.window_ms / settings.hop_ms,
    )


def shortened(plan: Plan) -> Plan:
    """Return the plan with so few epochs that it only shows whether all works."""
    fast, personal = (
        settings and msgspec.structs.replace(settings, epochs=min(_FAST_EPOCHS, settings.epochs))
        for settings in (plan.fit, plan.personal)
    )
    return msgspec.structs.replace(plan, fit=fast, personal=personal)
