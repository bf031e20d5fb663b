"""Ways of compiling a model, and limits that choose between them."""

from pathlib import Path

import pytest

from edge.errors import InnervateError
from edge.firmware.bench.emulator import available
from quantize.c99 import Report, emit
from quantize.c99.choice import Limits, emit_within
from quantize.c99.kernels import WAYS

pytestmark = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


@pytest.fixture(scope="module")
def model(anchors: Path) -> bytes:
    return (anchors / "emg_cnn.tflite").read_bytes()


@pytest.fixture(scope="module")
def reports(model: bytes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    out = tmp_path_factory.mktemp("ways") / "net"
    return {way: emit(model, "net", out, "cortex-m4", measure=True, optimize=way) for way in WAYS}


def flash(report: Report) -> int:
    assert report.flash_bytes is not None
    return report.flash_bytes


def instructions(report: Report) -> int:
    assert report.emulated is not None
    return report.emulated.instructions


def test_ways_are_in_order(reports: dict[str, Report]) -> None:
    speed, balanced, size = reports.values()
    assert flash(speed) > flash(balanced) > flash(size)
    assert instructions(speed) < instructions(balanced) < instructions(size)
    assert {layer.kernel.startswith("dsp_") for layer in size.layers} == {False}
    assert "-mcpu=cortex-m4" in size.cflags


def test_first_way_that_keeps_all_limits(model: bytes, reports: dict[str, Report], tmp_path: Path) -> None:
    def chosen(limits: Limits) -> str:
        return emit_within(model, "net", tmp_path / "net", limits, "cortex-m4").optimize

    assert chosen(Limits(flash=flash(reports["speed"]) - 1)) == "balanced"
    both = Limits(flash=flash(reports["balanced"]), instructions=instructions(reports["size"]) - 40)
    assert chosen(both) == "balanced"


def test_limits_that_cannot_be_kept(model: bytes, reports: dict[str, Report], tmp_path: Path) -> None:
    too_little = Limits(flash=flash(reports["size"]) - 1, arena=reports["speed"].arena_bytes)
    with pytest.raises(InnervateError) as refused:
        emit_within(model, "net", tmp_path / "net", too_little, "cortex-m4")
    said = str(refused.value)
    assert all(f"{way} takes {flash(reports[way]):,} bytes of flash" in said for way in WAYS)
    # size exceeds the flash by nothing to speak of, but the arena by a fifth; balanced the flash by as much.
    nearest = min(
        WAYS,
        key=lambda way: max(
            flash(reports[way]) / (flash(reports["size"]) - 1),
            reports[way].arena_bytes / reports["speed"].arena_bytes,
        ),
    )
    assert f"Allow what {nearest} takes" in said
    assert not (tmp_path / "net").exists()


def test_a_named_way_is_the_only_one(model: bytes, reports: dict[str, Report], tmp_path: Path) -> None:
    limits = Limits(flash=flash(reports["balanced"]))
    with pytest.raises(InnervateError, match="speed takes") as refused:
        emit_within(model, "net", tmp_path / "net", limits, "cortex-m4", "speed")
    assert "balanced" not in str(refused.value)
    with pytest.raises(InnervateError, match="Choose one of speed, balanced, size"):
        emit_within(model, "net", tmp_path / "net", Limits(), "cortex-m4", "beauty")
