"""Fitting a network to windows: deterministic for a seed, resumable, with early stopping."""

import copy
import math
import pickle
import struct
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from edge.errors import InnervateError
from train.augment import augment
from train.models import keeps_state
from train.predict import logits_of, predict_windows
from train.recording import UNMARKED
from train.sequences import NONE, rows, take
from train.settings import FitSettings
from train.windows import WindowSet

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and of how much."""

UNREADABLE = (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError, struct.error)
"""What torch raises for a file of tensors that is none, or of other ones."""


class Epoch(msgspec.Struct, frozen=True):
    """Figures after one pass; those of validation are None without windows to validate on."""

    train_loss: float
    valid_loss: float | None
    valid_accuracy: float | None


class FitResult(msgspec.Struct, frozen=True):
    """How a fit went.

    Attributes:
        best_epoch: whose weights were kept, from 0.
        stopped_early: whether patience ran out.
        seconds: this process spent on it.
        history: one entry a pass.
    """

    best_epoch: int
    stopped_early: bool
    seconds: float
    history: tuple[Epoch, ...]


def fit(
    model: nn.Module,
    train: WindowSet,
    valid: WindowSet | None,
    settings: FitSettings,
    *,
    seed: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
) -> FitResult:
    """Fit a network in place, and leave it in evaluation mode with the best weights.

    Torch's global random state is afterwards as it was before. The same arguments give the same weights on
    the same machine with the same number of threads, whether or not the fit was interrupted between.

    Args:
        model: takes float32 ``[N, channels, 1, window]``, and context where the windows have any. One that
            keeps its state learns from rows of windows.
        train: windows to fit, at least two.
        valid: windows that choose the epoch where `settings.patience` is set; may be None or empty.
        settings: see there.
        seed: of order, augmentation and dropout.
        progress: called after each epoch with "train", epochs done and epochs in all.
        checkpoint: file to go on from where it exists; rewritten after each epoch. The caller removes it, and
            never gives that of a fit with other arguments.

    Raises:
        InnervateError: too few windows, or the loss is no longer finite.
    """
    if len(train) < 2:
        raise InnervateError(
            "There are too few windows to train on",
            f"{len(train)} windows",
            "Check the labels and the length of the recordings",
        )
    began = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        loop = _Loop(model, train, valid if valid is not None and len(valid) else None, settings)
        if checkpoint is not None and checkpoint.exists():
            loop.restore(checkpoint)
        while not loop.finished:
            loop.run_epoch()
            if checkpoint is not None:
                loop.save(checkpoint)
            if progress is not None:
                progress("train", loop.epoch, settings.epochs)
    model.load_state_dict(loop.best)
    model.eval()
    return FitResult(loop.best_epoch, loop.out_of_patience, time.monotonic() - began, tuple(loop.history))


def named(progress: Progress | None, name: str) -> Progress | None:
    """Put a name before each stage."""
    return progress and (lambda stage, done, total: progress(f"{name}: {stage}", done, total))


class _Loop:
    """What the next epoch depends on, and the steps of one."""

    def __init__(
        self, model: nn.Module, train: WindowSet, valid: WindowSet | None, settings: FitSettings
    ) -> None:
        self.model, self.train, self.valid, self.settings = model, train, valid, settings
        self.average = copy.deepcopy(model) if settings.average else model
        self.optimizer = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self.row = settings.sequence if keeps_state(model) else 1
        count = len(train) // self.row
        # the incomplete batch at the end of an epoch is left out: one window alone breaks batch normalisation
        self.size = max(1, settings.batch_size // self.row)
        self.batches = max(1, count // self.size)
        self.epoch, self.best_epoch, self.best_loss = 0, 0, math.inf
        self.best = copy.deepcopy(model.state_dict())
        self.history: list[Epoch] = []

    @property
    def out_of_patience(self) -> bool:
        return 0 < self.settings.patience < self.epoch - self.best_epoch

    @property
    def finished(self) -> bool:
        return self.epoch >= self.settings.epochs or self.out_of_patience

    def run_epoch(self) -> None:
        self.model.train()
        if self.settings.freeze_statistics:
            for module in self.model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        chosen = self._rows()
        order, size = chosen[torch.randperm(len(chosen)).numpy()], self.size
        batches = min(self.batches, max(1, len(order) // size))  # rows without a label are left out
        loss = (
            sum(
                self._step(order[number * size : (number + 1) * size], self.epoch * self.batches + number)
                for number in range(batches)
            )
            / batches
        )
        if not math.isfinite(loss):
            raise InnervateError(
                "The training loss is no longer finite", f"epoch {self.epoch + 1}", "Lower fit.learning_rate"
            )
        valid_loss, valid_accuracy = self._validate()
        self.history.append(Epoch(loss, valid_loss, valid_accuracy))
        # without patience the last epoch is the result: there the learning rate has come down
        if not self.settings.patience or valid_loss is None or valid_loss < self.best_loss:
            self.best_loss = math.inf if valid_loss is None else valid_loss
            self.best_epoch, self.best = self.epoch, copy.deepcopy(self.average.state_dict())
        self.epoch += 1

    def _step(self, batch: NDArray[np.int64], number: int) -> float:
        settings = self.settings
        for group in self.optimizer.param_groups:
            group["lr"] = settings.learning_rate * self._schedule(number)
        x, context, y = take(self.train, batch)
        x = augment(x, settings.augmentation)
        if settings.mixup:
            share = torch.distributions.Beta(settings.mixup, settings.mixup).sample((len(batch),))
            other = torch.randperm(len(batch))
            x = share[:, None, None, None] * x + (1 - share)[:, None, None, None] * x[other]
            context = share[:, None] * context + (1 - share)[:, None] * context[other]
            logits = logits_of(self.model, x, context, self.row)
            losses = share[:, None] * self._loss(logits, y) + (1 - share)[:, None] * self._loss(
                logits, y[other]
            )
        else:
            losses = self._loss(logits_of(self.model, x, context, self.row), y)
        loss = losses.sum() / (y != UNMARKED).sum().clamp(min=1)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        if settings.average:
            self._update_average(number)
        return float(loss.detach())

    def _rows(self) -> NDArray[np.int64]:
        """Windows of this epoch ``[M, row]``: rows begin elsewhere in each, and hold at least one label."""
        if self.row == 1:
            return np.arange(len(self.train))[:, None]
        found = rows(self.train.recording, self.row, int(torch.randint(self.row, ())))
        labelled = self.train.y[found] != UNMARKED
        kept: NDArray[np.int64] = found[(labelled & (found != NONE)).any(axis=1)]
        return kept

    def _loss(self, logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Losses ``[B, row]``; none where there is no label."""
        return functional.cross_entropy(
            logits.transpose(1, 2),
            y,
            reduction="none",
            label_smoothing=self.settings.label_smoothing,
            ignore_index=UNMARKED,
        )

    def _schedule(self, number: int) -> float:
        steps = self.settings.epochs * self.batches
        warm = max(1.0, self.settings.warm_up * steps)
        return min(1.0, (number + 1) / warm) * 0.5 * (1 + math.cos(math.pi * number / steps))

    def _update_average(self, number: int) -> None:
        decay = min(self.settings.average, (number + 1) / (number + 10))  # the first weights count for little
        pairs = zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True)
        with torch.no_grad():
            for kept, new in pairs:
                if kept.dtype.is_floating_point:
                    kept.lerp_(new, 1 - decay)
                else:
                    kept.copy_(new)

    def _validate(self) -> tuple[float | None, float | None]:
        if self.valid is None:
            return None, None
        marked = self.valid.y != UNMARKED
        logits = torch.from_numpy(predict_windows(self.average, self.valid)[marked])
        y = torch.from_numpy(self.valid.y[marked])
        return float(functional.cross_entropy(logits, y)), float((logits.argmax(dim=1) == y).double().mean())

    def save(self, file: Path) -> None:
        """Write the state, whole or not at all."""
        part = file.with_suffix(".part")
        torch.save(
            {
                "epoch": self.epoch,
                "best_epoch": self.best_epoch,
                "best_loss": self.best_loss,
                "best": self.best,
                "model": self.model.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "random": torch.get_rng_state(),
                "history": msgspec.to_builtins(self.history),
            },
            part,
        )
        part.replace(file)

    def restore(self, file: Path) -> None:
        """Go on from a state that `save` wrote.

        Raises:
            InnervateError: the file is damaged.
        """
        try:
            state = torch.load(file, weights_only=True)
        except UNREADABLE as error:
            raise InnervateError(
                f"The checkpoint cannot be read: {type(error).__name__}",
                str(file),
                "Remove it and start again",
            ) from None
        self.epoch, self.best_epoch = state["epoch"], state["best_epoch"]
        self.best_loss, self.best = state["best_loss"], state["best"]
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        self.history = msgspec.convert(state["history"], list[Epoch])
