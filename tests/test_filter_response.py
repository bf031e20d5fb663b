"""What is drawn of a path: against scipy's responses, the known noise of a section, and a path that runs."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from edge import Filter, PathRunner
from train.filter_design import signal_path
from train.filter_response import path_response

EMG = (Filter("bandpass", (20.0, 450.0), 4), Filter("notch", (50.0,)))
FREQS = np.array([1.0, 10.0, 30.0, 49.0, 100.0, 333.0, 480.0])


def test_response_and_delay_are_those_of_scipy() -> None:
    path = signal_path(EMG, 1000.0, ["x"], 16, 1.0, 100, 50)
    (part,) = path_response(path, FREQS).segments
    notch = signal.tf2sos(*signal.iirnotch(50, 30, 1000))
    sos = np.concatenate([signal.butter(4, (20, 450), "band", fs=1000, output="sos"), notch])
    wanted = signal.sosfreqz(sos, FREQS, fs=1000)[1]
    assert part.design_db == pytest.approx(20 * np.log10(np.abs(wanted)), abs=1e-6)
    assert part.quantized_db == pytest.approx(part.design_db, abs=1e-4)
    step = 1e-3
    phases = [np.angle(signal.sosfreqz(sos, FREQS + d, fs=1000)[1]) for d in (-step, step)]
    slope = np.angle(np.exp(1j * (phases[1] - phases[0]))) / (2 * step)
    assert part.design_delay_ms == pytest.approx(-1e3 * slope / (2 * np.pi), rel=1e-4, abs=1e-4)


def test_a_linear_phase_filter_delays_all_alike() -> None:
    path = signal_path([Filter("lowpass", (40.0,), family="fir", taps=51)], 250.0, ["x"], 24, 1.0, 1000, 500)
    (part,) = path_response(path, np.array([1.0, 10.0, 30.0])).segments
    assert part.quantized_delay_ms == pytest.approx(25 / 250 * 1e3)
    # Its only rounding is white: 1/12 LSB^2 over half the sampling rate.
    full_scale = 2.0 ** (23 + path.shift)
    assert part.noise_total_db == pytest.approx(10 * np.log10(1 / 12 / full_scale**2))
    assert part.noise_db == pytest.approx(10 * np.log10(1 / 12 / 125 / full_scale**2))


def test_noise_density_adds_up_to_the_noise_that_is_measured() -> None:
    """Through a decimator, where noise folds: integral of the density, total, and the core's own error."""
    filters = (Filter("bandpass", (5.0, 100.0), 3), Filter("decimate", family="elliptic", factor=4))
    path = signal_path(filters, 1000.0, ["x"], 16, 1.0, 200, 50)
    grid = np.linspace(0, 125, 4001)[1:]
    (part,) = path_response(path, grid).segments
    assert part.output_hz == 250.0
    integral = np.sum(10 ** (part.noise_db / 10)) * (grid[1] - grid[0])
    assert 10 * np.log10(integral) == pytest.approx(part.noise_total_db, abs=0.05)
    counts = np.random.default_rng(0).integers(-(2**15), 2**15, (200_000, 1))
    exact = counts.astype(np.float64) * 2.0**path.shift
    for stage in path.stages:
        if hasattr(stage, "sections"):
            sos = np.array([section.coefficients() for section in stage.sections])
            exact = signal.sosfilt(sos, exact, axis=0)
    error = PathRunner(path).filter(counts) - exact[::4]
    measured = 20 * np.log10(np.std(error) / 2.0 ** (15 + path.shift))
    assert measured == pytest.approx(part.noise_total_db, abs=0.3)


def test_an_envelope_has_two_segments_and_a_bound_for_every_value() -> None:
    filters = (*EMG, Filter("envelope", (4.0,)), Filter("decimate", family="elliptic", factor=10))
    path = signal_path(filters, 1000.0, ["a", "b"], 16, 1.0, 200, 50, "bipolar")
    response = path_response(path)
    before, after = response.segments
    assert (before.name, after.name) == ("before rectifier", "envelope")
    assert (after.fs_hz, after.output_hz) == (1000.0, 100.0)
    assert before.freqs_hz.shape == before.noise_db.shape == after.quantized_db.shape
    sections = [len(getattr(stage, "sections", (0,))) for stage in path.stages]
    assert [b.stage for b in response.bounds] == [i for i, n in enumerate(sections) for _ in range(n)]
    assert all(0 < b.share < 1 and b.share == b.value / 2**31 for b in response.bounds)


def test_no_filters_are_flat_and_silent() -> None:
    path = signal_path([], 1000.0, ["a"], 16, 1.0, 100, 50)
    response = path_response(path)
    (part,) = response.segments
    assert not part.design_db.any()
    assert part.noise_total_db == -np.inf
    assert response.bounds == ()


def test_the_lines_in_the_documentation_run() -> None:
    text = (Path(__file__).parent.parent / "docs" / "filters.md").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    ran = subprocess.run([sys.executable, "-c", lines], capture_output=True, text=True, check=True)
    assert len(re.findall(r"-?\d+\.\d+", ran.stdout)) == 3 * 2
