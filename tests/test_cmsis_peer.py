"""The peer as it is run here gives its known figures: signal to error in dB, full scale and 60 dB below."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

pytest.importorskip("cmsisdsp", reason="no wheel of cmsisdsp for this Python")

from tests.cmsis_peer import Form, peer_cascade

FULL_SCALE = 2**23 - 1

# CMSIS-DSP 1.10.3, white noise of 24 bits raised by 6, against float64 sosfilt, x86-64 host, 2026-11.
PUBLISHED = [
    (signal.butter(2, 0.5, "high", fs=250, output="sos"), (99.7, 39.7), (160.1, 114.7)),
    (signal.butter(4, (0.5, 40), "band", fs=250, output="sos"), (94.7, 34.8), (131.8, 101.5)),
    (signal.butter(2, 0.1, "high", fs=500, output="sos"), (60.2, 0.2), (126.2, 114.5)),
    (signal.butter(4, (8, 13), "band", fs=250, output="sos"), (95.0, 34.9), (112.5, 63.1)),
    (signal.butter(4, (20, 450), "band", fs=1000, output="sos"), (138.6, 78.6), (164.6, 110.6)),
    (signal.butter(2, 10, "high", fs=2000, output="sos"), (115.3, 55.5), (140.3, 114.6)),
]


def signal_to_error_db(sos: NDArray[np.float64], counts: NDArray[np.int64], form: Form) -> float:
    exact = signal.sosfilt(sos, counts.astype(np.float64))
    error = peer_cascade(sos, counts, form) - exact
    return float(10 * np.log10(np.sum(exact**2) / np.sum(error**2)))


@pytest.mark.parametrize(("sos", "fast", "exact"), PUBLISHED)
def test_the_peer_is_as_exact_as_published(
    sos: NDArray[np.float64], fast: tuple[float, float], exact: tuple[float, float]
) -> None:
    noise = np.random.default_rng(2).uniform(-1, 1, 60_000) * FULL_SCALE
    for scale, fast_db, exact_db in zip((1.0, 1e-3), fast, exact, strict=True):
        counts = np.round(noise * scale).astype(np.int64)
        assert signal_to_error_db(sos, counts, "q31") == pytest.approx(fast_db, abs=1.0)
        assert signal_to_error_db(sos, counts, "32x64") == pytest.approx(exact_db, abs=1.0)
