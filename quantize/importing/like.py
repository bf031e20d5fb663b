"""What an imported model is to be used like: a run or a bundle, for its signal path, labels and windows."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.errors import InnervateError
from edge.model_file import read_io
from edge.signal_path import SignalPath
from quantize.bundle_maker import make_bundle, make_golden
from train.run import Run

CALIBRATION_WINDOWS = 500


class Like:
    """A run or a bundle.

    Attributes:
        run: where it is a run; its test windows can judge a model.
        bundle: where it is a bundle; its golden counts are all the signal there is.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        self.run = Run.load(place) if place.is_dir() else None
        self.bundle = None if self.run is not None else _bundle(place)

    @property
    def path(self) -> SignalPath:
        """The signal path."""
        if self.run is not None:
            return self.run.signal_path
        assert self.bundle is not None
        return self.bundle.signal_path

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each class."""
        if self.run is not None:
            return self.run.labels
        assert self.bundle is not None
        return self.bundle.labels

    @property
    def task(self) -> str:
        """Name of the task."""
        if self.run is not None:
            return self.run.plan.task
        assert self.bundle is not None
        return self.bundle.task

    def windows(self) -> NDArray[np.int8]:
        """Windows for calibration, int8 [N, rows, columns]: of training recordings, or the golden ones.

        Raises:
            InnervateError: the recordings of a run are not there any more.
        """
        if self.run is not None:
            x = self.run.windows("train").x
            chosen = np.random.default_rng(self.run.record.seed).permutation(len(x))[:CALIBRATION_WINDOWS]
            return x[np.sort(chosen)]
        assert self.bundle is not None
        return self.bundle.golden.windows

    def metadata(self) -> dict[str, Any]:
        """What the file itself is to say it is for."""
        run, bundle = self.run, self.bundle
        context = () if run is None else run.record.context
        keeps_state = run is not None and run.plan.keeps_state
        if bundle is not None:
            context, keeps_state = bundle.pipeline.context, bundle.pipeline.keeps_state
        return {
            "task": self.task,
            "labels": list(self.labels),
            "signal_path": msgspec.to_builtins(self.path),
            "context": msgspec.to_builtins(context),
            "keeps_state": keeps_state,
            "innervate": version("innervate"),
        }

    def make(self, tflite: bytes, card: dict[str, Any]) -> Bundle:
        """Put a bundle together.

        Raises:
            InnervateError: the model does not fit.
        """
        if self.run is not None:
            return make_bundle(self.run, tflite, card)
        old = self.bundle
        assert old is not None
        spec = msgspec.structs.replace(old.pipeline, model=read_io(tflite))
        golden = make_golden(old.golden.counts, old.signal_path, old.rule, tflite, old.pipeline.keeps_state)
        kept = {key: old.card[key] for key in ("name", "intended_use", "limits", "data") if key in old.card}
        return Bundle.make(spec, tflite, golden, kept | card)


def _bundle(place: Path) -> Bundle:
    if place.suffix != ".nrv":
        raise InnervateError(
            "Neither a run nor a bundle",
            str(place),
            "Give a folder that innervate train wrote, or a .nrv file",
        )
    return Bundle.load(place)
