"""The stages that a signal path is made of, as pure data: `core/stage.h` states what each computes."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import msgspec

from edge._core import ffi, lib
from edge.errors import InnervateError

COEFFICIENT_ONE = 1 << 30
"""1.0 in Q2.30."""

CHANNELS_MAX = 255
_INT32_MAX = (1 << 31) - 1
_SECTIONS_MAX = 64
_WEIGHTS_MAX = 1 << 12
_FACTOR_MAX = 255
WEIGHTS_SUM_MAX = (1 << 32) - 1
"""Absolute weights of one 64-bit sum of int32 products."""


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One second-order section, as `nrv_section_t` in core/biquad.h has it, signs as in scipy's `sos`.

    Attributes:
        b: numerator times 2^b_shift, Q2.30.
        a: denominator a1, a2, Q2.30; a0 = 1.
        a_low: the 16 bits below `a`: a1 is a[0] / 2^30 + a_low[0] / 2^46, -32767 to 32768.
        weights: of the past two rounding errors, in 64ths; zeros for no error feedback.
        b_shift: 0, 8 or 16.
    """

    b: tuple[int, int, int]
    a: tuple[int, int]
    a_low: tuple[int, int] = (0, 0)
    weights: tuple[int, int] = (0, 0)
    b_shift: int = 0

    def coefficients(self) -> tuple[float, float, float, float, float, float]:
        """Return the section as a row of scipy's `sos`: b0, b1, b2, 1, a1, a2."""
        b0, b1, b2 = (math.ldexp(b, -30 - self.b_shift) for b in self.b)
        a1, a2 = (math.ldexp(high * 65536 + low, -46) for high, low in zip(self.a, self.a_low, strict=True))
        return b0, b1, b2, 1.0, a1, a2

    def validate(self, where: str) -> None:
        """Check that the core can run these numbers; raises InnervateError."""
        for name in ("b", "a"):
            values = getattr(self, name)
            check(all(abs(v) <= _INT32_MAX for v in values), where, f"{name} must lie within +-2 in Q2.30")
        check(all(-32767 <= v <= 32768 for v in self.a_low), where, "a_low must lie in -32767 to 32768")
        w1, w2 = self.weights
        check(abs(w1) <= 128 and abs(w2) <= 64, where, "weights must lie within +-128 and +-64")
        check(self.b_shift in (0, 8, 16), where, "b_shift must be 0, 8 or 16")


class _Stage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="stage"):
    """What all stages have in common."""

    KIND: ClassVar[int]

    @property
    def decimation(self) -> int:
        """Samples taken for one given."""
        return 1

    def outputs(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names of the channels after the stage."""
        return channels

    def validate(self, where: str, channels: tuple[str, ...]) -> None:
        """Check that the core can run the stage on these channels.

        Raises:
            InnervateError: a number lies outside what the core accepts.
        """

    def fill(self, target: Any) -> list[Any]:
        """Fill an `nrv_stage_t`; return the C arrays that must live as long as it does."""
        return []


class Cascade(_Stage, frozen=True, tag="cascade"):
    """Second-order sections, one after the other."""

    KIND = lib.NRV_STAGE_CASCADE
    sections: tuple[Section, ...]

    def validate(self, where: str, channels: tuple[str, ...]) -> None:
        """As the base."""
        count = len(self.sections)
        check(1 <= count <= _SECTIONS_MAX, where, f"must have 1 to {_SECTIONS_MAX} sections, not {count}")
        for i, section in enumerate(self.sections):
            section.validate(f"{where}.sections[{i}]")

    def fill(self, target: Any) -> list[Any]:
        """As the base."""
        cascade = ffi.new("nrv_section_t[]", len(self.sections))
        for one, section in zip(cascade, self.sections, strict=True):
            one.b, one.c = section.b, [-a for a in section.a]
            one.c_low = [-low for low in section.a_low]
            one.weight, one.b_shift = section.weights, section.b_shift
        target.length, target.cascade = len(self.sections), cascade
        return [cascade]


class Fir(_Stage, frozen=True, tag="fir"):
    """A finite impulse response, and decimation after it.

    Attributes:
        weights: impulse response in Q2.30.
        factor: one sample is given for so many.
    """

    KIND = lib.NRV_STAGE_FIR
    weights: tuple[int, ...]
    factor: int = 1

    @property
    def decimation(self) -> int:
        """As the base."""
        return self.factor

    def validate(self, where: str, channels: tuple[str, ...]) -> None:
        """As the base."""
        count = len(self.weights)
        check(1 <= count <= _WEIGHTS_MAX, where, f"must have 1 to {_WEIGHTS_MAX} weights, not {count}")
        check(1 <= self.factor <= _FACTOR_MAX, where, f"factor must be 1 to {_FACTOR_MAX}")
        _check_weights(self.weights, where)

    def fill(self, target: Any) -> list[Any]:
        """As the base."""
        weights = ffi.new("int32_t[]", self.weights)
        target.length, target.factor, target.weights = len(self.weights), self.factor, weights
        return [weights]


class Mix(_Stage, frozen=True, tag="mix"):
    """A montage: every channel given is a weighted sum of those taken.

    Attributes:
        channels: names of the channels given.
        weights: for each of them, one weight per channel taken, times 2^right_shift.
        right_shift: 0 to 31.
    """

    KIND = lib.NRV_STAGE_MIX
    channels: tuple[str, ...]
    weights: tuple[tuple[int, ...], ...]
    right_shift: int = 0

    def outputs(self, channels: tuple[str, ...]) -> tuple[str, ...]:
        """As the base."""
        return self.channels

    def validate(self, where: str, channels: tuple[str, ...]) -> None:
        """As the base."""
        count = len(self.channels)
        check(1 <= count <= CHANNELS_MAX, where, f"must give 1 to {CHANNELS_MAX} channels, not {count}")
        check(len(set(self.channels)) == count, where, "names of channels must differ")
        check(len(self.weights) == count, where, "must have one row of weights per channel given")
        check(0 <= self.right_shift <= 31, where, "right_shift must be 0 to 31")
        for row in self.weights:
            check(len(row) == len(channels), where, f"must have {len(channels)} weights per channel given")
            _check_weights(row, where)

    def fill(self, target: Any) -> list[Any]:
        """As the base."""
        weights = ffi.new("int32_t[]", [weight for row in self.weights for weight in row])
        target.right_shift, target.weights = self.right_shift, weights
        return [weights]


class Rectify(_Stage, frozen=True, tag="rectify"):
    """Absolute values: with a low-pass after it, an envelope."""

    KIND = lib.NRV_STAGE_RECTIFY


Stage = Cascade | Fir | Mix | Rectify


def _check_weights(weights: tuple[int, ...], where: str) -> None:
    check(all(abs(w) <= _INT32_MAX for w in weights), where, "weights must fit 32 bits")
    check(
        sum(map(abs, weights)) <= WEIGHTS_SUM_MAX,
        where,
        "absolute weights of one sum must add up to below 2^32",
    )


def stages_config(stages: tuple[Stage, ...], channels: int) -> tuple[Any, list[Any]]:
    """Return stages as `nrv_stage_t[]`, and the C arrays that must live as long as it is used."""
    config = ffi.new("nrv_stage_t[]", max(1, len(stages)))
    arrays = []
    names = tuple(map(str, range(channels)))
    for target, stage in zip(config, stages, strict=False):
        names = stage.outputs(names)
        target.kind, target.outputs, target.factor = stage.KIND, len(names), 1
        arrays += stage.fill(target)
    return config, arrays


def check(good: bool, field: str, rule: str) -> None:
    """Raise InnervateError unless a rule holds for a field of a signal path."""
    if not good:
        raise InnervateError(f"{field} {rule}", "signal path", "Make the bundle or task again")
