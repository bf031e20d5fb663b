"""Filters as scipy designs them in float64, before anything is made an integer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from scipy import signal

from edge.errors import InnervateError
from edge.filters import ORDER_MAX, TAPS_MAX, Filter
from train.filter_blocks import Block, Floats, Segment, cascade_block, fir_block, transfer

_STOP_DB = 60.0
_RIPPLE_DB = 0.1
_Q = 30.0

PASS_SHARE = 0.4
"""End of a decimator's pass-band, of the rate after it."""

_PASS_DB = 3.02
"""A decimator's response may have fallen by so much at the end of its pass-band."""

_SHORT_DB = 1.0
"""Kaiser's formula may fall short of the attenuation asked for by so much."""

_GRID = 2048
"""Frequencies at which a decimator's stop-band is looked at."""


def ideal_segments(filters: Sequence[Filter], fs_hz: float) -> tuple[Segment, ...]:
    """Return the filters one after the other as scipy designs them, adjoining recursive ones as one block.

    Args:
        filters: in order.
        fs_hz: samples per second before the first.

    Returns:
        Segments of float64 blocks; a rectifier lies between any two of them.

    Raises:
        InnervateError: a filter that does not validate or cannot exist at its rate.
    """
    segments: list[list[Block]] = [[]]
    for f in filters:
        f.validate()
        _check_edges(f, fs_hz)
        if f.kind == "envelope":
            segments.append([])
        for block in _blocks(f, fs_hz):
            last = segments[-1][-1] if segments[-1] else None
            if last is not None and len(last.sos) and len(block.sos):
                segments[-1][-1] = cascade_block(np.concatenate([last.sos, block.sos]))
            else:
                segments[-1].append(block)
            fs_hz /= block.factor
    return tuple(map(tuple, segments))


def _check_edges(f: Filter, fs_hz: float) -> None:
    for edge in f.edges_hz:
        if edge >= fs_hz / 2:
            raise f.refusal(
                f"an edge at {edge:g} Hz does not lie below half the sampling rate of {fs_hz:g} Hz",
                f"Choose edges above 0 and below {fs_hz / 2:g} Hz",
            )


def _blocks(f: Filter, fs_hz: float) -> list[Block]:
    if f.kind == "notch":
        return [cascade_block(_notches(f, fs_hz))]
    if f.kind == "decimate":
        return _decimator(f, fs_hz)
    if f.chosen_family == "fir":
        return [fir_block(_fir(f, fs_hz))]
    kind = "lowpass" if f.kind == "envelope" else f.kind
    order = f.order or (4 if f.chosen_family in ("chebyshev2", "elliptic") else 2)
    return [cascade_block(_recursive(f, kind, order, f.edges_hz, fs_hz))]


def _notches(f: Filter, fs_hz: float) -> Floats:
    q, base = f.q or _Q, f.edges_hz[0]
    most = math.ceil(fs_hz / 2 / base) - 1
    count = most if f.harmonics == "all" else f.harmonics or 1
    if count > most:
        raise f.refusal(
            f"harmonic {count} at {count * base:g} Hz does not lie below half the rate of {fs_hz:g} Hz",
            f'Choose harmonics of at most {most}, or "all"',
        )
    if count * base / q >= fs_hz / 2:
        raise f.refusal(f"a notch with q = {q:g} is too wide", "Choose a larger q; 30 is usual")
    rows = [np.concatenate(signal.iirnotch(k * base, q, fs_hz)) for k in range(1, count + 1)]
    return np.array(rows, np.float64)


def _recursive(f: Filter, kind: str, order: int, edges_hz: Sequence[float], fs_hz: float) -> Floats:
    """Design sections of f's family, float64 [sections, 6]."""
    edges = edges_hz if len(edges_hz) == 2 else edges_hz[0]
    stop_db, ripple_db = f.stop_db or _STOP_DB, f.ripple_db or _RIPPLE_DB
    options = {"fs": fs_hz, "output": "sos"}
    match f.chosen_family:
        case "butterworth":
            sos = signal.butter(order, edges, kind, **options)
        case "bessel":
            sos = signal.bessel(order, edges, kind, norm="mag", **options)
        case "chebyshev2":
            sos = signal.cheby2(order, stop_db, edges, kind, **options)
        case _:
            if ripple_db >= stop_db:
                raise f.refusal(f"a ripple of {ripple_db:g} dB is no less than stop_db", "Raise stop_db")
            sos = signal.ellip(order, ripple_db, stop_db, edges, kind, **options)
    return np.asarray(sos, np.float64)


def _fir(f: Filter, fs_hz: float) -> Floats:
    """Design a linear-phase response with a Kaiser window (Kaiser 1974), float64 [taps]."""
    marks = [0.0, *f.edges_hz, fs_hz / 2]
    kind = "lowpass" if f.kind == "envelope" else f.kind
    width = 0.5 * min(b - a for a, b in pairwise(marks))
    return _kaiser(f, kind, f.edges_hz, width, fs_hz)


def _kaiser(f: Filter, kind: str, edges_hz: Sequence[float], width_hz: float, fs_hz: float) -> Floats:
    stop_db = f.stop_db or _STOP_DB
    taps, beta = signal.kaiserord(stop_db, width_hz / (fs_hz / 2))
    taps = f.taps or taps | 1
    if taps > TAPS_MAX:
        raise f.refusal(
            f"a transition of {width_hz:g} Hz at {fs_hz:g} Hz takes {taps} taps, more than {TAPS_MAX}",
            f"Decimate by {math.ceil(taps / TAPS_MAX)} or more first, use another family, or give fewer taps",
        )
    return np.asarray(
        signal.firwin(taps, edges_hz, window=("kaiser", beta), pass_zero=kind, fs=fs_hz), np.float64
    )


def _decimator(f: Filter, fs_hz: float) -> list[Block]:
    """Low-pass so that what folds into the pass-band is attenuated by stop_db, then drop samples."""
    assert f.factor is not None
    rate = fs_hz / f.factor
    edge = f.edges_hz[0] if f.edges_hz else PASS_SHARE * rate
    stop = rate - edge
    if edge >= rate / 2:
        raise f.refusal(
            f"a pass-band to {edge:g} Hz does not lie below half the rate of {rate:g} Hz after it",
            "Lower the edge or the factor",
        )
    if f.chosen_family == "fir":
        taps = _kaiser(f, "lowpass", [rate / 2], stop - edge, fs_hz)
        reached = _stop_band_db([fir_block(taps)], stop, fs_hz)
        if reached < (f.stop_db or _STOP_DB) - _SHORT_DB:
            raise f.refusal(
                f"{len(taps)} taps attenuate what folds from {stop:g} Hz by {reached:.1f} dB only",
                "Give more taps, or leave taps out",
            )
        return [fir_block(taps, f.factor)]
    orders = [f.order] if f.order else list(range(1, ORDER_MAX + 1))
    corner = stop if f.chosen_family == "chebyshev2" else edge
    for order in orders:
        block = cascade_block(_recursive(f, "lowpass", order, [corner], fs_hz))
        passed = -_decibel([block], np.array([edge]), fs_hz)[0] <= _PASS_DB
        if passed and _stop_band_db([block], stop, fs_hz) >= (f.stop_db or _STOP_DB) - 0.01:
            return [block, fir_block([1.0], f.factor)]
    raise f.refusal(
        f"order {orders[-1]} does not pass {edge:g} Hz and attenuate {stop:g} Hz, which folds there, "
        f"by {f.stop_db or _STOP_DB:g} dB",
        "Lower the edge or stop_db, raise the order, or use elliptic or fir",
    )


def _decibel(blocks: Sequence[Block], freqs: Floats, fs_hz: float) -> Floats:
    return np.asarray(20 * np.log10(np.maximum(np.abs(transfer(blocks, freqs, fs_hz)), 1e-12)))


def _stop_band_db(blocks: Sequence[Block], stop_hz: float, fs_hz: float) -> float:
    """Return the least attenuation from a frequency to half the sampling rate."""
    return -float(np.max(_decibel(blocks, np.linspace(stop_hz, fs_hz / 2, _GRID), fs_hz)))


def refusal(what: str, filters: Sequence[Filter], fix: str) -> InnervateError:
    """Return the error that says what is wrong with several filters."""
    return InnervateError(what, f"signal path filters: {', '.join(map(str, filters))}", fix)
