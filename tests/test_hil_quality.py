"""The suite's faults of electrodes reach every gate, on the native and on the emulated device."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import hil_tests
from edge.quality import Gates
from hil_tests.report import ValidationReport
from tests.tiny_bundle import FS_HZ, tiny_bundle, tiny_path
from tests.tiny_firmware import build_tiny, need_board

PATH = tiny_path()
GATES = Gates(
    saturated_run=3,
    flat_run=30,
    flat_range=2,
    slope=45_000,
    amplitude=20_000 << PATH.shift,
    mains_step=round(50 / FS_HZ * 2**32),
    mains_shift=6,
    mains_share=200,
    lead_mask=0b0101,
)


@pytest.mark.parametrize(("url", "board"), [("host:", "host"), ("qemu:netduinoplus2", "netduinoplus2")])
def test_every_gate_speaks_on_the_device_as_on_the_host(url: str, board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    bundle = tiny_bundle(path=msgspec.structs.replace(PATH, gates=GATES))
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_tiny(bundle, board, tmp_path)
    suite = Path(hil_tests.__file__).parent
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(suite / "test_quality.py"),
        "-c",
        str(suite / "pytest.ini"),
    ]
    command += ["-q", "-p", "no:cacheprovider", "--device", url, "--bundle", str(tmp_path / "tiny.nrv")]
    command += ["--firmware", str(firmware.path), "--report-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    report = ValidationReport.load(tmp_path)
    assert [test.outcome for test in report.tests] == 6 * ["passed"]
