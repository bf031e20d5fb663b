"""What a signal path does, as arrays to draw: response, delay, rounding noise, worst-case values.

Everything is predicted from the design, nothing is run. A rectifier is not linear: what comes before it and
what comes after it are separate segments. Montages are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError
from edge.signal_path import SignalPath
from edge.stages import Cascade, Rectify, Stage
from train.filter_blocks import (
    Floats,
    Segment,
    block_of,
    cascade_block,
    decimation,
    response_of,
    segments_of,
    transfer,
)
from train.filter_proof import prove_stages, roundings
from train.filter_prototype import ideal_segments

_POINTS = 600
_DECADES_BELOW = 5000
"""The default grid begins at the sampling rate divided by this."""

_FLOOR = 1e-10
"""Magnitudes below -200 dB are drawn there."""

_BLOCKED = 1e-9
"""Where a factor of the response is smaller than this its phase, and so its delay, is undefined."""


class Bound(NamedTuple):
    """The largest value that any counts can bring about after a section or stage.

    Attributes:
        stage: position in the path's stages.
        name: for people, as "cascade 0, section 3".
        value: in units of the int32 signals.
        share: of the range of int32, below 1.
    """

    stage: int
    name: str
    value: float
    share: float


class SegmentResponse(NamedTuple):
    """One linear part of a path; arrays are float64 [n], one value a frequency.

    Attributes:
        name: "filters", or around a rectifier "before rectifier", "envelope".
        fs_hz: samples per second before the segment.
        output_hz: samples per second after it.
        freqs_hz: frequencies at the segment's input. Above output_hz / 2: what folds.
        design_db: magnitude as scipy designed it, dB.
        design_delay_ms: group delay as designed; NaN where nothing passes.
        quantized_db: magnitude of the integer coefficients, dB.
        quantized_delay_ms: group delay of the integer coefficients.
        noise_db: density of the predicted rounding noise at the segment's output, dB relative to full scale
            of the counts, per Hz; NaN above output_hz / 2. Without the noise that came through a rectifier.
        noise_total_db: the whole rounding noise relative to full scale, dB; -inf where nothing is rounded.
    """

    name: str
    fs_hz: float
    output_hz: float
    freqs_hz: Floats
    design_db: Floats
    design_delay_ms: Floats
    quantized_db: Floats
    quantized_delay_ms: Floats
    noise_db: Floats
    noise_total_db: float


class PathResponse(NamedTuple):
    """What a whole path does.

    Attributes:
        segments: one, or one more than there are rectifiers.
        bounds: of every section and stage, in order.
    """

    segments: tuple[SegmentResponse, ...]
    bounds: tuple[Bound, ...]


def path_response(path: SignalPath, freqs_hz: Floats | None = None) -> PathResponse:
    """Predict what a path does.

    Args:
        path: any that validates.
        freqs_hz: above 0 and at most half the rate before the segment, float64 [n]; None for 600 values up to
            that, evenly spaced on a log scale.

    Raises:
        InnervateError: the path's filters or stages cannot be designed or bounded.
    """
    proof = prove_stages(path.stages, path.counts_bits, path.shift)
    names = list(_names(path.stages))
    bounds = [
        Bound(at, name, value, value / 2.0**31)
        for (at, name), value in zip(names, proof.signal_bounds, strict=True)
    ]
    designs = ideal_segments(path.filters, path.fs_hz)
    runs = segments_of(path.stages)
    if len(designs) != len(runs):
        raise InnervateError(
            "the path's filters and stages do not belong together", "signal path", "Design the path again"
        )
    segments = []
    fs_hz = path.fs_hz
    for i, (designed, run, stages) in enumerate(zip(designs, runs, _split(path.stages), strict=True)):
        grid = _grid(fs_hz) if freqs_hz is None else freqs_hz
        output_hz = fs_hz / decimation(run)
        density, power = _noise(stages, grid, fs_hz, output_hz)
        scale = 1 / proof.full_scale**2
        segments.append(
            SegmentResponse(
                name="filters" if len(runs) == 1 else "before rectifier" if i == 0 else "envelope",
                fs_hz=fs_hz,
                output_hz=output_hz,
                freqs_hz=grid,
                design_db=_decibel(transfer(designed, grid, fs_hz)),
                design_delay_ms=1e3 * _delay(designed, grid, fs_hz),
                quantized_db=_decibel(transfer(run, grid, fs_hz)),
                quantized_delay_ms=1e3 * _delay(run, grid, fs_hz),
                noise_db=np.where(grid <= output_hz / 2, _power_decibel(density * scale), np.nan),
                noise_total_db=float(_power_decibel(np.array(power * scale))),
            )
        )
        fs_hz = output_hz
    return PathResponse(tuple(segments), tuple(bounds))


def _grid(fs_hz: float) -> Floats:
    return np.geomspace(fs_hz / _DECADES_BELOW, fs_hz / 2 * 0.999, _POINTS)


def _decibel(response: NDArray[np.complex128]) -> Floats:
    return np.asarray(20 * np.log10(np.maximum(np.abs(response), _FLOOR)))


def _power_decibel(power: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(power))


def _delay(blocks: Segment, freqs: Floats, fs_hz: float) -> Floats:
    """Group delay in seconds: for a polynomial P in 1/z that is the real part of (sum of n p_n / z^n) / P."""
    total = np.zeros(freqs.shape)
    for block in blocks:
        z = np.exp(-2j * np.pi * freqs / fs_hz)
        samples = _polynomial_delay(block.taps, z)
        for row in block.sos:
            samples += _polynomial_delay(row[:3], z) - _polynomial_delay(row[3:], z)
        total += samples / fs_hz
        fs_hz /= block.factor
    return total


def _polynomial_delay(p: Floats, z: NDArray[np.complex128]) -> Floats:
    value = np.polyval(p[::-1], z)
    passes = np.abs(value) >= _BLOCKED * np.abs(p).sum()
    delay = np.real(np.polyval((np.arange(len(p)) * p)[::-1], z) / np.where(passes, value, 1.0))
    return np.where(passes, delay, np.nan)


def _noise(stages: Sequence[Stage], freqs: Floats, fs_hz: float, output_hz: float) -> tuple[Floats, float]:
    """Rounding noise at the end of stages without a rectifier: density in LSB^2/Hz, power in LSB^2."""
    density, power = np.zeros(freqs.shape), 0.0
    for i, stage in enumerate(stages):
        after_hz = fs_hz / stage.decimation
        rest = segments_of(stages[i + 1 :])[0]
        parts = block_of(stage).sos if isinstance(stage, Cascade) else np.empty((0, 6))
        for k, group in enumerate(roundings(stage)):
            for one in group:
                way = (one.shaping, cascade_block(parts[k + 1 :]), *rest)
                # What lies above half the output's rate folds.
                for alias in range(round(after_hz / output_hz)):
                    gain = np.abs(transfer(way, freqs + alias * output_hz, after_hz)) ** 2
                    density += one.variance * 2 / after_hz * gain
                power += one.variance * float(np.sum(response_of(way).values ** 2))
        fs_hz = after_hz
    return density, power


def _split(stages: Sequence[Stage]) -> list[list[Stage]]:
    """Stages between rectifiers."""
    parts: list[list[Stage]] = [[]]
    for stage in stages:
        if isinstance(stage, Rectify):
            parts.append([])
        else:
            parts[-1].append(stage)
    return parts


def _names(stages: Sequence[Stage]) -> Iterator[tuple[int, str]]:
    """Position and name of each value that the proof bounds."""
    for i, stage in enumerate(stages):
        if isinstance(stage, Cascade):
            yield from ((i, f"cascade {i}, section {k}") for k in range(len(stage.sections)))
        else:
            yield i, f"{type(stage).__name__.lower()} {i}"
