"""Simulated surface EMG: subjects who make gestures with a band of electrodes round the forearm."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from edge.errors import InnervateError
from train.recording import Annotation, Recording
from train.simulate.forearm import GESTURES, MUSCLES, REST, Forearm, Sitting, draw_forearm, draw_sitting
from train.simulate.interference import interference, wander
from train.simulate.motor_units import spike_trains
from train.simulate.volume_conductor import ElectrodePairs, action_potentials

CHANNELS = tuple(f"E{i}" for i in range(1, 9))
COUNTS_BITS = 16
UV_PER_COUNT = 0.25  # full scale +-8.2 mV

GAP_S = 0.5  # hand relaxed between two trials
RAMP_S = 0.4  # the contraction builds up, and is let go
STEP_S = 0.01  # of what moves slowly: force, firing rates
_POTENTIAL_S = 0.048  # the slowest unit has reached the tendon
_BLOCK = 4096  # samples superposed at once, to bound memory

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Trial:
    """One gesture made once; times in steps of STEP_S from the start of the session."""

    gesture: int
    start: int
    hold: int
    release: int
    end: int


def simulate(
    subjects: int = 8,
    sessions: int = 2,
    repetitions: int = 4,
    gestures: tuple[str, ...] = (REST, *GESTURES),
    fs_hz: float = 1000.0,
    hold_s: float = 2.0,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Recording]:
    """Simulate sessions of surface EMG.

    The same arguments give the same counts. A subject stays the same however many subjects, sessions or
    repetitions are asked for.

    Args:
        subjects: how many people.
        sessions: how often each puts on the band.
        repetitions: how often each gesture is made in a session, each time in a new random order.
        gestures: labels, from GESTURES or "rest".
        fs_hz: sampling rate, 800 to 4000 Hz.
        hold_s: how long each gesture is held; its label covers the hold, not the ramps before and after.
        seed: other seeds give other people.
        progress: called after each recording with how many are done, and of how many.

    Yields:
        One Recording a subject and session: 16-bit counts, int32 [samples, 8].

    Raises:
        InnervateError: an argument is out of its range, or a gesture unknown.
    """
    _check(subjects, sessions, repetitions, gestures, fs_hz, hold_s, seed)
    for subject in range(subjects):
        forearm = draw_forearm(gestures, np.random.default_rng([seed, subject]))
        for session in range(sessions):
            rng = np.random.default_rng([seed, subject, 1 + session])
            sitting = draw_sitting(forearm, len(CHANNELS), rng)
            trials = protocol(len(gestures), repetitions, hold_s, rng)
            force = muscle_force(sitting, trials, rng)
            signal_uv = sitting.gain * emg(forearm, force, sitting.electrodes, fs_hz, rng)
            movements_s = [step * STEP_S for trial in trials for step in (trial.start, trial.release)]
            signal_uv += interference(len(signal_uv), len(CHANNELS), movements_s, fs_hz, rng)
            yield Recording(
                signals=_to_counts(signal_uv),
                fs_hz=fs_hz,
                channels=CHANNELS,
                counts_bits=COUNTS_BITS,
                uv_per_count=UV_PER_COUNT,
                subject=f"S{subject + 1:02d}",
                session=str(session + 1),
                annotations=tuple(_annotation(trial, gestures, fs_hz) for trial in trials),
                provenance=f"simulated: seed {seed}, {repetitions} repetitions held {hold_s:g} s",
            )
            if progress is not None:
                progress(subject * sessions + session + 1, subjects * sessions)


def protocol(gestures: int, repetitions: int, hold_s: float, rng: np.random.Generator) -> list[Trial]:
    """Plan every gesture once in each repetition, in random order, the hand relaxed for GAP_S in between."""
    gap, ramp, hold = (round(seconds / STEP_S) for seconds in (GAP_S, RAMP_S, hold_s))
    trials: list[Trial] = []
    for _ in range(repetitions):
        for gesture in rng.permutation(gestures):
            start = (trials[-1].end if trials else 0) + gap
            release = start + ramp + hold
            trials.append(Trial(int(gesture), start, start + ramp, release, release + ramp))
    return trials


def muscle_force(sitting: Sitting, trials: list[Trial], rng: np.random.Generator) -> Floats:
    """Make the force of every muscle over a session: ramp, wavering hold, ramp, and a little tone throughout.

    Returns:
        Fraction of the maximal contraction, float64 [steps of STEP_S, muscles]; ends GAP_S after the last
        trial.
    """
    muscles = sitting.force.shape[1]
    steps = trials[-1].end + round(GAP_S / STEP_S)
    force = np.zeros((steps, muscles))
    for trial in trials:
        rise = trial.hold - trial.start
        up = 0.5 - 0.5 * np.cos(np.pi * (np.arange(rise) + 0.5) / rise)
        envelope = np.concatenate([up, np.ones(trial.release - trial.hold), up[::-1]])
        # nobody makes a gesture twice alike: overall effort, share of each muscle, needless co-contraction
        aim = sitting.force[trial.gesture]
        made = aim * rng.lognormal(0.0, 0.3) * rng.lognormal(0.0, 0.25, muscles)
        made += rng.exponential(0.015, muscles) * aim.any()
        force[trial.start : trial.end] += envelope[:, None] * made
    # a held force wavers by some per cent, mostly below 2 Hz, partly in all muscles together
    force *= 1.0 + 0.05 * wander(steps, 1, 1.5, STEP_S, rng) + 0.05 * wander(steps, muscles, 1.5, STEP_S, rng)
    force += rng.exponential(0.002, muscles)
    return np.clip(force, 0.0, 1.0)


def emg(
    forearm: Forearm, force: Floats, electrodes: ElectrodePairs, fs_hz: float, rng: np.random.Generator
) -> Floats:
    """Sum the action potentials of all motor units.

    Args:
        forearm: whose.
        force: of each muscle, fraction of its maximum, float64 [steps of STEP_S, muscles].
        electrodes: where the band sits.
        fs_hz: sampling rate.
        rng: of the firing times.

    Returns:
        Microvolts, float64 [samples, channels].
    """
    samples = round(len(force) * STEP_S * fs_hz)
    pool = forearm.pool
    trains = [
        train
        for muscle in range(len(MUSCLES))
        for train in spike_trains(pool.rates_hz(pool.excitation(force[:, muscle])), STEP_S, rng)
    ]
    unit = np.repeat(np.arange(len(trains)), [len(train) for train in trains])
    at = np.minimum((np.concatenate(trains) * fs_hz).astype(np.int64), samples - 1)
    impulses = csr_matrix((np.ones(len(at), np.float32), (at, unit)), shape=(samples, len(trains)))
    potentials = action_potentials(forearm.units, electrodes, fs_hz, _POTENTIAL_S)
    _, length, channels = potentials.shape
    kernel = potentials.reshape(len(trains), length * channels)
    total = np.zeros((samples + length, channels))
    for start in range(0, samples, _BLOCK):
        echoes = (impulses[start : start + _BLOCK] @ kernel).reshape(-1, length, channels)
        for lag in range(length):
            total[start + lag : start + lag + len(echoes)] += echoes[:, lag]
    return total[:samples]


def _to_counts(signal_uv: Floats) -> NDArray[np.int32]:
    """Round to counts and clip at full scale, as the converter does."""
    limit = 2 ** (COUNTS_BITS - 1)
    counts: NDArray[np.int32] = np.clip(np.rint(signal_uv / UV_PER_COUNT), -limit, limit - 1).astype(np.int32)
    return counts


def _annotation(trial: Trial, gestures: tuple[str, ...], fs_hz: float) -> Annotation:
    onset, end = (round(step * STEP_S * fs_hz) for step in (trial.hold, trial.release))
    return Annotation(onset=onset, duration=end - onset, label=gestures[trial.gesture])


def _check(
    subjects: int,
    sessions: int,
    repetitions: int,
    gestures: tuple[str, ...],
    fs_hz: float,
    hold_s: float,
    seed: int,
) -> None:
    """Refuse arguments out of range."""
    for name, count in (("subjects", subjects), ("sessions", sessions), ("repetitions", repetitions)):
        if count < 1:
            raise InnervateError(f"Cannot simulate {count} {name}", name, "Give 1 or more")
    if not gestures:
        raise InnervateError("There is no gesture to simulate", "gestures", "Name at least one")
    for gesture in gestures:
        if gesture != REST and gesture not in GESTURES:
            known = ", ".join((REST, *GESTURES))
            raise InnervateError(f"Cannot simulate gesture '{gesture}'", "gestures", f"Choose from {known}")
    if not 800.0 <= fs_hz <= 4000.0:
        raise InnervateError(f"Cannot simulate EMG at {fs_hz:g} Hz", "fs_hz", "Give 800 to 4000 Hz")
    if not 0.1 <= hold_s <= 60.0:
        raise InnervateError(f"Cannot hold a gesture for {hold_s:g} s", "hold_s", "Give 0.1 to 60 s")
    if seed < 0:
        raise InnervateError(f"Seed {seed} is negative", "seed", "Give 0 or more")
