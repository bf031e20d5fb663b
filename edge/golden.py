"""Golden vectors: raw counts and the integers that every stage must make of them."""

import io
import math
import re
import struct
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.archive import pack, unpack
from edge.errors import InnervateError

_MAGIC: Final = b"\x93NUMPY\x01\x00"
_HEADER: Final = re.compile(
    rb"\{'descr': '([|][iu]1|<[iu][248]|<U[0-9]{1,3})', 'fortran_order': False, "
    rb"'shape': \(((?:[0-9]{1,10}(?:, ?|(?=\))))*)\), \} *\n"
)
_REMEDY: Final = "Make the bundle again"


@dataclass(frozen=True, eq=False)
class Golden:
    """What one run of the chain must give, from a reset, with sample indices from 0.

    Attributes:
        counts: int32 [T, C], raw.
        filtered: int32 [F, O], after the stages of the path, which may mix and decimate.
        windows: int8 [W, rows, columns], as the model eats them (`SignalPath.model_shape`).
        context: int8 [F], what the model was told of the person; F is 0 where it takes none.
        outputs: int8 [W, K], what `kernels` made of them.
        window_end: int64 [W], sample index of each window's last sample.
        decision_label: uint8 [D], 255 where there is no decision.
        decision_confidence: uint8 [D], 256ths.
        decision_flags: uint16 [D].
        decision_sample_index: uint32 [D].
        kernels: the kernel set that made `outputs`.
    """

    counts: NDArray[np.int32]
    filtered: NDArray[np.int32]
    windows: NDArray[np.int8]
    context: NDArray[np.int8]
    outputs: NDArray[np.int8]
    window_end: NDArray[np.int64]
    decision_label: NDArray[np.uint8]
    decision_confidence: NDArray[np.uint8]
    decision_flags: NDArray[np.uint16]
    decision_sample_index: NDArray[np.uint32]
    kernels: str

    def encode(self) -> bytes:
        """Bytes of a `.npz` file; the same vectors always give the same bytes."""
        members: dict[str, bytes] = {}
        for field in fields(self):
            stream = io.BytesIO()
            value = np.asarray(getattr(self, field.name), order="C")
            np.lib.format.write_array(stream, value, allow_pickle=False)
            members[f"{field.name}.npy"] = stream.getvalue()
        return pack(members)

    @classmethod
    def decode(cls, data: bytes, where: str) -> "Golden":
        """Read and check `encode`'s bytes.

        Raises:
            InnervateError: a vector is missing, of another type, or its shape does not fit the others.
        """
        members = unpack(data, where)
        if list(members) != [f"{field.name}.npy" for field in fields(cls)]:
            raise InnervateError("the golden vectors are not the ones expected", where, _REMEDY)
        arrays = {
            name.removesuffix(".npy"): _array(name, content, where) for name, content in members.items()
        }
        if arrays["kernels"].shape != () or arrays["kernels"].dtype.kind != "U":
            raise InnervateError("the name of the kernel set is not a string", where, _REMEDY)
        golden = cls(**arrays | {"kernels": str(arrays["kernels"])})  # type: ignore[arg-type]
        golden._check(where)
        return golden

    def _check(self, where: str) -> None:
        for name, (dtype, shape) in self._layout().items():
            array = getattr(self, name)
            if array.dtype != dtype or array.shape != shape:
                raise InnervateError(
                    f"{name} is {array.dtype} {array.shape} where {np.dtype(dtype)} {shape} is due",
                    where,
                    _REMEDY,
                )
        ends = self.window_end
        if len(ends) and (ends[0] < 0 or ends[-1] >= len(self.counts) or (np.diff(ends) <= 0).any()):
            raise InnervateError("window_end does not rise within the counts", where, _REMEDY)

    def _layout(self) -> dict[str, tuple[Any, tuple[int, ...]]]:
        """Type and shape of every array; sizes that are free are taken from the first array that has them."""
        if self.counts.ndim != 2 or self.windows.ndim != 3 or self.outputs.ndim != 2:
            return {"counts": (np.int32, (0, 0))}
        samples, channels = self.counts.shape
        windows, rows, columns = self.windows.shape
        filtered = self.filtered.shape if self.filtered.ndim == 2 else (0, 0)
        context = len(self.context) if self.context.ndim == 1 else 0
        decisions = len(self.decision_label) if self.decision_label.ndim == 1 else 0
        return {
            "counts": (np.int32, (samples, channels)),
            "filtered": (np.int32, filtered),
            "windows": (np.int8, (windows, rows, columns)),
            "context": (np.int8, (context,)),
            "outputs": (np.int8, (windows, self.outputs.shape[1])),
            "window_end": (np.int64, (windows,)),
            "decision_label": (np.uint8, (decisions,)),
            "decision_confidence": (np.uint8, (decisions,)),
            "decision_flags": (np.uint16, (decisions,)),
            "decision_sample_index": (np.uint32, (decisions,)),
        }


def _array(name: str, content: bytes, where: str) -> NDArray[Any]:
    """Read one `.npy` of the form that `encode` writes: no pickle, and never larger than its file."""
    start = len(_MAGIC) + 2
    (length,) = struct.unpack_from("<H", content.ljust(start, b"\0"), len(_MAGIC))
    header = _HEADER.fullmatch(content[start : start + length])
    if not content.startswith(_MAGIC) or header is None:
        raise InnervateError(f"{name} is not a whole array", where, _REMEDY)
    dtype = np.dtype(header[1].decode())
    shape = tuple(int(size) for size in header[2].split(b",") if size.strip())
    raw = content[start + length :]
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise InnervateError(f"{name} is not a whole array", where, _REMEDY)
    return np.frombuffer(raw, dtype).reshape(shape)
