"""The simulated EMG against its formulas, worked independently, and against published ranges of real EMG."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt, welch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from edge.errors import InnervateError
from train.recording import Recording
from train.simulate import volume_conductor
from train.simulate.forearm import (
    FIBRES_PER_TWITCH,
    GESTURES,
    MUSCLES,
    REST,
    Forearm,
    Sitting,
    draw_forearm,
    draw_sitting,
)
from train.simulate.motor_units import MotorUnitPool, spike_trains
from train.simulate.semg import STEP_S, emg, simulate
from train.simulate.volume_conductor import ElectrodePairs, MotorUnits, action_potentials

Floats = NDArray[np.float64]

LABELS = (REST, *GESTURES)


@pytest.fixture(scope="module")
def pool() -> MotorUnitPool:
    return MotorUnitPool.of_size(120)


@pytest.fixture(scope="module")
def arm() -> tuple[Forearm, Sitting]:
    forearm = draw_forearm(LABELS, np.random.default_rng(3))
    return forearm, draw_sitting(forearm, 8, np.random.default_rng(4))


@pytest.fixture(scope="module")
def corpus() -> list[Recording]:
    """The default simulation of the demo."""
    return list(simulate())


# --- motor units: Fuglevand, Winter and Patla 1993


def test_small_units_are_recruited_first(pool: MotorUnitPool) -> None:
    """Henneman's size principle, with the 30-fold and 100-fold ranges of the paper."""
    assert np.all(np.diff(pool.threshold) > 0)
    assert np.all(np.diff(pool.twitch) > 0)
    assert 28 < pool.threshold[-1] / pool.threshold[0] <= 30
    assert 95 < pool.twitch[-1] / pool.twitch[0] <= 100
    for excitation in (2.0, 10.0, 25.0):
        firing = pool.rates_hz(np.array([excitation]))[:, 0] > 0
        assert firing.sum() == np.argmin(firing)  # the units up to one size, none beyond


def test_firing_rates_lie_in_the_published_range(pool: MotorUnitPool) -> None:
    rates = pool.rates_hz(np.linspace(0.0, pool.max_excitation, 200))
    firing = rates[rates > 0]
    assert firing.min() >= 8.0
    assert firing.max() <= 35.0
    assert np.all(np.diff(rates, axis=1) >= 0)
    full = rates[:, -1]
    assert np.all(np.diff(full) < 0)  # early units fire faster ("onion skin")


def test_force_rises_with_excitation_and_is_inverted(pool: MotorUnitPool) -> None:
    excitation = np.linspace(1.2, pool.max_excitation, 100)
    force = pool.force(excitation)
    assert np.all(np.diff(force) > 0)
    assert pool.force(np.array([0.0]))[0] == 0.0
    assert force[-1] == pytest.approx(1.0)
    np.testing.assert_allclose(pool.force(pool.excitation(force)), force, atol=2e-3)


def test_force_of_unfused_twitches_is_their_mean() -> None:
    """Of few, fast units the force is the time average of the twitches, summed here one by one."""
    fast = MotorUnitPool(threshold=np.array([1.0, 2.0]), twitch=np.array([50.0, 100.0]))
    time_s = np.arange(0.0, 1.0, 1e-4)
    mean = []
    for excitation in (1.5, 2.5):
        total = 0.0
        for rate, peak in zip(fast.rates_hz(np.array([excitation]))[:, 0], fast.twitch, strict=True):
            contraction_s = 0.090 * peak ** (-math.log(3.0) / math.log(100.0))
            assert rate * contraction_s < 0.4
            twitch = peak * time_s / contraction_s * np.exp(1.0 - time_s / contraction_s)
            total += rate * np.sum(twitch) * 1e-4
        mean.append(total)
    force = fast.force(np.array([1.5, 2.5]))
    assert force[1] / force[0] == pytest.approx(mean[1] / mean[0], rel=1e-3)


def test_spike_trains_keep_rate_and_variability() -> None:
    rates = np.tile(np.array([[8.0], [20.0], [35.0]]), (1, 6000))
    for rate, times in zip(
        (8.0, 20.0, 35.0), spike_trains(rates, 0.01, np.random.default_rng(0)), strict=True
    ):
        intervals = np.diff(times)
        assert intervals.min() > 0
        assert 1.0 / intervals.mean() == pytest.approx(rate, rel=0.04)
        assert intervals.std() / intervals.mean() == pytest.approx(0.2, abs=0.03)


def test_spike_trains_are_silent_below_threshold_and_start_in_order(pool: MotorUnitPool) -> None:
    ramp = np.linspace(0.0, pool.max_excitation, 800)
    rates = pool.rates_hz(ramp)
    trains = spike_trains(rates, 0.01, np.random.default_rng(1))
    first = np.array([train[0] for train in trains])
    recruited = np.argmax(rates > 0, axis=1) * 0.01
    assert np.all(first >= recruited)
    assert np.corrcoef(np.argsort(np.argsort(first)), np.arange(120))[0, 1] > 0.97
    silent = spike_trains(np.zeros((2, 100)), 0.01, np.random.default_rng(1))
    assert [len(train) for train in silent] == [0, 0]


# --- volume conductor


def test_tripole_is_the_integral_of_rosenfalcks_membrane_current() -> None:
    def current(z: float) -> float:
        return 96.0 * (6.0 * z - 6.0 * z**2 + z**3) * math.exp(-z)

    lobes = (0.0, 3.0 - math.sqrt(3.0), 3.0 + math.sqrt(3.0), 60.0)
    for i in range(3):
        strength = quad(current, lobes[i], lobes[i + 1])[0]
        moment = quad(lambda z: z * current(z), lobes[i], lobes[i + 1])[0]
        assert strength == pytest.approx(volume_conductor.TRIPOLE_V_PER_M[i])
        assert moment / strength == pytest.approx(volume_conductor.TRIPOLE_LAG_MM[i])
    assert abs(volume_conductor.TRIPOLE_V_PER_M.sum()) < 1e-9  # no net charge leaves the fibre


def one_unit(depth_mm: float, *, endplate_mm: float = -40.0, scatter_mm: float = 0.0) -> MotorUnits:
    """A unit of 100 fibres in one line under the origin of the skin, 4 m/s."""

    def one(value: float) -> Floats:
        return np.array([value])

    return MotorUnits(
        x_mm=one(-depth_mm)[:, None],
        y_mm=one(0.0)[:, None],
        endplate_mm=one(endplate_mm),
        proximal_mm=one(50.0),
        distal_mm=one(100.0),
        velocity_m_per_s=one(4.0),
        scatter_mm=one(scatter_mm),
        fibres=one(100.0),
    )


def pair(z_mm: float = 0.0, spacing_mm: float = 20.0, y_mm: float = 0.0) -> ElectrodePairs:
    return ElectrodePairs(np.array([[0.0]]), np.array([[y_mm]]), z_mm, spacing_mm)


def potential_uv(depth_mm: float, pair_z_mm: tuple[float, float], time_s: float) -> float:
    """One moment of the same unit in plain SI units: six charges, two electrodes."""
    total = 0.0
    for electrode_mm, sign in zip(pair_z_mm, (1.0, -1.0), strict=True):
        for direction, length_mm in ((1.0, 100.0), (-1.0, 50.0)):
            for gradient, lag_mm in zip(
                volume_conductor.TRIPOLE_V_PER_M, volume_conductor.TRIPOLE_LAG_MM, strict=True
            ):
                way_mm = min(max(4.0 * 1000.0 * time_s - lag_mm, 0.0), length_mm)
                z_m = (electrode_mm - (-40.0 + direction * way_mm)) / 1000.0
                ampere = math.pi * (27.5e-6) ** 2 * 1.01 * gradient * 100.0
                r_m = depth_mm / 1000.0
                volt = (
                    2.0
                    * ampere
                    / (4.0 * math.pi * math.sqrt(0.063) * math.sqrt(0.33 * r_m**2 + 0.063 * z_m**2))
                )
                total += sign * volt * 1e6
    return total


def test_action_potential_is_the_field_of_six_moving_charges() -> None:
    got = action_potentials(one_unit(6.0), pair(), 1000.0, 0.045)[0, :, 0]
    expected = [potential_uv(6.0, (-10.0, 10.0), n / 1000.0) for n in range(45)]
    np.testing.assert_allclose(got, expected, atol=1e-4 * np.ptp(expected))


def test_action_potential_travels_with_the_conduction_velocity() -> None:
    near, far = (
        action_potentials(one_unit(6.0), pair(z_mm, 10.0), 10_000.0, 0.045)[0, :, 0] for z_mm in (-5.0, 15.0)
    )
    lag = np.argmax(np.correlate(far, near, "full")) - (len(near) - 1)
    assert 0.020 / (lag / 10_000.0) == pytest.approx(4.0, rel=0.05)


def test_scattered_endplates_blur_the_action_potential() -> None:
    sharp = action_potentials(one_unit(4.0), pair(), 10_000.0, 0.045)[0, :, 0]
    blurred = action_potentials(one_unit(4.0, scatter_mm=2.0), pair(), 10_000.0, 0.045)[0, :, 0]
    expected = gaussian_filter1d(sharp, 0.002 / 4.0 * 10_000.0, mode="constant", truncate=8.0)
    inside = slice(40, -40)
    np.testing.assert_allclose(blurred[inside], expected[inside], atol=2e-3 * np.ptp(sharp))


def median_frequency(signal: Floats, fs_hz: float = 1000.0) -> float:
    frequency, power = welch(signal, fs_hz, nperseg=512)
    share = np.cumsum(power) / power.sum()
    return float(frequency[np.searchsorted(share, 0.5)])


def test_depth_takes_amplitude_and_high_frequencies() -> None:
    """Fuglevand et al. 1992: little comes from beyond 10-12 mm, and its spectrum falls steeply."""
    potentials = [
        action_potentials(one_unit(depth), pair(), 1000.0, 0.045)[0, :, 0] for depth in (4, 8, 12, 20)
    ]
    energy = [float(np.sum(p.astype(np.float64) ** 2)) for p in potentials]
    assert energy[0] > energy[1] > energy[2] > energy[3]
    assert energy[2] < 0.05 * energy[0]
    spectra = [np.abs(np.fft.rfft(p, 1024)) ** 2 for p in potentials]
    medians = [int(np.searchsorted(np.cumsum(s), s.sum() / 2)) for s in spectra]
    assert medians[0] > medians[1] > medians[2] > medians[3]


def test_crosstalk_falls_with_the_angle(arm: tuple[Forearm, Sitting]) -> None:
    """De Luca and Merletti 1988 found at most 17 % of the amplitude over a neighbouring muscle."""
    forearm, sitting = arm
    potentials = action_potentials(forearm.units, sitting.electrodes, 1000.0, 0.048)
    centre = np.arctan2(sitting.electrodes.y_mm, sitting.electrodes.x_mm).mean(axis=1)
    for index, (name, (degrees, depth)) in enumerate(MUSCLES.items()):
        if depth > 10:
            continue
        rms = np.sqrt(np.mean(potentials.reshape(len(MUSCLES), -1, 48, 8)[index] ** 2, axis=(0, 1)))
        away = np.abs(np.angle(np.exp(1j * (centre - np.deg2rad(degrees)))))
        order = np.argsort(away)
        assert np.argmax(rms) in order[:2], name
        assert np.all(rms[away > np.deg2rad(80)] < 0.17 * rms.max()), name


# --- the sum


def steady(arm: tuple[Forearm, Sitting], muscle: str, force: float, fs_hz: float = 1000.0) -> Floats:
    """EMG of one muscle at constant force for 3 s, microvolts [samples, channels]."""
    forces = np.zeros((300, len(MUSCLES)))
    forces[:, list(MUSCLES).index(muscle)] = force
    return emg(arm[0], forces, arm[1].electrodes, fs_hz, np.random.default_rng(5))


def test_amplitude_grows_with_force_and_is_of_the_right_size(arm: tuple[Forearm, Sitting]) -> None:
    """Surface EMG is 0.1 to some 1 mV RMS in strong contractions, tens of microvolts in light ones."""
    for muscle in ("flexor_carpi_radialis", "extensor_digitorum", "flexor_digitorum_profundus"):
        rms = [
            float(np.sqrt(np.mean(steady(arm, muscle, force)[100:] ** 2, axis=0)).max())
            for force in (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
        ]
        assert np.all(np.diff(rms) > 0), (muscle, rms)
    superficial = np.sqrt(np.mean(steady(arm, "extensor_digitorum", 0.5)[100:] ** 2, axis=0)).max()
    assert 50.0 < superficial < 1500.0


def test_superposition_is_a_plain_convolution(arm: tuple[Forearm, Sitting]) -> None:
    """Every spike of every unit adds its action potential once."""
    forearm, sitting = arm
    force = np.zeros((1000, len(MUSCLES)))
    force[:, 3] = 0.01
    got = emg(forearm, force, sitting.electrodes, 1000.0, np.random.default_rng(6))
    rng = np.random.default_rng(6)
    expected = np.zeros((10_000 + 48, 8))
    potentials = action_potentials(forearm.units, sitting.electrodes, 1000.0, 0.048)
    unit = 0
    for muscle in range(len(MUSCLES)):
        rates = forearm.pool.rates_hz(forearm.pool.excitation(force[:, muscle]))
        for times in spike_trains(rates, STEP_S, rng):
            for time in times:
                start = int(time * 1000.0)
                expected[start : start + 48] += potentials[unit]
            unit += 1
    assert np.abs(got).max() > 1.0
    np.testing.assert_allclose(got, expected[:10_000], atol=1e-3)


def test_sampling_rate_does_not_change_the_signal(arm: tuple[Forearm, Sitting]) -> None:
    slow, fast = (steady(arm, "flexor_carpi_ulnaris", 0.3, fs_hz) for fs_hz in (1000.0, 4000.0))
    assert len(fast) == 4 * len(slow)
    rms = [np.sqrt(np.mean(signal**2, axis=0)) for signal in (slow, fast)]
    np.testing.assert_allclose(rms[0], rms[1], rtol=0.1)
    frequency, power = welch(fast, 4000.0, nperseg=1024, axis=0)
    assert power[frequency > 500.0].sum() < 0.01 * power.sum()  # 1000 Hz aliases nothing worth speaking of


# --- recordings


def holds(recording: Recording) -> list[tuple[str, Floats]]:
    """Label and band-passed microvolts of every annotated stretch."""
    sos = butter(4, (20.0, 450.0), "bandpass", fs=recording.fs_hz, output="sos")
    signal = sosfilt(sos, recording.signals * recording.uv_per_count, axis=0)
    return [(a.label, signal[a.onset : a.onset + a.duration]) for a in recording.annotations]


def test_recordings_are_complete_and_valid(corpus: list[Recording]) -> None:
    assert [r.id for r in corpus] == [f"S{s:02d}/{n}" for s in range(1, 9) for n in (1, 2)]
    for recording in corpus:
        recording.validate()
        assert recording.signals.dtype == np.int32
        assert recording.signals.shape[1] == len(recording.channels) == 8
        labels = [a.label for a in recording.annotations]
        assert {label: labels.count(label) for label in labels} == dict.fromkeys(LABELS, 4)
        assert {a.duration for a in recording.annotations} == {2000}
        assert np.abs(recording.signals).max() < 32_767  # nothing clips at these efforts


def test_labels_cover_the_established_contraction(corpus: list[Recording]) -> None:
    recording = corpus[0]
    sos = butter(4, (20.0, 450.0), "bandpass", fs=1000.0, output="sos")
    signal = sosfilt(sos, recording.signals * recording.uv_per_count, axis=0)

    def rms(start: int, stop: int) -> float:
        return float(np.sqrt(np.mean(signal[start:stop] ** 2)))

    for a in recording.annotations:
        hold = rms(a.onset, a.onset + a.duration)
        if a.label == REST:
            assert hold < 30.0
        else:
            assert rms(a.onset, a.onset + 200) > 0.6 * hold
            assert rms(a.onset + a.duration - 200, a.onset + a.duration) > 0.6 * hold
            assert rms(a.onset - 800, a.onset - 450) < 0.6 * hold


def test_spectrum_is_that_of_surface_emg(corpus: list[Recording]) -> None:
    """Median frequencies of forearm muscles under bipolar electrodes are reported from 60 to 150 Hz."""
    medians = []
    for recording in corpus:
        for label, signal in holds(recording):
            if label != REST:
                strongest = np.argmax(np.mean(signal**2, axis=0))
                medians.append(median_frequency(signal[:, strongest]))
    assert 70.0 < np.median(medians) < 130.0
    assert np.percentile(medians, 2) > 58.0
    assert np.percentile(medians, 98) < 150.0


def test_mains_stands_out_of_the_resting_spectrum(corpus: list[Recording]) -> None:
    for recording in corpus[:4]:
        at_rest = np.concatenate(
            [
                recording.signals[a.onset : a.onset + a.duration]
                for a in recording.annotations
                if a.label == REST
            ]
        )
        frequency, power = welch(at_rest * recording.uv_per_count, 1000.0, nperseg=2000, axis=0)
        for mains in (50.0, 150.0):
            line = power[np.abs(frequency - mains) < 1.0].max(axis=0)
            floor = np.median(power[np.abs(np.abs(frequency - mains) - 6.0) < 3.0], axis=0)
            assert np.median(line / floor) > 10.0


def pattern(recording: Recording) -> Floats:
    """Mean log RMS of every channel in every gesture, float64 [gestures, channels]."""
    found: dict[str, list[Floats]] = {}
    for label, signal in holds(recording):
        found.setdefault(label, []).append(np.log(np.sqrt(np.mean(signal**2, axis=0))))
    return np.array([np.mean(found[label], axis=0) for label in GESTURES])


def test_gestures_differ_more_than_sessions_and_subjects_more_than_sessions(corpus: list[Recording]) -> None:
    patterns = np.array([pattern(r) for r in corpus]).reshape(8, 2, len(GESTURES), 8)

    def distance(a: Floats, b: Floats) -> float:
        return float(np.sqrt(np.mean((a - b) ** 2)))

    session = np.mean([distance(p[0], p[1]) for p in patterns])
    subject = np.mean([distance(patterns[i, 0], patterns[j, 0]) for i in range(8) for j in range(i)])
    gesture = np.mean([distance(p[0, i], p[0, j]) for p in patterns for i in range(6) for j in range(i)])
    assert 0.1 < session < 0.75 * subject
    assert subject < gesture


def features(window: Floats) -> Floats:
    """Hudgins' set of a window [samples, channels]: MAV, waveform length, zero crossings, slope changes."""
    step = np.diff(window, axis=0)
    crossings = np.sum((window[1:] * window[:-1] < 0) & (np.abs(step) > 2.0), axis=0)
    turns = np.sum(
        (step[1:] * step[:-1] < 0) & (np.maximum(np.abs(step[1:]), np.abs(step[:-1])) > 2.0), axis=0
    )
    return np.concatenate([np.mean(np.abs(window), axis=0), np.sum(np.abs(step), axis=0), crossings, turns])


def test_difficulty_is_that_of_real_gestures(corpus: list[Recording]) -> None:
    """A linear discriminant on Hudgins' features: good within a session, worse over sessions and people.

    As with real forearm EMG it does well where it was trained, loses some ten points when the electrodes are
    put on anew, and more on people it has never seen.
    """
    rows, labels, groups = [], [], []
    for recording in corpus:
        seen = dict.fromkeys(LABELS, 0)
        for label, signal in holds(recording):
            seen[label] += 1
            for start in range(0, len(signal) - 199, 100):
                rows.append(features(signal[start : start + 200]))
                labels.append(label)
                groups.append((recording.subject, recording.session, seen[label]))
    x, y = np.array(rows), np.array(labels)
    subject, session, repetition = (np.array(column) for column in zip(*groups, strict=True))

    def accuracy(train: NDArray[np.bool_], test: NDArray[np.bool_]) -> float:
        return float(LinearDiscriminantAnalysis().fit(x[train], y[train]).score(x[test], y[test]))

    people = np.unique(subject)
    here = [(subject == p) & (session == "1") for p in people]
    within = np.mean([accuracy(h & (repetition != 4), h & (repetition == 4)) for h in here])
    across = np.mean(
        [accuracy(h, (subject == p) & (session == "2")) for h, p in zip(here, people, strict=True)]
    )
    unseen = np.mean([accuracy(subject != p, subject == p) for p in people])
    assert 0.85 < within < 0.995
    assert 0.72 < across < 0.95
    assert 0.55 < unseen < 0.88
    assert unseen < within
    assert across < within


def test_same_seed_same_bytes_and_people_do_not_depend_on_their_number(corpus: list[Recording]) -> None:
    again = list(simulate(subjects=1, sessions=2))
    for a, b in zip(again, corpus[:2], strict=True):
        assert a.signals.tobytes() == b.signals.tobytes()
        assert a.annotations == b.annotations
    other = next(simulate(subjects=1, sessions=1, seed=1))
    assert other.signals.tobytes() != corpus[0].signals.tobytes()
    assert len({recording.signals.tobytes() for recording in corpus}) == len(corpus)


def test_progress_counts_recordings() -> None:
    seen: list[tuple[int, int]] = []
    some = list(
        simulate(2, 2, 1, ("rest", "fist"), hold_s=0.2, progress=lambda done, of: seen.append((done, of)))
    )
    assert len(some) == 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"subjects": 0}, "0 subjects"),
        ({"sessions": 0}, "0 sessions"),
        ({"repetitions": -1}, "-1 repetitions"),
        ({"gestures": ()}, "no gesture"),
        ({"gestures": ("rest", "moonwalk")}, "moonwalk"),
        ({"fs_hz": 200.0}, "200 Hz"),
        ({"fs_hz": float("nan")}, "nan Hz"),
        ({"hold_s": 0.0}, "0 s"),
        ({"seed": -1}, "-1"),
    ],
)
def test_bad_arguments_are_refused_in_a_sentence(arguments: dict[str, object], words: str) -> None:
    with pytest.raises(InnervateError, match=words):
        next(simulate(**arguments))  # type: ignore[arg-type]


def test_muscles_have_a_plausible_number_of_fibres() -> None:
    """Tens of thousands in a forearm muscle, as counted post mortem."""
    units = MotorUnitPool.of_size(80)
    assert 20_000 < FIBRES_PER_TWITCH * units.twitch.sum() < 100_000
