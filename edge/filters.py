"""Filters as people write them in a task file: one flat table each."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

from edge.errors import InnervateError

Kind = Literal["highpass", "lowpass", "bandpass", "bandstop", "notch", "decimate", "envelope"]
Family = Literal["butterworth", "chebyshev2", "elliptic", "bessel", "fir"]

ORDER_MAX = 8
TAPS_MAX = 4095
FACTOR_MAX = 255
_EDGES = {"bandpass": (2, 2), "bandstop": (2, 2), "decimate": (0, 1)}
_FAMILY_FIELDS = {
    "butterworth": {"order"},
    "bessel": {"order"},
    "chebyshev2": {"order", "stop_db"},
    "elliptic": {"order", "stop_db", "ripple_db"},
    "fir": {"taps", "stop_db"},
}
_RANGES: dict[str, tuple[float, float]] = {
    "order": (1, ORDER_MAX),
    "q": (0.1, 10_000),
    "stop_db": (10, 120),
    "ripple_db": (0.001, 3),
    "taps": (3, TAPS_MAX),
    "factor": (2, FACTOR_MAX),
}
_OPTIONAL = ("order", "q", "family", "harmonics", "stop_db", "ripple_db", "taps", "factor")


class Filter(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A filter as people write it in a task file; fields that do not apply to its kind are refused.

    Attributes:
        kind: `highpass`, `lowpass`, `bandpass`: what passes; `bandstop`, `notch`: what does not;
            `decimate`: a low-pass, then one sample for `factor`; `envelope`: absolute value, then a low-pass.
        edges_hz: one frequency, two for `bandpass` and `bandstop`. Where the response has fallen by 3 dB
            (butterworth, bessel, notch), by 6 dB (fir), where the ripple ends (elliptic) or the stop-band
            begins (chebyshev2). `decimate`: the end of its pass-band, 0.4 times the new rate unless given.
        order: of the prototype (a band-pass has twice as many poles), 1 to 8; 2 unless given, 4 for
            chebyshev2 and elliptic, for `decimate` the least that does.
        q: `notch` only: it is edges_hz[0] / q Hz wide at -3 dB. 30 unless given.
        family: `butterworth` unless given, `fir` for `decimate`; none for `notch`.
        harmonics: `notch` only: how many multiples of edges_hz[0] are stopped, itself included, each with the
            same q, or "all" below half the sampling rate. 1 unless given.
        stop_db: attenuation in the stop-band, in dB, of chebyshev2, elliptic and fir; of all families for
            `decimate`: what folds into its pass-band is attenuated by so much. 60 unless given.
        ripple_db: elliptic only: ripple in the pass-band, in dB. 0.1 unless given.
        taps: fir only: length of the impulse response, at most 4095. Unless given, Kaiser's formula for a
            transition half as wide as the least distance of the edges from each other, from 0 and from half
            the sampling rate.
        factor: `decimate` only: samples taken for one given, 2 to 255.
    """

    kind: Kind
    edges_hz: tuple[float, ...] = ()
    order: int | None = None
    q: float | None = None
    family: Family | None = None
    harmonics: int | Literal["all"] | None = None
    stop_db: float | None = None
    ripple_db: float | None = None
    taps: int | None = None
    factor: int | None = None

    def __str__(self) -> str:
        """Return a few words for people: family, kind, edges."""
        words: list[str] = [self.family] if self.family else []
        words.append(self.kind)
        if self.factor is not None:
            words.append(f"by {self.factor}")
        if self.edges_hz:
            words.append("-".join(f"{edge:g}" for edge in self.edges_hz) + " Hz")
        return " ".join(words)

    @property
    def chosen_family(self) -> Family:
        """The family given, or that which the kind has unless one is given."""
        return self.family or ("fir" if self.kind == "decimate" else "butterworth")

    def validate(self) -> None:
        """Check what can be checked without a sampling rate.

        Raises:
            InnervateError: a field that does not apply, is missing or lies outside its range.
        """
        self._check_fields()
        least, most = _EDGES.get(self.kind, (1, 1))
        if not least <= len(self.edges_hz) <= most:
            wanted = f"{least}" if least == most else f"{least} or {most}"
            raise self.refusal(
                f"{self.kind} takes {wanted} edge frequencies, not {len(self.edges_hz)}",
                f"Give edges_hz {wanted} values",
            )
        for edge in self.edges_hz:
            if not (math.isfinite(edge) and edge > 0):
                raise self.refusal(f"an edge at {edge:g} Hz is no frequency", "Choose edges above 0 Hz")
        if len(self.edges_hz) == 2 and self.edges_hz[0] >= self.edges_hz[1]:
            raise self.refusal(f"the edges of a {self.kind} must rise", "Swap edges_hz")
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise self.refusal(f"{name} {value:g}", f"Choose a {name} of {low:g} to {high:g}")
        if isinstance(self.harmonics, int) and self.harmonics < 1:
            raise self.refusal(f"harmonics {self.harmonics}", 'Choose harmonics of 1 or more, or "all"')
        if self.taps is not None and self.taps % 2 == 0 and self.kind in ("highpass", "bandstop"):
            raise self.refusal(
                f"a {self.kind} of {self.taps} taps cannot pass half the sampling rate", "Make taps odd"
            )

    def _check_fields(self) -> None:
        if self.kind == "notch":
            allowed = {"q", "harmonics"}
        else:
            allowed = {"family", *_FAMILY_FIELDS[self.chosen_family]}
        if self.kind == "decimate":
            allowed |= {"factor", "stop_db"}
            if self.factor is None:
                raise self.refusal("decimate needs a factor", "Give factor, the samples taken for one given")
        for name in _OPTIONAL:
            if getattr(self, name) is not None and name not in allowed:
                raise self.refusal(
                    f"{name} does not apply to this filter",
                    f"Leave {name} out; here belong {', '.join(n for n in _OPTIONAL if n in allowed)}",
                )

    def refusal(self, what: str, fix: str) -> InnervateError:
        """Return the error that says what is wrong with this filter."""
        return InnervateError(what, f"signal path filters: {self}", fix)
