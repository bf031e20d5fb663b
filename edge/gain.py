"""Gain control, as `core/gain.h` has it: an optional slow factor on the scale to int8."""

from __future__ import annotations

import msgspec

from edge.stages import check


class GainControl(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the scale follows a signal that grows or fades over minutes.

    Attributes:
        target: mean of |x| in int8 steps that the gain aims at, 1 to 127.
        time_shift: time constant, 2^time_shift hops: see `seconds`. So long the gain stays 1 at first.
        min_gain, max_gain: bounds of the gain relative to the trained or calibrated scale, in 256ths rounded.
        floor: a hop whose mean of |x| is below so many int8 steps is left out, in 256ths rounded.
        common: one gain for all channels, which keeps the pattern of loudness across them.
    """

    target: int
    time_shift: int
    min_gain: float = 0.25
    max_gain: float = 4.0
    floor: float = 1.0
    common: bool = False

    def seconds(self, hop: int, filtered_hz: float) -> float:
        """Return the time constant for a hop of so many filtered samples."""
        return float(2**self.time_shift * hop / filtered_hz)

    def validate(self) -> None:
        """Check that the core can run these numbers.

        Raises:
            InnervateError: one lies outside what the core accepts.
        """
        where = "gain_control"
        check(1 <= self.target <= 127, where, f"target must be 1 to 127 int8 steps, not {self.target}")
        check(0 <= self.time_shift <= 15, where, f"time_shift must be 0 to 15, not {self.time_shift}")
        check(1 / 256 <= self.min_gain <= 1, where, f"min_gain must be 1/256 to 1, not {self.min_gain}")
        check(1 <= self.max_gain <= 255, where, f"max_gain must be 1 to 255, not {self.max_gain}")
        check(0 <= self.floor <= 127, where, f"floor must be 0 to 127 int8 steps, not {self.floor}")

    def fields(self) -> dict[str, int]:
        """Return the members of an `nrv_gain_control_t`."""
        return {
            "target": self.target,
            "time_shift": self.time_shift,
            "min_gain": round(self.min_gain * 256),
            "max_gain": round(self.max_gain * 256),
            "floor": round(self.floor * 256),
            "common": self.common,
        }
