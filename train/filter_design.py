"""Designs a signal path: montage and filters by scipy, fitted into the core's integers, proved and checked.

Counts are raised by as many bits as the proof of `filter_proof` permits. A design is accepted when that proof
predicts it to be exact enough for white noise at full scale and 60 dB below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.filters import Filter
from edge.signal_path import SignalPath
from edge.stages import Rectify, Stage
from train.filter_blocks import UNIT, Floats, Segment, UnfitError, response_of, segments_of
from train.filter_cascade import fit_cascade
from train.filter_fir import fit_fir
from train.filter_proof import Proof, largest_shift
from train.filter_prototype import PASS_SHARE, ideal_segments, refusal
from train.montage import Montage, fit_montage

_SECTIONS_MAX = 32
"""Of one cascade."""

_SETTLED = 0.01
"""A path has settled when its past can still move the output by this part of its largest value."""

FULL_SCALE_DB = 123.0
LOW_DB = 78.0
"""Least signal to error that a design must be predicted to have for white noise at full scale and 60 dB
below: 3 dB more than what is promised (docs/filters.md)."""

_FACTORS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 16, 20, 25, 30, 32, 40, 50, 64, 80, 100, 128, 200, 250)
"""Decimation factors that are tried for a design which fails without."""


class Design(NamedTuple):
    """What a SignalPath needs to know of its filters; attributes as there."""

    stages: tuple[Stage, ...]
    shift: int
    settle: int
    group_delay_ms: float


class Accuracy(NamedTuple):
    """Predicted signal to error, in dB, for white noise at full scale and 60 dB below."""

    full_scale_db: float
    low_db: float


def design(
    filters: Sequence[Filter],
    fs_hz: float,
    counts_bits: int,
    channels: Sequence[str] = (),
    montage: Montage | None = None,
) -> Design:
    """Design the stages of a signal path.

    Args:
        filters: applied one after the other, after the montage; none for a path without filters.
        fs_hz: samples per second.
        counts_bits: width of the counts, 2..32.
        channels: names; needed for a montage only.
        montage: "common_average", "bipolar", or for each new channel the weights of those there are.

    Raises:
        InnervateError: a filter or montage that cannot exist, or that the core's integers cannot hold or
            would drown in rounding noise.
    """
    if not (math.isfinite(fs_hz) and fs_hz > 0):
        raise InnervateError(f"a sampling rate of {fs_hz:g} Hz", "signal path", "Give samples per second")
    if not 2 <= counts_bits <= 32:
        raise InnervateError(f"counts of {counts_bits} bits", "signal path", "Give a width of 2 to 32 bits")
    mix = (fit_montage(montage, channels),) if montage is not None else ()
    try:
        return _design(filters, fs_hz, counts_bits, mix)
    except UnfitError as error:
        raise refusal(error.what, filters, _way_out(filters, fs_hz, counts_bits, mix)) from None


def signal_path(
    filters: Sequence[Filter],
    fs_hz: float,
    channels: Sequence[str],
    counts_bits: int,
    uv_per_count: float,
    window_ms: float,
    hop_ms: float,
    montage: Montage | None = None,
) -> SignalPath:
    """Design a whole path; what passes at the full scale of the counts just fills int8.

    One step of int8 is 2^(counts_bits - 8) counts, `uv_per_count` times as many microvolts: training sets the
    scale by what muscles or brain really give (`normalise`), this one is right for any input.

    Args:
        filters: as for `design`.
        fs_hz: samples per second.
        channels: names.
        counts_bits: width of the counts, 2..32.
        uv_per_count: microvolts at the electrodes per count.
        window_ms: length of a window.
        hop_ms: between the ends of two windows.
        montage: as for `design`.

    Raises:
        InnervateError: as `design`, or numbers that a path cannot have.
    """
    for name, milliseconds in (("window_ms", window_ms), ("hop_ms", hop_ms)):
        if not (math.isfinite(milliseconds) and milliseconds > 0):
            raise InnervateError(f"{name} of {milliseconds:g}", "signal path", "Give milliseconds above 0")
    made = design(filters, fs_hz, counts_bits, channels, montage)
    path = SignalPath(
        channels=tuple(channels),
        fs_hz=fs_hz,
        uv_per_count=uv_per_count,
        counts_bits=counts_bits,
        shift=made.shift,
        stages=made.stages,
        filters=tuple(filters),
        settle=made.settle,
        group_delay_ms=made.group_delay_ms,
        window=1,
        hop=1,
        multiplier=(),
        right_shift=(),
    )
    count = len(path.outputs)
    path = msgspec.structs.replace(
        path,
        window=samples(window_ms, path.filtered_hz),
        hop=samples(hop_ms, path.filtered_hz),
        # int8 = filtered * 2^30 / 2^31 / 2^right_shift; filtered is counts times 2^shift.
        multiplier=(1 << 30,) * count,
        right_shift=(max(0, counts_bits + made.shift - 9),) * count,
    )
    path.validate()
    return path


def samples(milliseconds: float, fs_hz: float) -> int:
    """Return the samples in so many milliseconds, at least one."""
    return max(1, round(milliseconds * fs_hz / 1000))


def predicted_accuracy(filters: Sequence[Filter], fs_hz: float, stages: Sequence[Stage]) -> Accuracy:
    """Predict how exact a design's stages are, relative to the same filters in float64.

    Raises:
        InnervateError: filters that cannot exist.
    """
    _, proof = largest_shift(stages, 24)
    return _accuracy(proof, ideal_segments(filters, fs_hz), stages)


def _design(filters: Sequence[Filter], fs_hz: float, counts_bits: int, mix: tuple[Stage, ...]) -> Design:
    ideal = ideal_segments(filters, fs_hz)
    stages = mix
    for i, segment in enumerate(ideal):
        stages += (Rectify(),) * (i > 0) + _fitted(segment, filters)
    shift, proof = largest_shift(stages, counts_bits)
    _check_accuracy(_accuracy(proof, ideal, stages))
    settle, delay_s = 0.0, 0.0
    for segment in filter(None, segments_of(stages)):
        response = response_of(segment)
        settle = (settle + _settled(response.values)) / response.step
        delay_s += _mean_group_delay(response.values) / fs_hz
        fs_hz /= response.step
    return Design(stages, shift, math.ceil(settle), delay_s * 1e3)


def _fitted(segment: Segment, filters: Sequence[Filter]) -> tuple[Stage, ...]:
    """Fit one block after the other, each for what those before it can give."""
    stages: tuple[Stage, ...] = ()
    before = UNIT
    for block in segment:
        if len(block.sos) > _SECTIONS_MAX:
            raise refusal(
                f"{len(block.sos)} second-order sections on end are more than {_SECTIONS_MAX}",
                filters,
                "Lower the orders or take fewer harmonics",
            )
        stage = fit_cascade(block.sos, before) if len(block.sos) else fit_fir(block)
        before = before.through(block)
        stages += (stage,)
    return stages


def _way_out(filters: Sequence[Filter], fs_hz: float, counts_bits: int, mix: tuple[Stage, ...]) -> str:
    """Find the least decimation with which the filters can be run, by trying."""
    for factor in _FACTORS:
        try:
            _design((Filter("decimate", factor=factor), *filters), fs_hz, counts_bits, mix)
        except InnervateError:
            continue
        if all(edge <= PASS_SHARE * fs_hz / factor for f in filters for edge in f.edges_hz):
            first = f'{{ kind = "decimate", factor = {factor} }}'
            return f"Put {first} before them, raise the lowest edge, or lower the order"
    return "Raise the lowest edge, widen the band, or lower the order"


def _accuracy(proof: Proof, ideal: Sequence[Segment], stages: Sequence[Stage]) -> Accuracy:
    error = _coefficient_error(ideal, segments_of(stages))
    return Accuracy(proof.signal_to_error_db(1.0, error), proof.signal_to_error_db(1e-3, error))


def _coefficient_error(ideal: Sequence[Segment], fitted: Sequence[Segment]) -> float:
    """What the rounding of coefficients changes in the output for white noise, relative to it.

    After a rectifier, where the signal is its mean, at most: the error of the mean, and all of the rest.
    """
    total = 0.0
    for i, (a, b) in enumerate(zip(ideal, fitted, strict=True)):
        wanted, got = response_of(a).values, response_of(b).values
        error = np.zeros(max(len(wanted), len(got)))
        error[: len(got)] += got
        error[: len(wanted)] -= wanted
        if i == 0:
            total = _norm(error) / _norm(wanted)
        else:
            steady = abs(float(np.sum(wanted)))
            # An error that came through the rectifier, relative to the mean of a Gaussian signal there.
            total *= math.sqrt(math.pi / 2) * float(np.sum(np.abs(wanted))) / steady
            total += (abs(float(np.sum(error))) + _norm(error)) / steady
    return total


def _norm(values: Floats) -> float:
    return math.sqrt(float(np.sum(values**2)))


def _check_accuracy(accuracy: Accuracy) -> None:
    for level, reached, least in zip(("at", "60 dB below"), accuracy, (FULL_SCALE_DB, LOW_DB), strict=True):
        if reached < least:
            raise UnfitError(
                f"white noise {level} full scale would come out {reached:.1f} dB above the rounding errors, "
                f"less than the {least:g} dB that are asked for",
                "signal path filters",
                "Raise the lowest edge, widen the band, or lower the order",
            )


def _settled(response: Floats) -> int:
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
