"""The gates of quality as people write them in a task file, and their numbers for the device."""

import math
from typing import Final, Literal

import msgspec

from edge.decision import Flag
from edge.errors import InnervateError
from edge.quality import MAINS_SHIFTS, Gates, lead_bit
from edge.signal_path import SignalPath

MAINS_MS: Final = 160.0
"""Longest mean of the share of mains: mains that are 0.5 Hz off still show two thirds of it."""


class GateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which windows are not fit to decide on; a limit of 0 turns its gate off.

    Attributes:
        saturated_ms: how long the converter must stay at its limits; one sample at least.
        flat_ms: how long one channel must stand still: lead open, or amplifier dead.
        flat_uv: what standing still may still move, between lowest and highest, in microvolts.
        slope_uv_per_ms: steepest rise or fall from one sample to the next: a popping electrode.
        amplitude_uv: largest magnitude after the filters: movement.
        mains_hz: 50 or 60, the frequency of the mains.
        mains_percent: largest share of the mains in the power of a channel less its mean.
        electrodes: channels whose electrodes the front end may call off; None for all.
        inform: gates that are said and do not forbid a decision.
    """

    saturated_ms: float = 1.0
    flat_ms: float = 0.0
    flat_uv: float = 0.0
    slope_uv_per_ms: float = 0.0
    amplitude_uv: float = 0.0
    mains_hz: float = 0.0
    mains_percent: float = 50.0
    electrodes: tuple[str, ...] | None = None
    inform: tuple[Literal["saturated", "flat", "slope", "amplitude", "mains", "lead_off"], ...] = ()

    def gates(self, path: SignalPath, window_ms: float) -> Gates:
        """Return the gates in counts and samples for a path whose gates and window may still be others.

        Raises:
            InnervateError: a limit is negative, too large or too small for the converter, an electrode is not
                a channel, or the mains cannot be told at this rate.
        """
        for name in ("saturated_ms", "flat_ms", "flat_uv", "slope_uv_per_ms", "amplitude_uv", "mains_hz"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise _wrong(f"{name} of {value:g}", "Use 0 to turn the gate off, or a limit above it")
        if self.mains_hz and not 0 < self.mains_percent < 100:
            raise _wrong(f"mains_percent of {self.mains_percent:g}", "Use more than 0 and less than 100")
        if self.mains_hz >= path.fs_hz / 2:
            raise _wrong(
                f"mains_hz of {self.mains_hz:g} at {path.fs_hz:g} samples a second",
                "Turn the gate off: such a hum is folded to another frequency",
            )
        unknown = set(self.electrodes or ()) - set(path.channels)
        if unknown:
            raise _wrong(f"electrodes names '{min(unknown)}'", f"Channels are {', '.join(path.channels)}")
        mains_samples = min(window_ms, MAINS_MS) * path.fs_hz / 1000
        low, high = MAINS_SHIFTS
        gates = Gates(
            saturated_run=_samples(self.saturated_ms, path, 1),
            flat_run=_samples(self.flat_ms, path, 2),
            flat_range=_counts(self.flat_uv, path),
            slope=_limit("slope_uv_per_ms", self.slope_uv_per_ms * 1000 / path.fs_hz, path),
            amplitude=_limit("amplitude_uv", self.amplitude_uv, path, path.shift),
            mains_step=round(self.mains_hz / path.fs_hz * 2**32),
            mains_shift=min(high, max(low, round(math.log2(mains_samples)))) if self.mains_hz else 0,
            mains_share=min(255, max(1, round(self.mains_percent * 2.56))) if self.mains_hz else 0,
            lead_mask=_mask(path.channels if self.electrodes is None else self.electrodes, path),
            inform=sum(Flag[name.upper()] for name in self.inform),
        )
        gates.validate()
        return gates


def _samples(milliseconds: float, path: SignalPath, least: int) -> int:
    return max(least, round(milliseconds * path.fs_hz / 1000)) if milliseconds else 0


def _counts(microvolts: float, path: SignalPath, shift: int = 0) -> int:
    """Whole counts within so many microvolts, times 2^shift."""
    return min((1 << 32) - 1, math.floor(math.ldexp(microvolts / path.uv_per_count, shift)))


def _limit(name: str, microvolts: float, path: SignalPath, shift: int = 0) -> int:
    counts = _counts(microvolts, path, shift)
    if microvolts and not counts:
        raise _wrong(f"{name} lies below one count ({path.uv_per_count:g} microvolts)", "Use a larger limit")
    return counts


def _mask(electrodes: tuple[str, ...], path: SignalPath) -> int:
    mask = 0
    for name in electrodes:
        mask |= lead_bit(path.channels.index(name))
    return mask


def _wrong(what: str, fix: str) -> InnervateError:
    return InnervateError(what, "gates", fix)
