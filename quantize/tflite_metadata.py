"""What a `.tflite` file says it is for: the facts that Innervate wrote into it, and its signature."""

import struct
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from ai_edge_litert import schema_py_generated as schema

from edge.context import ContextField
from edge.errors import InnervateError
from edge.signal_path import SignalPath
from quantize.tflite_writer import METADATA_NAME

_ENDS_MAX: Final = 64
_STUMBLES: Final = (struct.error, IndexError, ValueError, TypeError, OverflowError, AttributeError)
"""What damaged offsets make the flatbuffer accessors raise."""


class FileFacts(msgspec.Struct, frozen=True):
    """What a model is for; kept as JSON in the file.

    Attributes:
        task: name of the task.
        labels: of its outputs, in their order.
        signal_path: what makes its windows; None where the file does not say.
        context: fields of its context vector, in their order.
        keeps_state: whether its state goes on from window to window.
        calibration: SHA-256 of the windows that its scales were chosen on; empty where not known.
        innervate: version that wrote the file.
    """

    task: str = ""
    labels: tuple[str, ...] = ()
    signal_path: SignalPath | None = None
    context: tuple[ContextField, ...] = ()
    keeps_state: bool = False
    calibration: str = ""
    innervate: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The facts for people, one a line."""
        lines = [f"Task {self.task}: labels {', '.join(self.labels)}"] if self.task else []
        if (path := self.signal_path) is not None:
            lines.append(
                f"Signal path: {len(path.channels)} channels at {path.fs_hz:g} Hz, "
                f"{', '.join(map(str, path.filters)) or 'no filter'}, "
                f"windows of {path.window} samples every {path.hop}"
            )
            if path.features is not None:
                lines.append(f"Features of each channel: {', '.join(path.features.names)}")
        if self.context:
            lines.append(f"Context: {', '.join(field.name for field in self.context)}")
        if self.keeps_state:
            lines.append("Its state goes on from window to window")
        if self.calibration:
            lines.append(f"Calibrated on windows of SHA-256 {self.calibration[:12]}")
        return tuple(lines)


class Signature(msgspec.Struct, frozen=True):
    """Name of a signature and of its inputs and outputs, in the file's order."""

    key: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_facts(tflite: bytes, where: str = "") -> FileFacts | None:
    """Facts that Innervate wrote into a file; None where there are none.

    Raises:
        InnervateError: the file is damaged.
    """
    try:
        root = schema.Model.GetRootAs(tflite, 0)
        for entry in _some(root.Metadata, root.MetadataLength()):
            if entry.Name() == METADATA_NAME.encode():
                content = bytes(root.Buffers(entry.Buffer()).DataAsNumpy())
                return msgspec.json.decode(content, type=FileFacts)
    except (*_STUMBLES, msgspec.MsgspecError) as error:
        raise InnervateError(
            f"what the file says it is for cannot be read: {error}", where, "Convert it again"
        ) from error
    return None


def read_signatures(tflite: bytes, where: str = "") -> tuple[Signature, ...]:
    """Signatures of a file, which name its inputs and outputs.

    Raises:
        InnervateError: the file is damaged.
    """
    try:
        root = schema.Model.GetRootAs(tflite, 0)
        return tuple(
            Signature(
                _text(entry.SignatureKey()),
                tuple(_text(end.Name()) for end in _some(entry.Inputs, entry.InputsLength())),
                tuple(_text(end.Name()) for end in _some(entry.Outputs, entry.OutputsLength())),
            )
            for entry in _some(root.SignatureDefs, root.SignatureDefsLength())
        )
    except _STUMBLES as error:
        raise InnervateError("the signature of the file is damaged", where, "Convert it again") from error


def _some(entry: Any, count: int) -> Iterator[Any]:
    """Entries of a vector, as many as a sound file may have."""
    return (entry(i) for i in range(min(count, _ENDS_MAX)))


def _text(raw: bytes | None) -> str:
    """A name out of the file, without what could break a line or a terminal."""
    return "".join(c if c.isprintable() else "?" for c in (raw or b"").decode("utf-8", "replace"))
