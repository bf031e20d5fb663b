"""The bundle (`.nrv`): the one thing handed from host to device, bench and fleet.

A zip of five members: `manifest.json` (format and the SHA-256 of the others), `pipeline.json` (signal path,
labels, decision rule, the model's inputs and outputs), `model.tflite`, `golden.npz` (the expected integers of
every stage) and `card.json` (data, split, metrics, intended use, limits). Reading one checks everything
before any of it is used.
"""

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from edge.archive import pack, unpack
from edge.context import SCALE, ContextField, check_fields
from edge.decision import DecisionRule
from edge.errors import InnervateError
from edge.golden import Golden
from edge.model_file import ModelIo, read_io
from edge.signal_path import SignalPath

FORMAT: Final = 3
MAX_BYTES: Final = 64 << 20
MANIFEST, PIPELINE, MODEL, GOLDEN, CARD = (
    "manifest.json",
    "pipeline.json",
    "model.tflite",
    "golden.npz",
    "card.json",
)
_REMEDY: Final = "Make the bundle again with innervate quantize"
_Parsed = TypeVar("_Parsed")


class PipelineSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`pipeline.json`.

    Attributes:
        task: name of the task.
        labels: name of each class, in the order of the model's outputs.
        signal_path: from counts to windows.
        rule: from outputs to decisions.
        model: what the model's file says of its inputs and outputs.
        keeps_state: whether a recurrent model's state goes on from window to window; False: every window
            starts at rest.
        context: facts of the person that the model takes, in its order.
    """

    task: str
    labels: tuple[str, ...]
    signal_path: SignalPath
    rule: DecisionRule
    model: ModelIo
    keeps_state: bool = False
    context: tuple[ContextField, ...] = ()

    @property
    def steps(self) -> int:
        """Runs of the model's file that a window takes."""
        return self.model.steps(self.signal_path.model_shape[0])

    def validate(self) -> None:
        """Check that path, labels, rule, model and context fit each other.

        Raises:
            InnervateError: they do not.
        """
        path, model = self.signal_path, self.model
        path.validate()
        self.rule.validate()
        check_fields(self.context)
        rows, columns = path.model_shape
        _demand(
            all(self.labels) and len(set(self.labels)) == len(self.labels),
            "labels must differ and not be empty",
        )
        _demand(
            self.steps > 0 and (model.channels, model.classes) == (columns, len(self.labels)),
            f"windows of {rows} samples x {columns} channels and {len(self.labels)} labels, model of "
            f"{model.chunk} x {model.channels} and {model.classes}",
        )
        _demand(
            not self.keeps_state or path.hop == path.window,
            f"the state is kept from window to window, but a window of {path.window} samples comes every "
            f"{path.hop}",
        )
        _demand(
            len(self.context) == model.context,
            f"{len(self.context)} context fields for a model that takes {model.context}",
        )
        _demand(
            (model.context_scale, model.context_zero_point) == (SCALE, 0),
            f"a context of scale {model.context_scale:g} and zero point {model.context_zero_point}, not "
            f"{SCALE:g} and 0",
        )


def _demand(condition: bool, otherwise: str) -> None:
    if not condition:
        raise InnervateError(otherwise, PIPELINE, _REMEDY)


class _Version(msgspec.Struct):
    format: int


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    sha256: dict[str, str]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A checked bundle in memory; `make`, `load` and `decode` make one.

    Attributes:
        members: bytes of each file in the zip.
        pipeline: contents of `pipeline.json`.
        golden: expected integers of every stage.
        card: JSON object for people: data, split, metrics, intended use, limits.
    """

    members: Mapping[str, bytes]
    pipeline: PipelineSpec
    golden: Golden
    card: dict[str, Any]

    @property
    def model(self) -> bytes:
        """The int8 `.tflite` file."""
        return self.members[MODEL]

    @property
    def task(self) -> str:
        """Name of the task."""
        return self.pipeline.task

    @property
    def labels(self) -> tuple[str, ...]:
        """Name of each class, in the order of the model's outputs."""
        return self.pipeline.labels

    @property
    def signal_path(self) -> SignalPath:
        """From counts to windows."""
        return self.pipeline.signal_path

    @property
    def rule(self) -> DecisionRule:
        """From outputs to decisions."""
        return self.pipeline.rule

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of the manifest, which holds the hashes of all else."""
        return hashlib.sha256(self.members[MANIFEST]).hexdigest()

    @classmethod
    def make(cls, pipeline: PipelineSpec, model: bytes, golden: Golden, card: Mapping[str, Any]) -> "Bundle":
        """Put a bundle together and check it as if it had been read.

        Raises:
            InnervateError: the parts do not fit each other.
        """
        content = {PIPELINE: _json(pipeline), MODEL: model, GOLDEN: golden.encode(), CARD: _json(dict(card))}
        hashes = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
        return cls.decode(pack({MANIFEST: _json(_Manifest(FORMAT, hashes))} | content), "new bundle")

    def save(self, path: Path) -> None:
        """Write the bundle; the file is either whole or not there.

        Raises:
            InnervateError: the file cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(pack(self.members))
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).chmod(0o644)
                Path(temporary).replace(path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise InnervateError(
                f"cannot write: {error.strerror}", str(path), "Choose another place"
            ) from error

    @classmethod
    def load(cls, path: Path) -> "Bundle":
        """Read and check a bundle.

        Raises:
            InnervateError: it cannot be read, or anything in it is damaged, missing, too large or does not
                fit.
        """
        try:
            size = path.stat().st_size
            if size > MAX_BYTES:
                raise InnervateError(f"{size} bytes are too many", str(path), _REMEDY)
            data = path.read_bytes()
        except OSError as error:
            raise InnervateError(f"cannot read: {error.strerror}", str(path), "Give a .nrv file") from error
        return cls.decode(data, str(path))

    @classmethod
    def decode(cls, data: bytes, where: str) -> "Bundle":
        """Read and check the bytes of a bundle; `where` names it in errors.

        Raises:
            InnervateError: as `load`.
        """
        members = unpack(data, where)
        if MANIFEST not in members:
            raise InnervateError(f"{MANIFEST} is missing", where, "Give a .nrv file")
        version = _parse(members[MANIFEST], _Version, f"{where}: {MANIFEST}")
        if version.format != FORMAT:
            raise InnervateError(
                f"bundle format {version.format}, but this Innervate reads format {FORMAT}",
                f"{where}: {MANIFEST}",
                "Use the Innervate that made it, or make the bundle again",
            )
        manifest = _parse(members[MANIFEST], _Manifest, f"{where}: {MANIFEST}")
        for name in (PIPELINE, MODEL, GOLDEN, CARD):
            if name not in members or name not in manifest.sha256:
                raise InnervateError(f"{name} is missing", where, _REMEDY)
        for name, content in members.items():
            if name == MANIFEST:
                continue
            if name not in manifest.sha256:
                raise InnervateError("a member not in the manifest", f"{where}: {name}", _REMEDY)
            if hashlib.sha256(content).hexdigest() != manifest.sha256[name]:
                raise InnervateError("not the content in the manifest", f"{where}: {name}", _REMEDY)
        bundle = cls(
            members,
            _parse(members[PIPELINE], PipelineSpec, f"{where}: {PIPELINE}"),
            Golden.decode(members[GOLDEN], f"{where}: {GOLDEN}"),
            _parse(members[CARD], dict[str, Any], f"{where}: {CARD}"),
        )
        bundle._check(where)
        return bundle

    def _check(self, where: str) -> None:
        """Check that the parts fit each other."""
        spec, golden = self.pipeline, self.golden
        path = spec.signal_path
        try:
            spec.validate()
        except InnervateError as error:
            raise InnervateError(error.what, f"{where}: {PIPELINE}", _REMEDY) from error
        if read_io(self.model, f"{where}: {MODEL}") != spec.model:
            raise InnervateError(
                f"the model's inputs, outputs or scales are not as {PIPELINE} says",
                f"{where}: {MODEL}",
                _REMEDY,
            )
        filtered = -(-len(golden.counts) // path.decimation), len(path.outputs)
        got = (golden.counts.shape[1], golden.filtered.shape, golden.windows.shape[1:])
        wanted = (len(path.channels), filtered, path.model_shape)
        if got != wanted or (golden.outputs.shape[1], len(golden.context)) != (
            len(self.labels),
            len(spec.context),
        ):
            raise InnervateError(
                "the golden vectors are of another signal path or model", f"{where}: {GOLDEN}", _REMEDY
            )


def _json(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2) + b"\n"


def _parse(content: bytes, kind: type[_Parsed], where: str) -> _Parsed:
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise InnervateError(f"the content is not as expected: {error}", where, _REMEDY) from error
