"""The whole chain in one go, on simulated muscle signals and on real recordings."""

import json
from pathlib import Path

import pytest

from innervate.demo import run_demo
from innervate.firmware import board_of
from tests.tiny_firmware import need_board
from train.evaluate import evaluate_task


@pytest.mark.parametrize(
    "device",
    ["host:", pytest.param("qemu:netduinoplus2", marks=[pytest.mark.slow, pytest.mark.timeout(900)])],
)
def test_demo_ends_with_a_device_that_computes_what_the_host_computes(tmp_path: Path, device: str) -> None:
    need_board(board_of(device) or "", emulator=device.startswith("qemu:"))
    said: list[str] = []
    result = run_demo("emg_gestures", "simulated", None, tmp_path, device=device, fast=True, say=said.append)
    assert result.passed
    assert [line[:2] for line in said] == ["1/", "2/", "3/", "4/", "5/"]
    assert {stage.stage for stage in result.validation.parity} == {
        "filtered", "window", "output", "decision", "model",
    }  # fmt: skip
    assert all(stage.values > 0 and stage.differing == 0 for stage in result.validation.parity)
    assert result.replayed.decisions > 500
    assert result.replayed.differing_decisions == result.replayed.differing_outputs == 0
    # Four epochs of training are enough to be far above chance (1 in 7).
    assert result.quantized.metrics.int8.accuracy.value > 0.6
    assert "computed what the host computed: 0 of" in result.report.read_text()
    assert json.loads((tmp_path / "validation" / "report.json").read_text())["passed"]
    for name in ("emg_gestures.nrv", "c99/emg_gestures.c", "run/model.pt", "run/report.html"):
        assert (tmp_path / name).is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("dataset", "protocol", "least"),
    [
        ("uci_emg_gestures", "within_subject", 0.95),
        ("uci_emg_gestures", "leave_subjects_out", 0.81),
        ("emg_3dc", "within_subject", 0.895),
    ],
)
def test_accuracy_on_real_recordings(recordings: Path, dataset: str, protocol: str, least: float) -> None:
    # Trainings repeat to the bit on one kind of processor only: half a point is left for another.
    result = evaluate_task("emg_gestures", dataset, recordings / dataset, protocol=protocol)
    assert result.network.accuracy.value >= least
    assert result.delay.worst_ms <= 300
