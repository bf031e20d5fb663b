"""Faults of electrodes, injected one by one: the device flags what the host flags."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.decision import Decision, Flag
from edge.golden import Golden
from edge.link import Link
from edge.pipeline import Pipeline
from edge.quality import lead_bit
from edge.signal_path import SignalPath
from hil_tests.parity import compare, decision_rows

MEANS = 6
"""Time constants of the mean after which a pure hum has all but its whole share."""

Counts = NDArray[np.int64]
Fault = Callable[[Counts, SignalPath], None]
"""Spoils counts [n, channels] in place."""


def _saturated(counts: Counts, path: SignalPath) -> None:
    counts[:, 0] = (1 << path.counts_bits - 1) - 1


def _flat(counts: Counts, path: SignalPath) -> None:
    counts[:, -1] = counts[0, -1]


def _steep(counts: Counts, path: SignalPath) -> None:
    limit = 1 << path.counts_bits - 1
    counts[len(counts) // 2 :, 0] = limit - 2
    counts[len(counts) // 2 - 1, 0] = 1 - limit


def _loud(counts: Counts, path: SignalPath) -> None:
    """White noise at full scale: whatever the filters let through, it has."""
    limit = 1 << path.counts_bits - 1
    counts[:] = np.random.default_rng(1).choice([1 - limit, limit - 2], counts.shape)


def _humming(counts: Counts, path: SignalPath) -> None:
    turns = np.arange(len(counts)) * (path.gates.mains_step / 2**32)
    counts[:, 0] = np.rint((1 << path.counts_bits - 2) * np.sin(2 * np.pi * turns))


FAULTS: Final[dict[Flag, Fault]] = {
    Flag.SATURATED: _saturated,
    Flag.FLAT: _flat,
    Flag.SLOPE: _steep,
    Flag.AMPLITUDE: _loud,
    Flag.MAINS: _humming,
}


@pytest.mark.parametrize("flag", FAULTS, ids=lambda flag: flag.name.lower())
def test_fault_of_an_electrode(
    link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle, flag: Flag
) -> None:
    path = bundle.signal_path
    gates = path.gates
    lasts = {
        Flag.SATURATED: gates.saturated_run,
        Flag.FLAT: gates.flat_run,
        Flag.SLOPE: 2 * bool(gates.slope),
        Flag.AMPLITUDE: path.window_samples * bool(gates.amplitude),
        Flag.MAINS: MEANS << gates.mains_shift if gates.mains_step else 0,
    }[flag]
    if not lasts:
        pytest.skip("the bundle's signal path does not look for it")
    before, after = path.samples_for(1), path.hop_samples
    counts = np.resize(golden.counts, (before + lasts + after, len(path.channels))).astype(np.int64)
    FAULTS[flag](counts[before : before + lasts], path)
    expected = pipeline.push(counts)
    same_on_the_device(link, counts, expected)
    assert any(d.flags & flag for d in expected), "the fault was not flagged: the test shows nothing"


def test_lead_off(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    """The front end's word: said by the electrodes that matter, by those that do not, by none."""
    path = bundle.signal_path
    every = sum({lead_bit(c) for c in range(len(path.channels))})
    matter, others = every & path.gates.lead_mask, every & ~path.gates.lead_mask
    expected: list[Decision] = []
    got: list[Decision] = []
    at = 0
    link.start()
    hop, forgotten = path.hop_samples, path.window_samples + path.hop_samples
    for lead_off, samples in ((others, path.samples_for(1)), (matter, hop), (0, forgotten)):
        piece = np.resize(golden.counts, (samples, len(path.channels)))
        made = pipeline.push(piece, at, lead_off)
        assert bool(made[-1].flags & Flag.LEAD_OFF) == bool(lead_off & matter)
        expected += made
        got += decisions(link, piece, at, lead_off)
        at += samples
    compared = compare("decision", decision_rows(expected), decision_rows(got))
    assert compared.differing == 0, f"decisions differ, first {compared.first}"
    assert link.status().windows_spoiled == pipeline.spoiled


def decisions(link: Link, counts: NDArray[np.integer[Any]], first: int, lead_off: int) -> list[Decision]:
    stream = link.stream(counts, first, lead_off=lead_off)
    return [event for event in stream if isinstance(event, Decision)]


def same_on_the_device(link: Link, counts: NDArray[np.integer[Any]], expected: list[Decision]) -> None:
    link.start()
    compared = compare("decision", decision_rows(expected), decision_rows(decisions(link, counts, 0, 0)))
    assert compared.differing == 0, f"decisions differ, first {compared.first}"
