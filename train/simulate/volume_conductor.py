"""What a pair of skin electrodes sees of one firing of a motor unit.

The membrane current of a muscle fibre is three point sources that leave the end-plate in both directions,
travel with the conduction velocity and come to rest at the tendon: McGill and Huynh, "A model of the
surface-recorded motor-unit action potential", Proc. Annual Conf. IEEE EMBS, 1988. Strength and spacing of the
three follow from Rosenfalck's intracellular potential 96 z^3 exp(-z) - 90 mV, z in mm (Acta Physiol. Scand.
Suppl. 321, 1969): its second derivative changes sign at z = 3 -+ sqrt(3); each lobe becomes a point source at
its centroid. The tissue is an infinite anisotropic conductor (Andreassen and Rosenfalck 1981: 0.33 S/m along
the fibres, 0.063 S/m across), with twice the potential at the skin, because air does not conduct.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AXIAL_S_PER_M = 0.33
RADIAL_S_PER_M = 0.063
INTRACELLULAR_S_PER_M = 1.01
FIBRE_RADIUS_M = 27.5e-6
SKIN_GAIN = 2.0  # image of the source in the insulating air

Floats = NDArray[np.float64]
Signals = NDArray[np.float32]


def _tripole() -> tuple[Floats, Floats]:
    """Reduce the membrane current to three sources: strengths in V/m of gradient, mm behind the front."""
    edges = np.array([0.0, 3.0 - np.sqrt(3.0), 3.0 + np.sqrt(3.0)])
    potential = 96.0 * edges**3 * np.exp(-edges)
    gradient = 96.0 * (3.0 * edges**2 - edges**3) * np.exp(-edges)
    moment = edges * gradient - potential  # the integral of z V''(z)
    strength = np.diff(np.append(gradient, 0.0))
    return strength, np.diff(np.append(moment, 0.0)) / strength


TRIPOLE_V_PER_M, TRIPOLE_LAG_MM = _tripole()


@dataclass(frozen=True)
class MotorUnits:
    """Geometry of motor units in a limb; `bundles` points stand for the fibres of one unit.

    The limb axis is z, its origin in the middle between the two rings of electrodes.

    Attributes:
        x_mm: fibre bundles across the limb, float64 [units, bundles].
        y_mm: the same, other axis.
        endplate_mm: z of the end-plate, float64 [units].
        proximal_mm: length of the fibres from end-plate towards negative z, float64 [units].
        distal_mm: length of the fibres from end-plate towards positive z, float64 [units].
        velocity_m_per_s: conduction velocity, float64 [units].
        scatter_mm: standard deviation of the end-plates along z, float64 [units].
        fibres: number of fibres, float64 [units].
    """

    x_mm: Floats
    y_mm: Floats
    endplate_mm: Floats
    proximal_mm: Floats
    distal_mm: Floats
    velocity_m_per_s: Floats
    scatter_mm: Floats
    fibres: Floats


@dataclass(frozen=True)
class ElectrodePairs:
    """Bipolar electrodes on the skin: one of each pair `spacing_mm` behind the other along the limb.

    An electrode averages the potential under it; `points` across its width stand for its surface.

    Attributes:
        x_mm: float64 [channels, points].
        y_mm: the same, other axis.
        z_mm: middle of the pairs along the limb.
        spacing_mm: between the centres of a pair.
    """

    x_mm: Floats
    y_mm: Floats
    z_mm: float
    spacing_mm: float


def action_potentials(
    units: MotorUnits, electrodes: ElectrodePairs, fs_hz: float, duration_s: float
) -> Signals:
    """Compute the action potential of each motor unit as each electrode pair sees it.

    Args:
        units: where the motor units lie.
        electrodes: where the electrodes lie.
        fs_hz: sampling rate, Hz.
        duration_s: length of the result; what the slowest unit needs to its tendon, or it ends in a step.

    Returns:
        Microvolts, float32 [units, samples, channels]; sample 0 is the firing at the end-plate.
    """
    time_s = np.arange(round(duration_s * fs_hz)) / fs_hz
    travelled = 1000.0 * units.velocity_m_per_s[:, None] * time_s  # mm [units, samples]
    front = travelled[:, None, :] - TRIPOLE_LAG_MM[:, None]  # [units, poles, samples]
    endplate = units.endplate_mm[:, None, None]
    distal = endplate + np.clip(front, 0.0, units.distal_mm[:, None, None])
    proximal = endplate - np.clip(front, 0.0, units.proximal_mm[:, None, None])
    sources = np.concatenate([distal, proximal], axis=1)  # [units, 6, samples]
    half = electrodes.spacing_mm / 2.0
    near = (sources - (electrodes.z_mm - half)).astype(np.float32) ** 2
    far = (sources - (electrodes.z_mm + half)).astype(np.float32) ** 2
    across = (units.x_mm[:, :, None, None] - electrodes.x_mm) ** 2
    across += (units.y_mm[:, :, None, None] - electrodes.y_mm) ** 2
    across = (AXIAL_S_PER_M / RADIAL_S_PER_M * across).astype(np.float32)
    bundles, channels, points = across.shape[1:]
    strength = np.tile(TRIPOLE_V_PER_M, 2).astype(np.float32)
    result = np.zeros((len(sources), len(time_s), channels), dtype=np.float32)
    for pole in range(len(strength)):
        for bundle, point in np.ndindex(bundles, points):
            radial = across[:, bundle, None, :, point]
            result += strength[pole] * (
                1.0 / np.sqrt(radial + near[:, pole, :, None]) - 1.0 / np.sqrt(radial + far[:, pole, :, None])
            )
    # a source of I ampere gives I / (4 pi sigma_r sqrt(r^2 sigma_z / sigma_r + z^2)); lengths here are in mm
    ampere_per_gradient = np.pi * FIBRE_RADIUS_M**2 * INTRACELLULAR_S_PER_M
    scale = 1e6 * SKIN_GAIN * ampere_per_gradient / (4.0 * np.pi * RADIAL_S_PER_M * 1e-3)
    result *= (scale * units.fibres / (bundles * points)).astype(np.float32)[:, None, None]
    return _blur(result, units.scatter_mm / (1000.0 * units.velocity_m_per_s), fs_hz)


def _blur(potentials: Signals, sigma_s: Floats, fs_hz: float) -> Signals:
    """Convolve each unit's potentials with a Gaussian: its fibres start at scattered end-plates."""
    samples = potentials.shape[1]
    length = 2 * samples  # no wrap-around
    frequency = np.fft.rfftfreq(length, 1.0 / fs_hz)
    kernel = np.exp(-2.0 * (np.pi * frequency * sigma_s[:, None]) ** 2)
    spectrum = np.fft.rfft(potentials, length, axis=1) * kernel[:, :, None]
    return np.fft.irfft(spectrum, length, axis=1)[:, :samples].astype(np.float32)
