"""The recordings of one data set in one place, read once where memory allows."""

from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from edge.errors import InnervateError
from train import readers
from train.recording import Recording
from train.resample import resample

CACHE_BYTES = 512 * 1024 * 1024
"""Signals kept in memory; what is beyond is read from disk again each time."""


class RecordingKey(msgspec.Struct, frozen=True):
    """What is known of a recording without its signals."""

    id: str
    subject: str
    session: str
    context: dict[str, str] = {}


class Corpus:
    """All recordings of a data set at a path, each checked when it is read.

    Args:
        dataset: name of a reader.
        path: where the files are; None for a simulated data set.
        resample_hz: rate to bring all recordings to (`train.resample`); None leaves them as they are.

    Raises:
        InnervateError: the path is missing where one is needed, a file is malformed, or a rate has no simple
            ratio to that asked for.
    """

    def __init__(self, dataset: str, path: Path | None, resample_hz: float | None = None) -> None:
        self.dataset, self.path, self.resample_hz = dataset, path, resample_hz
        self._reader = readers.get(dataset)
        if self._reader.NEEDS_DATA and path is None:
            raise InnervateError(
                f"The data set '{dataset}' needs its files", "", "Give their folder with --data"
            )
        if self._reader.NEEDS_DATA and path is not None and not path.exists():
            raise InnervateError("No such file or folder", str(path), "Give the folder of a data set")
        self._cache: list[Recording] | None = []
        keys, cached = [], 0
        for recording in self._read():
            facts = dict(recording.context)
            keys.append(RecordingKey(recording.id, recording.subject, recording.session, facts))
            cached += recording.signals.nbytes
            if cached > CACHE_BYTES:
                self._cache = None
            elif self._cache is not None:
                self._cache.append(recording)
        if len({key.id for key in keys}) != len(keys):
            raise InnervateError(
                "Two recordings have the same subject, session and part", str(path), "Remove the copy"
            )
        self.keys = tuple(keys)

    def _read(self) -> Iterator[Recording]:
        for recording in self._reader.read(self.path):
            recording.validate()
            yield recording if self.resample_hz is None else resample(recording, self.resample_hz)

    def recordings(self, ids: Collection[str]) -> Iterator[Recording]:
        """Yield the recordings of these ids in the corpus' order."""
        wanted = frozenset(ids)
        missing = wanted - {key.id for key in self.keys}
        if missing:
            raise InnervateError(
                f"The recording '{min(missing)}' is not there",
                str(self.path or self.dataset),
                "Use the data the run was trained on",
            )
        source = self._cache if self._cache is not None else self._read()
        return (recording for recording in source if recording.id in wanted)
