"""Designs a signal path's filters with scipy and fits them into the core's integers.

Sections are ordered and scaled so that every signal uses its int32 as fully as the worst-case input allows,
and the counts are raised by as many bits as the proof of `filter_proof` permits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations, product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from edge.errors import InnervateError
from edge.signal_path import Filter
from edge.stages import COEFFICIENT_ONE, Cascade, Section, Stage
from train.filter_proof import (
    Floats,
    Proof,
    horizon,
    impulse_response,
    l1_norm,
    largest_shift,
    sos_of,
)

_ORDER_MAX = 8
_SECTIONS_MAX = 16
_ORDERED_MAX = 6
"""Sections whose order is searched: each doubles the memory it takes."""

_SETTLED = 0.01
"""A path has settled when its past can still move the output by this part of its largest value."""

_CONVERTER_NOISE = 1 / math.sqrt(12)
"""Standard deviation of a converter's own rounding, in counts: what the filters may add at most."""

_FEEDBACK_WORTH = 1.25
"""Error feedback costs instructions: sections whose noise power it lowers by less (1 dB) do without."""

_EXACT = 1e-9
"""Ratios of numerator coefficients closer than this to whole numbers are whole: zeros at z = 1 or -1."""

_B_SHIFTS = (0, 8, 16)

_SMALL_NUMERATOR = 2.0**-5
"""A numerator below this is shifted up, which costs a few instructions: its rounding would change the gain by
more than 2^-26 (-156 dB)."""

Triple = tuple[int, int, int]


class Design(NamedTuple):
    """What a SignalPath needs to know of its filters; attributes as there."""

    stages: tuple[Stage, ...]
    shift: int
    settle: int
    group_delay_ms: float


def design(filters: Sequence[Filter], fs_hz: float, counts_bits: int) -> Design:
    """Design a cascade of filters.

    Args:
        filters: applied one after the other; none for a path without filters.
        fs_hz: samples per second.
        counts_bits: width of the counts, 2..32.

    Raises:
        InnervateError: a filter that cannot exist at this rate, or one that the core's integers cannot hold
            or would drown in rounding noise.
    """
    if not filters:
        return Design((), 32 - counts_bits, 0, 0.0)
    rows = ideal_sos(filters, fs_hz)
    if len(rows) > _SECTIONS_MAX:
        raise _refusal(
            f"{len(rows)} second-order sections are more than {_SECTIONS_MAX}", filters, "Lower the orders"
        )
    sections = _quantise(_ordered_and_scaled(rows))
    shift, proof = largest_shift(sections, counts_bits)
    _check_noise(proof, shift, filters)
    sos = sos_of(sections)
    response = impulse_response(sos, horizon(sos))
    return Design((Cascade(sections),), shift, _settle(response), _mean_group_delay(response) / fs_hz * 1e3)


def ideal_sos(filters: Sequence[Filter], fs_hz: float) -> Floats:
    """Return the filters one after the other as scipy designs them: `sos`, float64 [sections, 6].

    Raises:
        InnervateError: a filter that cannot exist at this rate.
    """
    return np.array([row for f in filters for row in _prototype(f, fs_hz)], np.float64).reshape(-1, 6)


def _refusal(what: str, filters: Sequence[Filter], fix: str) -> InnervateError:
    names = ", ".join(f"{f.kind} {'-'.join(f'{edge:g}' for edge in f.edges_hz)} Hz" for f in filters)
    return InnervateError(what, f"signal path filters: {names}", fix)


def _prototype(f: Filter, fs_hz: float) -> Floats:
    """Return one filter as scipy designs it: `sos`, float64 [sections, 6]."""
    wanted = 2 if f.kind == "bandpass" else 1
    if len(f.edges_hz) != wanted:
        raise _refusal(f"{f.kind} takes {wanted} edge frequencies", [f], f"Give edges_hz {wanted} values")
    nyquist = fs_hz / 2
    for edge in f.edges_hz:
        if not 0 < edge < nyquist:
            raise _refusal(
                f"an edge at {edge:g} Hz does not lie below half the sampling rate of {fs_hz:g} Hz",
                [f],
                f"Choose edges above 0 and below {nyquist:g} Hz",
            )
    if f.kind == "notch":
        if not (f.q > 0 and f.edges_hz[0] / f.q < nyquist):
            raise _refusal(f"a notch with q = {f.q:g} is too wide", [f], "Choose a larger q; 30 is usual")
        row: Floats = np.concatenate(signal.iirnotch(f.edges_hz[0], f.q, fs_hz))
        return row[None]
    if not 1 <= f.order <= _ORDER_MAX:
        raise _refusal(f"order {f.order}", [f], f"Choose an order of 1 to {_ORDER_MAX}")
    if wanted == 2 and f.edges_hz[0] >= f.edges_hz[1]:
        raise _refusal("the edges of a band-pass must rise", [f], "Swap edges_hz")
    edges = f.edges_hz if wanted == 2 else f.edges_hz[0]
    sos: Floats = signal.butter(f.order, edges, f.kind, fs=fs_hz, output="sos")
    return sos


def _ordered_and_scaled(rows: Floats) -> Floats:
    """Spread the gain so that every section's output has about the same bound."""
    gains = np.array([_peak_gain(row) for row in rows])
    rows = rows.copy()
    rows[:, :3] /= gains[:, None]
    total = float(np.prod(gains))
    rows = rows[_best_order(rows)]

    samples = horizon(rows)
    bounds = [l1_norm(impulse_response(rows[: k + 1], samples)) for k in range(len(rows))]
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
    count = len(rows)
    if count > _ORDERED_MAX:
        return list(range(count))
    samples = horizon(rows)
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


def _check_noise(proof: Proof, shift: int, filters: Sequence[Filter]) -> None:
    noise = proof.noise_rms / 2**shift
    if noise > _CONVERTER_NOISE:
        raise _refusal(
            f"rounding noise of {noise:.2f} counts would exceed the converter's own",
            filters,
            "Raise the lowest edge, lower the order, or bring the sampling rate down first",
        )


def _settle(response: Floats) -> int:
    """Count samples after which the past moves the output by at most _SETTLED of its largest value."""
    after = np.cumsum(np.abs(response[::-1]))[::-1]
    return int(np.count_nonzero(after > _SETTLED * after[0]))


def _mean_group_delay(response: Floats) -> float:
    """Return the group delay in samples, averaged over frequency with weight |H|^2: the energy's centroid.

    Papoulis, "Signal Analysis", 1977, section 2-2.
    """
    energy = response**2
    return float(np.sum(np.arange(len(response)) * energy) / np.sum(energy))


def normalise(
    filtered: NDArray[np.int32], percentile: float, channels: Sequence[str] = ()
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Find the multiplier and right shift that bring a percentile of |filtered| to 127, per channel.

    Args:
        filtered: training signals after the cascade, int32 [n, channels]; n >= 1.
        percentile: 0..100, of the absolute values.
        channels: names for the message.

    Returns:
        (multiplier, right_shift), for int8 = requantize(filtered, multiplier, -right_shift).

    Raises:
        InnervateError: a channel is flat.
    """
    magnitude = np.abs(filtered.astype(np.int64))
    multipliers, shifts = [], []
    for c in range(filtered.shape[1]):
        top = float(np.percentile(magnitude[:, c], percentile))
        if top <= 127:
            name = channels[c] if channels else str(c)
            raise InnervateError(
                "the channel is flat in the training recordings",
                f"channel {name}",
                "Leave it out or mend its electrode",
            )
        mantissa, exponent = math.frexp(127 / top)
        multipliers.append(min(round(mantissa * 2**31), 2**31 - 1))
        shifts.append(-exponent)
    return tuple(multipliers), tuple(shifts)
