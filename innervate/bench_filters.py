"""What the filter cascade costs: instructions on an emulated Cortex-M4, time on this host, beside peers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from edge._core import ffi, lib
from numpy.typing import NDArray
from scipy import signal

from edge.firmware.bench.filter_bench import Form, Job, run_cascades
from edge.path_runner import PathRunner, int32_pointer
from edge.signal_path import SignalPath
from edge.stages import Cascade, Section
from innervate.timing import least_us

BOARD: Final = "mps2-an386"
_FS_HZ: Final = 250.0
_COUNTS_BITS: Final = 24
_SHIFT: Final = 6

# (samples per call, channels): what a device gets from its converter, and blocks of a recording.
_DEVICE_CALLS: Final = ((64, 1), (64, 8), (1, 1), (1, 8))
_DEVICE_SECTIONS: Final = (2, 4)
_DEVICE_VALUES: Final = 8192
"""Values of signal that a count is the mean of."""

_HOST_CALLS: Final = tuple(
    (samples, channels) for channels in (8, 16) for samples in (1, 10, 50, 1000, 20_000)
)


@dataclass(frozen=True)
class DeviceRow:
    """Instructions per sample and section, calls included, counted under emulation; None: peer not run."""

    samples: int
    channels: int
    sections: int
    b_shift: int
    instructions: float
    portable: float
    peer_q31: float | None
    peer_32x64: float | None

    @property
    def ratio(self) -> float | None:
        """Of the faster peer's instructions."""
        return None if self.peer_q31 is None else self.instructions / self.peer_q31


@dataclass(frozen=True)
class HostRow:
    """Microseconds of one call on this host, the least of several rounds."""

    samples: int
    channels: int
    runner_us: float
    core_us: float
    scipy_us: float

    @property
    def runner_ratio(self) -> float:
        """Of scipy's time, by `PathRunner.filter`."""
        return self.runner_us / self.scipy_us

    @property
    def core_ratio(self) -> float:
        """Of scipy's time, by the C function alone."""
        return self.core_us / self.scipy_us


def device_rows(peer: Path | None) -> list[DeviceRow]:
    """Count instructions on the emulated board.

    Every section has error feedback and coefficients below 2^-30; only b_shift changes what is executed.

    Args:
        peer: sources of CMSIS-DSP, or None to leave it out.

    Raises:
        InnervateError: cross compiler or emulator are missing.
    """
    forms = tuple(Form) if peer is not None else (Form.TARGET, Form.PORTABLE)
    cases = [
        (samples, channels, sections, b_shift)
        for samples, channels in _DEVICE_CALLS
        for sections in _DEVICE_SECTIONS
        for b_shift in (0, 8, 16)
    ]
    jobs = [_job(form, *case) for case in cases for form in forms]
    costs = [
        result.instructions / (job.signal.size * len(job.sections))
        for job, result in zip(jobs, run_cascades(jobs, BOARD, peer), strict=True)
    ]
    rows = []
    for case in cases:
        cost = dict(zip(forms, costs, strict=False))
        del costs[: len(forms)]
        peers = (cost.get(Form.PEER_Q31), cost.get(Form.PEER_32X64))
        rows.append(DeviceRow(*case, cost[Form.TARGET], cost[Form.PORTABLE], *peers))
    return rows


def _job(form: Form, samples: int, channels: int, sections: int, b_shift: int) -> Job:
    words = [[1 << 28, 1 << 29, 1 << 28, b_shift, 0x30391234, 1 << 30, -(1 << 29), 64, -32]] * sections
    calls = _DEVICE_VALUES // (samples * channels)
    noise = np.random.default_rng(1).integers(-(2**28), 2**28, (calls, samples, channels))
    state = np.zeros((channels, 2 + 4 * sections), np.int32)
    return Job(form, np.array(words, np.int32), state, noise.astype(np.int32))


def host_rows(calls: Sequence[tuple[int, int]] = _HOST_CALLS) -> list[HostRow]:
    """Time band-pass 0.5-40 Hz of order 4 and notch 50 Hz at 250 Hz on this host, from call to call.

    scipy gets float64 and its state, the core int32 counts.

    Args:
        calls: pairs of samples per call and channels.
    """
    bandpass = signal.butter(4, (0.5, 40.0), "bandpass", fs=_FS_HZ, output="sos")
    sos = np.vstack([bandpass, signal.tf2sos(*signal.iirnotch(50.0, 30.0, _FS_HZ))])
    sos[:, :3] /= 2  # numerators of 1, -2, 1 are just beyond what Q2.30 holds
    return [_host_row(sos, samples, channels) for samples, channels in calls]


def _host_row(sos: NDArray[np.float64], samples: int, channels: int) -> HostRow:
    path = _path(sos, channels)
    runner = PathRunner(path)
    limit = 1 << (_COUNTS_BITS - 1)
    counts = np.random.default_rng(2).integers(-limit, limit, (samples, channels)).astype(np.int32)
    floats = counts.astype(np.float64)
    raised = counts << _SHIFT
    zi = np.zeros((len(sos), 2, channels))
    target = ffi.new("nrv_stage_t *")
    keep = path.stages[0].fill(target)  # the sections, which must live as long as they are used
    words = np.zeros((channels, 2 + 4 * len(sos)), np.int32)

    def scipy_call() -> None:
        nonlocal zi
        _, zi = signal.sosfilt(sos, floats, axis=0, zi=zi)

    def runner_call() -> None:
        runner.filter(counts)

    def core_call() -> None:
        lib.nrv_cascade_run(target.cascade, len(sos), channels, state_pointer, signal_pointer, samples)

    state_pointer, signal_pointer = int32_pointer(words), int32_pointer(raised)
    runner_us, core_us, scipy_us = least_us((runner_call, core_call, scipy_call))
    del keep
    return HostRow(samples, channels, runner_us, core_us, scipy_us)


def _path(sos: NDArray[np.float64], channels: int) -> SignalPath:
    sections = tuple(_section(row) for row in sos.tolist())
    return SignalPath(
        channels=tuple(f"ch{c}" for c in range(channels)),
        fs_hz=_FS_HZ,
        uv_per_count=1.0,
        counts_bits=_COUNTS_BITS,
        shift=_SHIFT,
        stages=(Cascade(sections),),
        filters=(),
        settle=0,
        group_delay_ms=0.0,
        window=1,
        hop=1,
        multiplier=(1,) * channels,
        right_shift=(0,) * channels,
    )


def _section(row: Sequence[float]) -> Section:
    """Round a row of scipy's `sos`, with error feedback near the poles."""
    b0, b1, b2 = (round(math.ldexp(b, 30)) for b in row[:3])
    fine = [round(math.ldexp(a, 46)) for a in row[4:]]
    high = [(a + 32767) >> 16 for a in fine]
    w1, w2 = (round(-64 * a) for a in row[4:])
    return Section(
        b=(b0, b1, b2),
        a=(high[0], high[1]),
        a_low=(fine[0] - (high[0] << 16), fine[1] - (high[1] << 16)),
        weights=(w1, w2),
    )
