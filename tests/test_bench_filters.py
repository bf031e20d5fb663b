"""What the filter cascade costs, against the figures it must beat."""

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from edge.errors import InnervateError
from edge.firmware.bench.emulator import available
from edge.firmware.bench.filter_bench import SECTION_WORDS, Form, Job, run_cascades
from innervate.bench_filters import DeviceRow, device_rows, host_rows
from innervate.cli import main
from innervate.cmsis_sources import VERSION, cmsis_sources

# CMSIS-DSP 1.10.3 in blocks of 64 on Cortex-M4, gcc 12 -O2: instructions per sample and section.
PEER_Q31, PEER_32X64 = 27.8, 71.1

needs_emulator = pytest.mark.skipif(
    not available(), reason="arm-none-eabi-gcc or qemu-system-arm is not installed"
)


def cached_peer() -> Path | None:
    """The peer's sources where they have been downloaded already: tests need no network."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "innervate"
    folder = cache / f"cmsisdsp-{VERSION}"
    return folder if folder.is_dir() else None


@pytest.fixture(scope="module")
def rows() -> list[DeviceRow]:
    return device_rows(cached_peer())


@needs_emulator
def test_blocks_cost_less_than_the_fast_peer(rows: list[DeviceRow]) -> None:
    blocks = [row for row in rows if row.samples == 64]
    assert {(row.channels, row.b_shift) for row in blocks} == {(c, b) for c in (1, 8) for b in (0, 8, 16)}
    assert all(row.instructions <= PEER_Q31 for row in blocks)


@needs_emulator
def test_a_single_sample_costs_half_of_the_fast_peer_at_most(rows: list[DeviceRow]) -> None:
    pushes = [row for row in rows if row.samples == 1]
    assert {(row.channels, row.sections) for row in pushes} == {(1, 2), (1, 4), (8, 2), (8, 4)}
    # Counts of thousands of calls, to within a tick of 40 instructions.
    assert all(row.instructions <= 38.01 for row in pushes)


@needs_emulator
@pytest.mark.skipif(cached_peer() is None, reason="run `innervate bench filters` once to download the peer")
def test_no_more_than_the_peer_in_the_same_run(rows: list[DeviceRow]) -> None:
    for row in rows:
        assert row.peer_q31 is not None
        assert row.peer_32x64 is not None
        assert row.instructions <= row.peer_q31
        if row.samples == 64:
            assert row.peer_q31 == pytest.approx(PEER_Q31, rel=0.02)
            assert row.peer_32x64 == pytest.approx(PEER_32X64, rel=0.02)


def test_faster_than_scipy_on_this_host() -> None:
    # Measured at a fifth to a third of scipy's time: far enough from 1 for a busy machine.
    for row in host_rows([(1, 8), (10, 8), (50, 16)]):
        assert row.runner_ratio < 1
        assert row.core_ratio < row.runner_ratio


@needs_emulator
def test_the_verb_prints_one_document(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["innervate", "bench", "filters", "--no-peer", "--json"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 0
    document = json.loads(capsys.readouterr().out)
    assert document["emulated"]["peer"] is None
    assert all(row["peer_q31"] is None and row["ratio"] is None for row in document["emulated"]["rows"])
    assert {(row["channels"], row["samples"]) for row in document["host"]} >= {(8, 1), (8, 50), (16, 1000)}


def test_without_a_network_one_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name, value in (("CONFIG_FILE", os.devnull), ("NO_INDEX", "1"), ("FIND_LINKS", str(tmp_path))):
        monkeypatch.setenv(f"PIP_{name}", value)
    with pytest.raises(InnervateError, match="could not be downloaded"):
        cmsis_sources()
    assert not list((tmp_path / "innervate").iterdir())


def test_jobs_that_cannot_run_are_refused() -> None:
    sections, signal = np.zeros((2, SECTION_WORDS), np.int32), np.zeros((1, 4, 3), np.int32)
    job = Job(Form.TARGET, sections, np.zeros((3, 10), np.int32), signal)
    with pytest.raises(InnervateError, match="unknown board"):
        run_cascades([job], "nowhere")
    if available():
        narrow = Job(Form.TARGET, sections, np.zeros((3, 9), np.int32), signal)
        with pytest.raises(InnervateError, match="do not fit together"):
            run_cascades([narrow])
