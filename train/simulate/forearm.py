"""A forearm in cross-section: its muscles, what a gesture asks of them, how people and sessions differ."""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from train.simulate.motor_units import MotorUnitPool
from train.simulate.volume_conductor import AXIAL_S_PER_M, RADIAL_S_PER_M, ElectrodePairs, MotorUnits

Floats = NDArray[np.float64]

UNITS = 80  # motor units a muscle
BUNDLES = 5  # points that stand for the fibres of one unit
FIBRES_PER_TWITCH = 22.0  # 22 fibres in the smallest unit, 2,200 in the largest, some 40,000 in a muscle
FIBRES_PER_MM2 = 20.0  # of one unit in its territory (Fuglevand, Winter, Patla and Stashuk 1992)
MUSCLE_RADIUS_MM = 8.0
SPACING_MM = 15.0  # between the two bars of a channel
WIDTH_MM = 10.0  # of a bar, round the limb
# Fat and skin conduct alike in all directions: a spatial frequency fades in 1 mm of them as in so many mm of
# muscle.
FAT_AS_MUSCLE = float(np.sqrt(RADIAL_S_PER_M / AXIAL_S_PER_M))

# Muscle: angle round the limb in degrees (0 = volar, towards the thumb side positive) and depth of its axis
# under the fascia in mm. After the order and layers of the muscles in the proximal third of the forearm, in
# round numbers.
MUSCLES: dict[str, tuple[float, float]] = {
    "pronator_teres": (48.0, 8.5),
    "brachioradialis": (84.0, 8.5),
    "extensor_carpi_radialis": (118.0, 8.5),
    "extensor_digitorum": (158.0, 8.5),
    "extensor_pollicis": (150.0, 19.0),
    "extensor_carpi_ulnaris": (200.0, 8.5),
    "flexor_digitorum_profundus": (262.0, 19.0),
    "flexor_carpi_ulnaris": (284.0, 8.5),
    "flexor_digitorum_superficialis": (328.0, 11.0),
    "flexor_carpi_radialis": (12.0, 8.5),
}

REST = "rest"
# Gesture: force of each muscle that takes part, as a fraction of its maximum, at a comfortable effort; after
# the actions and synergists that anatomy texts give, with the co-contraction that steadies the wrist.
GESTURES: dict[str, dict[str, float]] = {
    "fist": {
        "flexor_digitorum_superficialis": 0.40,
        "flexor_digitorum_profundus": 0.45,
        "extensor_carpi_radialis": 0.20,
        "extensor_carpi_ulnaris": 0.12,
        "flexor_carpi_ulnaris": 0.12,
        "flexor_carpi_radialis": 0.10,
        "extensor_digitorum": 0.08,
        "brachioradialis": 0.06,
    },
    "wrist_flexion": {
        "flexor_carpi_radialis": 0.38,
        "flexor_carpi_ulnaris": 0.34,
        "flexor_digitorum_superficialis": 0.18,
        "pronator_teres": 0.10,
        "flexor_digitorum_profundus": 0.10,
        "extensor_digitorum": 0.04,
    },
    "wrist_extension": {
        "extensor_carpi_radialis": 0.38,
        "extensor_carpi_ulnaris": 0.32,
        "extensor_digitorum": 0.22,
        "flexor_digitorum_superficialis": 0.06,
        "flexor_carpi_ulnaris": 0.04,
    },
    "radial_deviation": {
        "extensor_carpi_radialis": 0.30,
        "flexor_carpi_radialis": 0.26,
        "extensor_pollicis": 0.25,
        "brachioradialis": 0.15,
        "pronator_teres": 0.10,
        "extensor_digitorum": 0.06,
    },
    "ulnar_deviation": {
        "extensor_carpi_ulnaris": 0.36,
        "flexor_carpi_ulnaris": 0.34,
        "flexor_digitorum_profundus": 0.08,
        "extensor_digitorum": 0.08,
    },
    "open_hand": {
        "extensor_digitorum": 0.38,
        "extensor_pollicis": 0.30,
        "extensor_carpi_ulnaris": 0.14,
        "extensor_carpi_radialis": 0.12,
        "flexor_digitorum_superficialis": 0.06,
    },
}


@dataclass(frozen=True)
class Forearm:
    """One subject.

    Attributes:
        skin_radius_mm: of the limb under the electrodes.
        pool: the motor units that every muscle has.
        units: geometry of all motor units, muscle after muscle as in MUSCLES, each smallest unit first.
        force: habit of this subject: force of each muscle in each gesture, float64 [gestures, muscles].
        band_degrees: angle of the first electrode as this subject wears the band.
    """

    skin_radius_mm: float
    pool: MotorUnitPool
    units: MotorUnits
    force: Floats
    band_degrees: float


@dataclass(frozen=True)
class Sitting:
    """What differs from one session of a subject to the next.

    Attributes:
        electrodes: where the band sits this time.
        gain: skin impedance and electrode contact, float64 [channels].
        force: force of each muscle in each gesture today, float64 [gestures, muscles].
    """

    electrodes: ElectrodePairs
    gain: Floats
    force: Floats


def synergies(gestures: tuple[str, ...]) -> Floats:
    """Tabulate the force of each muscle in each gesture, float64 [gestures, muscles]; nothing at rest."""
    return np.array([[GESTURES.get(name, {}).get(muscle, 0.0) for muscle in MUSCLES] for name in gestures])


def draw_forearm(gestures: tuple[str, ...], rng: np.random.Generator) -> Forearm:
    """Draw a subject: limb, fat, where muscles and motor units lie, and how the gestures are made."""
    fascia_mm = rng.normal(38.0, 3.0)
    cover_mm = FAT_AS_MUSCLE * float(np.clip(rng.lognormal(np.log(5.7), 0.35), 2.3, 13.7))
    pool = MotorUnitPool.of_size(UNITS)
    muscles = [_draw_units(angle, depth, fascia_mm, pool, rng) for angle, depth in MUSCLES.values()]
    units = MotorUnits(*(np.concatenate([getattr(m, f.name) for m in muscles]) for f in fields(MotorUnits)))
    return Forearm(
        skin_radius_mm=fascia_mm + cover_mm,
        pool=pool,
        units=units,
        force=_vary(synergies(gestures), 0.35, 0.02, rng),
        band_degrees=rng.uniform(-12.0, 12.0),
    )


def draw_sitting(forearm: Forearm, channels: int, rng: np.random.Generator) -> Sitting:
    """Draw a session: the band sits a little turned and shifted, the skin differs, habits drift."""
    turn = forearm.band_degrees + rng.uniform(-3.0, 3.0)  # some 2 mm either way
    centre = np.deg2rad(turn + 360.0 * np.arange(channels) / channels)
    # the two points of Gauss and Legendre average over the width exactly up to third order
    angle = centre[:, None] + np.array([-1.0, 1.0]) / np.sqrt(3.0) * WIDTH_MM / 2.0 / forearm.skin_radius_mm
    return Sitting(
        electrodes=ElectrodePairs(
            x_mm=forearm.skin_radius_mm * np.cos(angle),
            y_mm=forearm.skin_radius_mm * np.sin(angle),
            z_mm=rng.uniform(-4.0, 4.0),
            spacing_mm=SPACING_MM,
        ),
        gain=rng.lognormal(0.0, 0.1, channels),
        force=_vary(forearm.force, 0.1, 0.005, rng),
    )


def _vary(force: Floats, spread: float, cocontraction: float, rng: np.random.Generator) -> Floats:
    """Scale each force by a log-normal factor and add a little co-contraction, except at rest."""
    active = np.any(force > 0.0, axis=1, keepdims=True)
    varied = force * rng.lognormal(0.0, spread, force.shape) + rng.exponential(cocontraction, force.shape)
    return np.where(active, varied, 0.0)


def _draw_units(
    angle_degrees: float, depth_mm: float, fascia_mm: float, pool: MotorUnitPool, rng: np.random.Generator
) -> MotorUnits:
    """Draw the motor units of one muscle, scattered over its cross-section."""
    count = len(pool.twitch)
    angle = np.deg2rad(angle_degrees + rng.normal(0.0, 6.0))
    axis_mm = fascia_mm - depth_mm - abs(rng.normal(0.0, 1.0))
    fibres = FIBRES_PER_TWITCH * pool.twitch
    territory = np.sqrt(fibres / (FIBRES_PER_MM2 * np.pi))
    # uniform in the disc that keeps a territory within the muscle
    distance = (MUSCLE_RADIUS_MM - territory) * np.sqrt(rng.random(count))
    direction = rng.uniform(0.0, 2.0 * np.pi, count)
    # one bundle in the middle of the territory, the others evenly on a circle in it, turned at random
    around = 2.0 * np.pi * (np.arange(BUNDLES) / (BUNDLES - 1) + rng.random((count, 1)))
    reach = territory[:, None] * np.where(np.arange(BUNDLES) == BUNDLES - 1, 0.0, 0.75)
    speed = 3.6 + 1.4 * np.arange(count) / count  # larger fibres conduct faster
    return MotorUnits(
        x_mm=axis_mm * np.cos(angle) + (distance * np.cos(direction))[:, None] + reach * np.cos(around),
        y_mm=axis_mm * np.sin(angle) + (distance * np.sin(direction))[:, None] + reach * np.sin(around),
        endplate_mm=rng.normal(-25.0, 8.0) + rng.normal(0.0, 4.0, count),
        proximal_mm=rng.normal(55.0, 5.0, count),
        distal_mm=rng.normal(75.0, 5.0, count),
        velocity_m_per_s=speed * rng.normal(1.0, 0.06, count),
        scatter_mm=np.full(count, 1.5),
        fibres=fibres,
    )
