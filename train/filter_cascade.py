"""Fits recursive filters into the core's sections: their order, their scale, their integers.

Sections are ordered and scaled so that every signal uses its int32 as fully as the worst-case input allows.
"""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
from scipy import signal

from edge.stages import COEFFICIENT_ONE, Cascade, Section
from train.filter_blocks import UNIT, Floats, Response, horizon, impulse_response, l1_norm

_SEARCH_WORK = 1 << 25
"""Samples of impulse responses that the search for the best order may hold."""

_FEEDBACK_WORTH = 1.25
"""Error feedback costs instructions: sections whose noise power it lowers by less (1 dB) do without."""

_EXACT = 1e-9
"""Ratios of numerator coefficients closer than this to whole numbers are whole: zeros at z = 1 or -1."""

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
        InnervateError: the filter is too slow for its rate.
    """
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
    sections = []
    for row in rows:
        poles = _PoleNoise(row)
        a1, a2 = (_split(round(a * COEFFICIENT_ONE * 65536)) for a in row[4:].tolist())
        weights = poles.best_weights()
        gain = poles.power(1.0, -weights[0] / 64, -weights[1] / 64)
        feedback = poles.power(1.0, 0.0, 0.0) > _FEEDBACK_WORTH * gain
        b, b_shift = poles.best_numerator()
        sections.append(Section(b, (a1[0], a2[0]), (a1[1], a2[1]), weights if feedback else (0, 0), b_shift))
    return tuple(sections)


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
        """Choose the weights of past errors, in 64ths, for the least noise at the section's output."""
        ideal1, ideal2 = (round(-64 * a) for a in self._row[4:].tolist())
        near = product(
            range(max(-128, ideal1 - 4), min(128, ideal1 + 4) + 1),
            range(max(-64, ideal2 - 4), min(64, ideal2 + 4) + 1),
        )
        return min(near, key=lambda w: self.power(1.0, -w[0] / 64, -w[1] / 64))

    def best_numerator(self) -> tuple[Triple, int]:
        """Place the zeros: b times 2^b_shift in Q2.30, and b_shift.

        Zeros at z = 1 and z = -1 stay exactly there. Zeros elsewhere on the unit circle (notches) stay on it,
        at the lattice point with the least error at the output: close poles amplify what rounding does.
        """
        # Products of a shifted numerator must not wrap before the shift.
        fitting = [s for s in _B_SHIFTS if s == 0 or np.abs(self._row[:3]).sum() * 2.0**s < 4 - 2.0**-20]
        shift = next((s for s in fitting if abs(self._row[0]) * 2.0**s >= _SMALL_NUMERATOR), fitting[-1])
        exact = self._row[:3] * (COEFFICIENT_ONE << shift)
        b0, b1, b2 = (round(v) for v in exact.tolist())
        ratios = [float(v) for v in self._row[1:3] / self._row[0]]
        if all(abs(r - round(r)) < _EXACT for r in ratios):
            return (b0, b0 * round(ratios[0]), b0 * round(ratios[1])), shift
        if abs(ratios[1] - 1) > _EXACT:
            return (b0, b1, b2), shift
        near = ((b0 + i, b1 + j, b0 + i) for i, j in product(range(-4, 5), range(-8, 9)))
        limit = 2 * COEFFICIENT_ONE - 1
        candidates = (b for b in near if max(map(abs, b)) <= limit)
        return min(candidates, key=lambda b: self.power(*(np.array(b) - exact))), shift


def _split(fine: int) -> tuple[int, int]:
    """Split a coefficient with 46 fraction bits into Q2.30, rounded, and what is left below, up to 2^15."""
    high = (fine + 32767) >> 16
    return high, fine - (high << 16)
