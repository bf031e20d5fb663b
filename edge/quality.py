"""The gates of a signal path: which windows are not fit to decide on. What each does: `core/quality.h`."""

from __future__ import annotations

import cmath
from typing import Any, Final

import msgspec

from edge._core import lib
from edge.errors import InnervateError
from edge.stages import check

QUALITY_FLAGS: Final[int] = (
    lib.NRV_FLAG_SATURATED
    | lib.NRV_FLAG_FLAT
    | lib.NRV_FLAG_SLOPE
    | lib.NRV_FLAG_AMPLITUDE
    | lib.NRV_FLAG_MAINS
    | lib.NRV_FLAG_LEAD_OFF
)
"""Bits of edge.Flag that gates raise."""
MAINS_SHIFTS: Final = (3, 10)
MAINS_RIPPLE_MAX: Final = 0.25
"""Most that the share of a pure hum may swing: more, and its threshold would mean nothing."""
_UINT32_MAX: Final = (1 << 32) - 1
_SAMPLES_MAX: Final = 1 << 24


class Gates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Limits beyond which a sample violates a gate; a window with such a sample carries the gate's flag.

    0 turns a gate off.

    Attributes:
        saturated_run: samples on end with any channel at a limit of the converter. 1 for any; clipped peaks
            of a strong muscle last a sample or two, a lost electrode stays.
        flat_run: samples on end in which one channel keeps within `flat_range`, at least 2.
        flat_range: counts between the lowest and the highest.
        slope: counts from one sample to the next.
        amplitude: of filtered samples, in counts times 2^shift of the path.
        mains_step: frequency of the mains over that of the samples, times 2^32; below 2^31.
        mains_shift: the share of the mains is a mean over 2^mains_shift samples, 3 to 10.
        mains_share: of the signal's power, in 256ths, 1 to 255.
        lead_mask: bits of the front end's word that matter.
        inform: bits of Flag that are said but do not forbid a decision.
    """

    saturated_run: int = 1
    flat_run: int = 0
    flat_range: int = 0
    slope: int = 0
    amplitude: int = 0
    mains_step: int = 0
    mains_shift: int = 0
    mains_share: int = 0
    lead_mask: int = _UINT32_MAX
    inform: int = 0

    def validate(self) -> None:
        """Check that the core can run these numbers.

        Raises:
            InnervateError: a field lies outside what the core accepts, or the mains lie so near to half of
                the sampling rate that their share cannot be told.
        """
        for name in ("saturated_run", "flat_run"):
            value = getattr(self, name)
            check(0 <= value <= _SAMPLES_MAX, f"gates.{name}", f"must be 0 to {_SAMPLES_MAX} samples")
        check(self.flat_run != 1, "gates.flat_run", "must be 0 or at least 2 samples")
        for name in ("flat_range", "slope", "amplitude", "lead_mask"):
            check(0 <= getattr(self, name) <= _UINT32_MAX, f"gates.{name}", "must fit 32 bits, without sign")
        check(self.inform & ~QUALITY_FLAGS == 0, "gates.inform", "may only hold flags that gates raise")
        check(0 <= self.mains_step < 1 << 31, "gates.mains_step", "must be 0 or below half of the rate")
        if self.mains_step:
            low, high = MAINS_SHIFTS
            check(low <= self.mains_shift <= high, "gates.mains_shift", f"must be {low} to {high}")
            check(1 <= self.mains_share <= 255, "gates.mains_share", "must be 1 to 255")
            ripple = mains_ripple(self.mains_step / 2**32, self.mains_shift)
            check(
                ripple <= MAINS_RIPPLE_MAX,
                "gates.mains_step",
                f"lies too near to half of the rate: the share of a pure hum would swing by {ripple:.0%}",
            )

    def fields(self) -> dict[str, Any]:
        """Return what fills an `nrv_gates_t`."""
        return msgspec.structs.asdict(self)


def lead_bit(channel: int) -> int:
    """Return the bit of a front end's word that says that the electrode of a channel is off."""
    return 1 << min(channel, 31)


def checked_lead_off(lead_off: int) -> int:
    """Return a front end's word.

    Raises:
        InnervateError: it has more than 32 bits.
    """
    if not 0 <= lead_off <= _UINT32_MAX:
        raise InnervateError(
            f"lead_off {lead_off} is not a word of 32 bits",
            "signal quality",
            "Give bit c for channel c; from channel 31 on all share bit 31",
        )
    return lead_off


def mains_ripple(frequency: float, shift: int) -> float:
    """Return by how much the share of a pure sine swings about 1: g of `core/quality.h`.

    Args:
        frequency: over the sampling rate, above 0 and below 0.5.
        shift: of the means.
    """
    leak = 2.0**-shift
    return leak / abs(1 - (1 - leak) * cmath.exp(-4j * cmath.pi * frequency))
