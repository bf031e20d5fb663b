"""The hardware-in-the-loop suite passes on the native and on the emulated device."""

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge import wire
from edge.errors import InnervateError
from edge.messages import Samples
from edge.quality import Gates
from hil_tests.report import JUNIT_FILE, REPORT_FILE, ValidationReport
from hil_tests.run import validate
from tests.fake_device import INFO, FakeDevice, obedient
from tests.stateful_models import lstm_file, stateful_bundle, step_file
from tests.tiny_bundle import CHANNELS, FS_HZ, tiny_bundle, tiny_counts, tiny_graph, tiny_path
from tests.tiny_firmware import build_tiny, need_board
from train.filter_design import design

STAGES = ["filtered", "window", "output", "decision", "model"]


@pytest.mark.parametrize(("url", "board"), [("host:", "host"), ("qemu:netduinoplus2", "netduinoplus2")])
def test_suite_passes(url: str, board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    bundle = tiny_bundle()
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_tiny(bundle, board, tmp_path)
    lines: list[str] = []
    report = validate(tmp_path / "tiny.nrv", url, firmware.path, tmp_path / "report", progress=lines.append)
    assert report.passed, [test for test in report.tests if test.outcome != "passed"]
    assert [stage.stage for stage in report.parity] == STAGES
    assert [stage.differing for stage in report.parity] == [0] * len(STAGES)
    assert report.parity[0].values == bundle.golden.filtered.size
    assert report.bundle_hash == bundle.hash
    assert report.info["build_id"] == firmware.build_id
    assert report.status["samples"] == len(bundle.golden.counts)
    assert report.timing is not None
    assert len(lines) == len(report.tests)
    assert ValidationReport.load(tmp_path / "report") == report
    cases = ElementTree.parse(tmp_path / "report" / JUNIT_FILE).getroot().iter("testcase")
    assert len(list(cases)) == len(report.tests)


def test_suite_passes_for_an_armband_of_eight_bits(tmp_path: Path) -> None:
    """Few counts: rest is hardly one of them, and every gate is on."""
    need_board("host")
    made = design(tiny_path().filters, FS_HZ, 8)
    gates = Gates(
        saturated_run=10,
        flat_run=60,
        slope=250,
        amplitude=100 << made.shift,
        mains_step=round(50 / FS_HZ * 2**32),
        mains_shift=6,
        mains_share=200,
    )
    path = msgspec.structs.replace(
        tiny_path(),
        counts_bits=8,
        stages=made.stages,
        shift=made.shift,
        right_shift=(made.shift - 1,) * CHANNELS,
        gates=gates,
    )
    counts = np.clip(np.rint(tiny_counts() / 60), -128, 127).astype(np.int32)
    bundle = tiny_bundle(path=path, counts=counts)
    bundle.save(tmp_path / "narrow.nrv")
    firmware = build_tiny(bundle, "host", tmp_path)
    report = validate(tmp_path / "narrow.nrv", "host:", firmware.path, tmp_path / "report")
    assert report.passed, [test for test in report.tests if test.outcome != "passed"]
    assert [test.name for test in report.tests if test.outcome != "passed"] == ["test_context_is_the_models"]


STATEFUL = {
    "kept, with context": (step_file(context=2), True),
    "single samples, anew each window": (step_file(1), False),
    "kept LSTM": (lstm_file(), True),
}


@pytest.mark.parametrize("name", STATEFUL)
def test_suite_passes_for_models_with_state(name: str, tmp_path: Path) -> None:
    suite_passes_with_state(name, "host:", "host", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", STATEFUL)
def test_suite_passes_for_models_with_state_on_the_emulated_board(name: str, tmp_path: Path) -> None:
    suite_passes_with_state(name, "qemu:netduinoplus2", "netduinoplus2", tmp_path)


def suite_passes_with_state(name: str, url: str, board: str, folder: Path) -> None:
    need_board(board, emulator=True)
    model, keeps_state = STATEFUL[name]
    bundle = stateful_bundle(model, keeps_state)
    bundle.save(folder / "stateful.nrv")
    firmware = build_tiny(bundle, board, folder)
    report = validate(folder / "stateful.nrv", url, firmware.path, folder / "report")
    assert report.passed, [test for test in report.tests if test.outcome != "passed"]
    assert [stage.differing for stage in report.parity] == [0] * len(STAGES)
    outcomes = {test.name: test.outcome for test in report.tests}
    assert (outcomes["test_context_is_the_models"] == "passed") == bool(bundle.pipeline.context)


def test_a_device_that_dies_ends_the_run(tmp_path: Path) -> None:
    def reply(fake: FakeDevice, sequence: int, message: wire.Message) -> None:
        if isinstance(message, Samples):
            fake.hang_up()
        else:
            obedient(fake, sequence, message)

    bundle = tiny_bundle()
    bundle.save(tmp_path / "tiny.nrv")
    with FakeDevice(reply, replace(INFO, bundle_hash=bytes.fromhex(bundle.hash))) as fake:
        report = validate(tmp_path / "tiny.nrv", fake.url, None, tmp_path)
    assert not report.passed
    assert report.parity == []
    assert [test.outcome for test in report.tests] == ["failed", "failed"]  # no build id, then no device
    assert "the device vanished" in report.tests[-1].message


def test_firmware_of_another_bundle_is_told_before_any_test(tmp_path: Path) -> None:
    firmware = build_tiny(tiny_bundle(), "host", tmp_path)
    tiny_bundle(graph=tiny_graph(seed=7)).save(tmp_path / "other.nrv")
    with pytest.raises(InnervateError, match="built from another bundle"):
        validate(tmp_path / "other.nrv", "host:", firmware.path, tmp_path / "report")
    assert not (tmp_path / "report" / REPORT_FILE).exists()
