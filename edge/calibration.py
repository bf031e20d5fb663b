"""Calibration: how loud each filtered channel is at rest and at maximum voluntary contraction (MVC).

`core/calibration.h` states the arithmetic; host and device run the same. A device keeps its calibration as a
record with the hash of its bundle, a host as a JSON file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge._core import ffi, lib
from edge.errors import InnervateError
from edge.path_runner import checked_counts, int32_pointer
from edge.signal_path import SignalPath, path_buffers, path_config

HEADROOM: Final = 9.0
"""Times the MVC level that becomes full scale of int8; for a phase with every movement in turn."""

PROPORTION_ONE: Final[int] = lib.NRV_PROPORTION_ONE
"""1.0 of proportional control."""

Phase = Literal["rest", "mvc"]

_HEADROOM_BITS = 8
_MAX_JSON_BYTES = 1 << 20
_REFUSED = "the calibration is refused: "


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a calibration found, per filtered channel.

    Attributes:
        bundle: first 16 hex digits of the hash of the bundle it belongs to.
        channels: names.
        rest: mean of |filtered| at rest, in counts times 2^shift of the signal path.
        mvc: the same at maximum voluntary contraction.
        multiplier, right_shift: the scale to int8, as in `SignalPath`.
    """

    bundle: str
    channels: tuple[str, ...]
    rest: tuple[int, ...]
    mvc: tuple[int, ...]
    multiplier: tuple[int, ...]
    right_shift: tuple[int, ...]

    def applied_to(self, path: SignalPath, bundle_hash: str) -> SignalPath:
        """Return the path with the calibration's scale.

        Raises:
            InnervateError: the calibration belongs to another bundle, or its numbers are not possible ones.
        """
        Calibration.from_record(self.record(), path, bundle_hash)
        return msgspec.structs.replace(path, multiplier=self.multiplier, right_shift=self.right_shift)

    def proportion(self, level: NDArray[np.integer[Any]]) -> NDArray[np.uint16]:
        """Return (level - rest) / (mvc - rest) within 0..1, in 32768ths.

        Args:
            level: mean of |filtered| of each channel, [..., channels], 0 to 2^32 - 1: an envelope's sample,
                or of the filtered samples of a window (`mean_levels`).

        Raises:
            InnervateError: another number of channels.
        """
        level = np.asarray(level)
        if level.shape[-1:] != (len(self.channels),):
            raise InnervateError(
                f"levels of shape {level.shape} for {len(self.channels)} channels",
                "calibration",
                f"Give an array [..., {len(self.channels)}]",
            )
        rows = level.reshape(-1, len(self.channels)).tolist()
        found = [
            lib.nrv_proportion(value, rest, mvc)
            for row in rows
            for value, rest, mvc in zip(row, self.rest, self.mvc, strict=True)
        ]
        return np.array(found, np.uint16).reshape(level.shape)

    def record(self) -> bytes:
        """Return the record that a device stores.

        Raises:
            InnervateError: a number does not fit its field.
        """
        record = bytearray(record_size(len(self.channels)))
        try:
            arrays = _Arrays(self.rest, self.mvc, self.multiplier, self.right_shift)
            prefix = bytes.fromhex(self.bundle)
        except (OverflowError, ValueError, TypeError) as error:
            raise _damaged() from error
        if len(prefix) != lib.NRV_CALIBRATION_HASH or arrays.outputs != len(self.channels):
            raise _damaged()
        lib.nrv_calibration_pack(
            arrays.core, arrays.outputs, prefix, ffi.from_buffer("uint8_t[]", record, require_writable=True)
        )
        return bytes(record)

    @classmethod
    def from_record(cls, record: bytes, path: SignalPath, bundle_hash: str) -> Calibration:
        """Read a record for the bundle of this signal path and hash (hex).

        Raises:
            InnervateError: the record is damaged, or belongs to another bundle.
        """
        names = path.outputs
        arrays = _Arrays.blank(len(names))
        prefix = bundle_prefix(bundle_hash)
        reason = lib.nrv_calibration_unpack(
            record, len(record), len(names), bytes.fromhex(prefix), arrays.core
        )
        if reason == lib.NRV_CALIBRATION_OTHER_BUNDLE:
            raise InnervateError(
                f"the calibration belongs to another bundle, not to {prefix}",
                "calibration",
                "Calibrate again with this bundle",
            )
        if reason != lib.NRV_CALIBRATION_GOOD:
            raise _damaged()
        return arrays.calibration(prefix, names)

    def save(self, path: Path) -> None:
        """Write the calibration as JSON; the file is either whole or as it was.

        Raises:
            InnervateError: the file cannot be written.
        """
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                partial.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n")
                partial.replace(path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise InnervateError(
                f"the calibration cannot be written: {error.strerror}", str(path), "Choose another file"
            ) from error

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read a calibration that `save` wrote.

        Raises:
            InnervateError: the file cannot be read or does not hold one.
        """
        try:
            with path.open("rb") as stream:
                return msgspec.json.decode(stream.read(_MAX_JSON_BYTES), type=cls)
        except OSError as error:
            raise InnervateError(
                f"the calibration cannot be read: {error.strerror}", str(path), "Give a file that exists"
            ) from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise InnervateError(
                f"this is no calibration: {error}", str(path), "Give a file that `innervate calibrate` wrote"
            ) from error


class Calibrator:
    """Makes a calibration from counts: first the rest phase, then the MVC.

    Args:
        path: with the scale it was trained with.
        bundle_hash: of the bundle it belongs to, 64 hex digits.
        headroom: times the MVC level that becomes 127; 1/256 to 255, in steps of 1/256.

    Raises:
        InnervateError: the path does not validate, or the headroom is out of range.
    """

    def __init__(self, path: SignalPath, bundle_hash: str, headroom: float = HEADROOM) -> None:
        self.path, self.bundle = path, bundle_prefix(bundle_hash)
        self._headroom = headroom_steps(headroom)
        self._config, self._keep = path_config(path)
        self._rest: Any = None

    def rest(self, counts: NDArray[np.integer[Any]]) -> None:
        """Gather counts [n, channels] of a muscle at rest.

        Raises:
            InnervateError: too few samples for the filters to settle, or a channel is saturated.
        """
        levels = self._gather("rest", counts)
        rest, channel = ffi.new("uint32_t[]", len(self.path.outputs)), ffi.new("unsigned *")
        check_reason(lib.nrv_calibration_rest(levels, self._config, rest, channel), channel[0], self.path)
        self._rest = rest

    def mvc(self, counts: NDArray[np.integer[Any]]) -> Calibration:
        """Gather counts [n, channels] of the movements, as hard as can be; return the calibration.

        Raises:
            InnervateError: too few samples, no rest phase yet, or a channel is saturated, flat or not clearly
                above rest.
        """
        if self._rest is None:
            raise InnervateError("the rest phase is missing", "calibration", "Calibrate rest first")
        levels = self._gather("mvc", counts)
        arrays, channel = _Arrays.blank(len(self.path.outputs)), ffi.new("unsigned *")
        reason = lib.nrv_calibration_mvc(
            levels, self._config, self._rest, self._headroom, arrays.core, channel
        )
        check_reason(reason, channel[0], self.path)
        return arrays.calibration(self.bundle, self.path.outputs)

    def _gather(self, phase: Phase, counts: NDArray[np.integer[Any]]) -> Any:
        """Run counts through the path from rest; return an `nrv_levels_t *`."""
        counts = checked_counts(counts, len(self.path.channels))
        words, window = path_buffers(self._config)
        runner = ffi.new("nrv_path_t *")
        lib.nrv_path_init(
            runner,
            self._config,
            ffi.from_buffer("int32_t[]", words, require_writable=True),
            ffi.from_buffer("int8_t[]", window, require_writable=True),
        )
        total = ffi.new("uint64_t[]", len(self.path.outputs))
        limits = ffi.new("uint32_t[]", len(self.path.channels))
        wanted = settled_samples(self.path, len(counts), phase)
        levels = ffi.new("nrv_levels_t *", {"sum": total, "at_limit": limits, "wanted": wanted})
        lib.nrv_levels_run(levels, runner, int32_pointer(counts), len(counts))
        self._phase = total, limits  # what levels points to
        return levels


def settled_samples(path: SignalPath, samples: int, phase: Phase) -> int:
    """Filtered samples that so many samples of the converter bring after the filters have settled.

    Raises:
        InnervateError: there are none.
    """
    settled = -(-samples // path.decimation) - path.settle
    if settled < 1:
        raise InnervateError(
            f"{samples} samples of {phase} are over before the filters have settled",
            "calibration",
            f"Give more than {path.settle * path.decimation / path.fs_hz:.2f} s, better 3 s",
        )
    return settled


def mean_levels(filtered: NDArray[np.int32]) -> NDArray[np.uint32]:
    """Return the mean of |filtered| of int32 [n, channels], n >= 1, rounded; uint32 [channels]."""
    filtered = np.ascontiguousarray(filtered, np.int32)
    levels = np.empty(filtered.shape[1], np.uint32)
    lib.nrv_mean_levels(
        int32_pointer(filtered), *filtered.shape, ffi.from_buffer("uint32_t[]", levels, require_writable=True)
    )
    return levels


def headroom_steps(headroom: float) -> int:
    """Return a headroom as the core has it, in 256ths.

    Raises:
        InnervateError: it is out of range.
    """
    if not 1 / 256 <= headroom <= 255:
        raise InnervateError(f"a headroom of {headroom:g}", "calibration", "Give 1/256 to 255")
    return round(headroom * (1 << _HEADROOM_BITS))


def bundle_prefix(bundle_hash: str) -> str:
    """Return that part of a bundle's hash (hex) by which a calibration knows it."""
    return bundle_hash[: 2 * lib.NRV_CALIBRATION_HASH]


def record_size(channels: int) -> int:
    """Bytes of the record of so many filtered channels."""
    return int(lib.NRV_CALIBRATION_HEAD + lib.NRV_CALIBRATION_CHANNEL * channels + 4)


def check_reason(reason: int, channel: int, path: SignalPath) -> None:
    """Raise what a reason of the core means; `channel` is the one at fault.

    Raises:
        InnervateError: unless the reason is NRV_CALIBRATION_GOOD.
    """
    match reason:
        case lib.NRV_CALIBRATION_GOOD:
            return
        case lib.NRV_CALIBRATION_SATURATED:
            names, what, fix = path.channels, "was at the converter's limits", "Lower the amplifier's gain"
        case lib.NRV_CALIBRATION_FLAT:
            names, what, fix = path.outputs, "is flat", "Mend or place its electrode anew"
        case lib.NRV_CALIBRATION_NOT_ABOVE_REST:
            names, what = path.outputs, "is not 1.5 times as loud in contraction as at rest"
            fix = "Relax for the first phase, make every movement hard in the second"
        case lib.NRV_CALIBRATION_NOT_STORED:
            raise not_stored("calibration")
        case _:
            raise InnervateError(f"{_REFUSED}reason {reason}", "calibration", "Calibrate again")
    name = names[channel] if channel < len(names) else str(channel)
    raise InnervateError(f"{_REFUSED}the channel {what}", f"channel {name}", fix)


def not_stored(where: str) -> InnervateError:
    """Return the error of a device that uses a calibration and could not store it."""
    return InnervateError(
        "the device could not store the calibration: it lasts until the next reset",
        where,
        "Check the board's storage",
    )


def _damaged() -> InnervateError:
    return InnervateError("the calibration is damaged", "calibration", "Calibrate again")


class _Arrays:
    """The arrays of an `nrv_calibration_t`."""

    def __init__(self, *values: Any) -> None:
        types = ("uint32_t[]", "uint32_t[]", "int32_t[]", "uint8_t[]")
        self._arrays = [ffi.new(kind, value) for kind, value in zip(types, values, strict=True)]
        lengths = {len(array) for array in self._arrays}
        if len(lengths) != 1:
            raise ValueError("arrays of several lengths")
        self.outputs = lengths.pop()
        self.core = ffi.new("nrv_calibration_t *", self._arrays)

    @classmethod
    def blank(cls, outputs: int) -> _Arrays:
        return cls(*[outputs] * 4)

    def calibration(self, bundle: str, channels: tuple[str, ...]) -> Calibration:
        return Calibration(bundle, channels, *(tuple(map(int, array)) for array in self._arrays))
