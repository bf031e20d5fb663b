"""Fits recursive filters into the core's sections: their order, their scale, their integers.

Sections are ordered and scaled so that every signal uses its int32 as fully as the worst-case input allows.
"""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
from scipy import signal

from edge.stages import COEFFICIENT_ONE, Cascade, Section
from train.filter_blocks import UNIT, Floats, Response, UnfitError, horizon, impulse_response, l1_norm
from train.filter_rest import RAMP, REST_UNIT, rests

_SEARCH_WORK = 1 << 25
"""Samples of impulse responses that the search for the best order may hold."""

_FEEDBACK_WORTH = 1.25
"""Error feedback costs instructions: sections whose noise power it lowers by less (1 dB) do without."""

_EXACT = 1e-9
"""Ratios of numerator coefficients closer than this to whole numbers are whole: zeros at z = 1 or -1."""

_B_MAX = 2 * COEFFICIENT_ONE - 1

_GAIN_BITS = (12, 16, 32)
"""A numerator's gain may be off by 2^-12 where another makes up for it, by less if that exceeds _B_MAX."""

_B_SHIFTS = (0, 8, 16)

_SMALL_NUMERATOR = 2.0**-5
"""A numerator below this is shifted up, which costs a few instructions: its rounding would change the gain by
more than 2^-26 (-156 dB)."""

Triple = tuple[int, int, int]


def fit_cascade(sos: Floats, before: Response = UNIT) -> Cascade:
    """Order, scale and round sections.

    Args:
        sos: as scipy has it, float64 [sections, 6].
        before: what an impulse at the input of the path becomes before them.

    Raises:
        UnfitError: the filter is too slow for its rate.
    """
    for row in sos:  # what cannot be is refused before the search for the best order
        _denominator(row, _PoleNoise(row).best_weights())
    return Cascade(_quantise(_ordered_and_scaled(sos, before)))


def _ordered_and_scaled(rows: Floats, before: Response) -> Floats:
    """Spread the gain so that every section's output has about the same bound."""
    gains = np.array([_peak_gain(row) for row in rows])
    rows = rows.copy()
    rows[:, :3] /= gains[:, None]
    total = float(np.prod(gains))
    rows = rows[_best_order(rows)]

    response = before.extended(horizon(rows))
    bounds = []
    for row in rows:
        response = response.through_sections(row[None])
        bounds.append(l1_norm(response.values))
    # A section can lift by its cap, |b| < 2, and no more: levels (the gain up to each section's output) must
    # leave the later ones able to reach the whole gain.
    caps = [2 * (1 - 2.0**-20) / float(np.max(np.abs(row[:3]))) for row in rows]
    least = [total / math.prod(caps[k + 1 :]) for k in range(len(rows))]
    level = 1.0
    for k, row in enumerate(rows):
        wanted = max(total * bounds[-1] / bounds[k], least[k])
        reached = min(wanted, level * caps[k])
        row[:3] *= reached / level
        level = reached
    rows[-1, :3] *= total / level
    return rows


def _peak_gain(row: Floats) -> float:
    corners = np.angle(np.concatenate([np.roots(row[3:]), [1.0, -1.0]]))
    grid = np.concatenate([np.linspace(0, np.pi, 512), np.abs(corners)])
    return float(np.max(np.abs(signal.freqz(row[:3], row[3:], grid)[1])))


def _best_order(rows: Floats) -> list[int]:
    """Find the order of sections with the least rounding noise, each output scaled to the same bound.

    The noise of a section depends only on which sections come before it (they set its scale) and which
    after (they filter its noise): a shortest path over subsets. Long cascades keep scipy's order.
    """
    count, samples = len(rows), horizon(rows)
    if samples << count > _SEARCH_WORK:
        return list(range(count))
    everything = frozenset(range(count))
    unit = impulse_response(np.empty((0, 6)), samples)
    responses = {frozenset[int](): unit}
    best: dict[frozenset[int], tuple[float, list[int]]] = {frozenset(): (0.0, [])}
    for size in range(1, count + 1):
        for subset in _subsets(count, size):
            first = min(subset)
            responses[subset] = signal.sosfilt(rows[None, first], responses[subset - {first}])
    for size in range(1, count + 1):
        for subset in _subsets(count, size):
            bound = l1_norm(responses[subset])
            after = float(np.sum(responses[everything - subset] ** 2))
            candidates = [
                (best[subset - {last}][0] + after * bound**2, [*best[subset - {last}][1], last])
                for last in subset
            ]
            best[subset] = min(candidates)
    return best[everything][1]


def _subsets(count: int, size: int) -> list[frozenset[int]]:
    return [frozenset(c) for c in combinations(range(count), size)]


def _quantise(rows: Floats) -> tuple[Section, ...]:
    poles = [_PoleNoise(row) for row in rows]
    # What one section's numerator misses of its gain the next one makes up for; the last one must be right by
    # itself: one whose ratios are whole, else that with the least sensitive poles.
    turns = sorted(
        range(len(rows)), key=lambda k: (_whole_ratios(rows[k]) is not None, -poles[k].power(1.0, 0.0, 0.0))
    )
    for bits in _GAIN_BITS:
        numerators: dict[int, tuple[Triple, int]] = {}
        missing = 1.0
        for k in turns:
            wanted = rows[k, :3] * missing
            b, b_shift = poles[k].best_numerator(wanted, bits if k != turns[-1] else 32)
            if b[0] == 0:
                raise UnfitError(
                    "next to nothing would pass",
                    "signal path filters",
                    "Leave out what stops what others pass",
                )
            numerators[k] = b, b_shift
            missing = float(wanted[0]) * 2.0**b_shift * COEFFICIENT_ONE / b[0]
        if all(max(map(abs, b)) <= _B_MAX for b, _ in numerators.values()):
            break
    else:
        raise UnfitError(
            "a section would need coefficients of 2 or more", "signal path filters", "Lower the order"
        )
    sections = []
    for k, row in enumerate(rows):
        (b, b_shift), weights = numerators[k], poles[k].best_weights()
        (high1, low1), (high2, low2) = map(_split, _denominator(row, weights))
        sections.append(Section(b, (high1, high2), (low1, low2), weights, b_shift))
    return tuple(sections)


def _denominator(row: Floats, weights: tuple[int, int]) -> tuple[int, int]:
    """Round a1 and a2 to 46 fraction bits, so that the section comes to rest (`filter_rest`).

    Where rounding both down to 24 bits loses a whole unit, one is raised to the next such number and the
    other lowered by as much: the response to a constant stays, the poles hardly move.

    Raises:
        UnfitError: poles so close to z = 1 that it never does.
    """
    a1, a2 = (round(a * COEFFICIENT_ONE * 65536) for a in row[4:].tolist())
    if weights == RAMP and not rests((a1, a2)):
        up1, up2 = -a1 % REST_UNIT, -a2 % REST_UNIT
        a1, a2 = (a1 + up1, a2 - up1) if up1 < up2 else (a1 - up2, a2 + up2)
        if not rests((a1, a2)):
            raise UnfitError(
                "after the last sample a filter as slow as this would keep moving by the last bit for ever",
                "signal path filters",
                "Raise the lowest edge, or bring the sampling rate down first",
            )
    return a1, a2


def _whole_ratios(row: Floats) -> tuple[int, int] | None:
    """Ratios of b1 and b2 to b0 if they are whole: zeros at z = 1 or -1."""
    ratios = [float(v) for v in row[1:3] / row[0]]
    if all(abs(r - round(r)) < _EXACT for r in ratios):
        return round(ratios[0]), round(ratios[1])
    return None


class _PoleNoise:
    """What passes through a section's poles: the power of (t0 + t1/z + t2/z^2) / A for white noise.

    It is a quadratic form in the autocorrelation of 1 / A.
    """

    def __init__(self, row: Floats) -> None:
        self._row = row
        response = impulse_response(np.array([[1.0, 0.0, 0.0, *row[3:]]]), horizon(row[None]))
        lags = [float(np.dot(response[: len(response) - k], response[k:])) for k in range(3)]
        self._matrix = np.array([[lags[abs(i - j)] for j in range(3)] for i in range(3)])

    def power(self, *taps: float) -> float:
        vector = np.array(taps)
        return float(vector @ self._matrix @ vector)

    def best_weights(self) -> tuple[int, int]:
        """Choose the weights of past errors, in 64ths, for the least noise at the section's output.

        Zeros where that gains too little.
        """
        ideal1, ideal2 = (round(-64 * a) for a in self._row[4:].tolist())
        near = product(
            range(max(-128, ideal1 - 4), min(128, ideal1 + 4) + 1),
            range(max(-64, ideal2 - 4), min(64, ideal2 + 4) + 1),
        )
        power, weights = min((self.power(1.0, -w[0] / 64, -w[1] / 64), w) for w in near)
        return weights if self.power(1.0, 0.0, 0.0) > _FEEDBACK_WORTH * power else (0, 0)

    def best_numerator(self, wanted: Floats, gain_bits: int) -> tuple[Triple, int]:
        """Place the zeros: b times 2^b_shift in Q2.30, and b_shift.

        Zeros at z = 1 and z = -1 stay exactly there. Zeros elsewhere on the unit circle (notches, elliptic)
        stay on it. Close poles amplify what rounding does to them: the gain is chosen so that b1 / b0 comes
        out nearly exact, or where that must be right, both so that the error at the output is least.

        Args:
            wanted: b, float64 [3].
            gain_bits: how exact the gain must be: to 2^-gain_bits.
        """
        # Products of a shifted numerator must not wrap before the shift.
        fitting = [s for s in _B_SHIFTS if s == 0 or np.abs(wanted).sum() * 2.0**s < 4 - 2.0**-20]
        shift = next((s for s in fitting if abs(wanted[0]) * 2.0**s >= _SMALL_NUMERATOR), fitting[-1])
        exact = wanted * (COEFFICIENT_ONE << shift)
        b0, b1, b2 = (round(v) for v in exact.tolist())
        whole = _whole_ratios(wanted)
        if whole is not None:
            return (b0, b0 * whole[0], b0 * whole[1]), shift
        ratio = float(wanted[1] / wanted[0])
        if abs(wanted[2] / wanted[0] - 1) > _EXACT:
            return (b0, b1, b2), shift
        room = abs(b0) >> gain_bits
        if room:
            near = b0 + np.arange(-room, room + 1)
            near = near[np.abs(near) * max(1.0, abs(ratio)) <= _B_MAX] if abs(b1) <= _B_MAX else near
            b0 = int(near[np.argmin(np.abs(near * ratio - np.round(near * ratio)))])
            return (b0, round(b0 * ratio), b0), shift
        lattice = ((b0 + i, b1 + j, b0 + i) for i, j in product(range(-4, 5), range(-8, 9)))
        return min(
            lattice, key=lambda b: (max(map(abs, b)) > _B_MAX, self.power(*(np.array(b) - exact)))
        ), shift


def _split(fine: int) -> tuple[int, int]:
    """Split a coefficient with 46 fraction bits into Q2.30, rounded, and what is left below, up to 2^15."""
    high = (fine + 32767) >> 16
    return high, fine - (high << 16)
