"""Gates as people write them, in counts and samples."""

from typing import Any

import msgspec
import pytest

from edge import Flag, Gates, InnervateError, SignalPath
from tests.core_paths import path_of
from train.gates import GateSettings
from train.task import PathSettings

PATH = msgspec.structs.replace(path_of(channels=3, shift=6), uv_per_count=0.5)
WINDOW_MS = 200.0


def gates(path: SignalPath = PATH, **settings: Any) -> Gates:
    return msgspec.convert(settings, GateSettings).gates(path, WINDOW_MS)


def test_physical_units_become_counts_and_samples() -> None:
    """At 1000 Hz and 0.5 microvolts per count, filtered counts raised by 6 bits."""
    made = gates(
        saturated_ms=25, flat_ms=500, flat_uv=1.9, slope_uv_per_ms=300, amplitude_uv=800,
        mains_hz=50, mains_percent=25, electrodes=["c2", "c0"], inform=["mains", "lead_off"],
    )  # fmt: skip
    assert made == Gates(
        saturated_run=25, flat_run=500, flat_range=3, slope=600, amplitude=1600 << 6,
        mains_step=round(0.05 * 2**32), mains_shift=7, mains_share=64, lead_mask=0b101,
        inform=int(Flag.MAINS | Flag.LEAD_OFF),
    )  # fmt: skip
    slower = msgspec.structs.replace(PATH, fs_hz=250.0)
    assert gates(slower, slope_uv_per_ms=300).slope == 4 * 600
    assert gates(slower, mains_hz=60).mains_shift == 5  # 32 samples: 128 ms


def test_what_is_not_written_is_off_but_for_limits_and_leads() -> None:
    assert gates() == Gates(saturated_run=1, lead_mask=0b111)
    assert gates(saturated_ms=0, electrodes=[]) == Gates(saturated_run=0, lead_mask=0)
    assert PathSettings(window_ms=1, hop_ms=1).gates == GateSettings()


def test_the_mean_of_mains_is_no_longer_than_a_window() -> None:
    short = GateSettings(mains_hz=50).gates(PATH, 20.0)
    assert short.mains_shift == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flat_ms": -1.0}, "flat_ms of -1"),
        ({"slope_uv_per_ms": float("nan")}, "slope_uv_per_ms of nan"),
        ({"slope_uv_per_ms": 0.4}, "below one count"),
        ({"mains_hz": 50, "mains_percent": 100}, "mains_percent of 100"),
        ({"mains_hz": 500}, "mains_hz of 500 at 1000 samples"),
        ({"mains_hz": 499}, "swing by"),
        ({"electrodes": ["c1", "Fz"]}, "electrodes names 'Fz'"),
        ({"flat_ms": 1e9}, "flat_run must be 0 to"),
    ],
)
def test_limits_that_cannot_be_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InnervateError, match=message):
        gates(**settings)


def test_unknown_gates_are_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="inform"):
        gates(inform=["gap"])
    with pytest.raises(msgspec.ValidationError, match="mains"):
        gates(mains=50)
