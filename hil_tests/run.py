"""The suite as a function."""

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from edge.bundle import Bundle
from edge.errors import InnervateError
from edge.link import Link
from hil_tests.report import JUNIT_FILE, REPORT_FILE, ValidationReport

_TESTS_FAILED = 1
"""Exit status of pytest that means just that; 0 is success, all else is trouble with the run itself."""


def validate(
    bundle: Path,
    url: str,
    firmware: Path | None,
    report_dir: Path,
    recording: Path | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> ValidationReport:
    """Run the whole suite against a device.

    Args:
        bundle: the ``.nrv`` file that the device must compute.
        url: the device, see :func:`edge.device.open_device`.
        firmware: what ``qemu:`` and ``host:`` are to run; None for a device that has its firmware.
        report_dir: where ``report.json`` and ``junit.xml`` go.
        recording: ``.npy`` of integer counts [samples, channels] to stream; None for the golden ones.
        progress: called with a line of text after every test.

    Returns:
        the report; ``passed`` says whether every test did.

    Raises:
        InnervateError: pytest missing, bundle damaged, device not reached or with firmware of another bundle,
            or the run broke off. No report is left then.
    """
    if importlib.util.find_spec("pytest") is None:
        raise InnervateError("pytest is missing", "validate", "Install it with: pip install pytest")
    loaded = Bundle.load(bundle)
    # What is wrong before the first test is the user's to mend, and no finding about the device.
    Link.open(url, firmware, loaded.hash).close()
    (report_dir / REPORT_FILE).unlink(missing_ok=True)
    options = ["--device", url, "--bundle", str(bundle.resolve()), "--report-dir", str(report_dir.resolve())]
    for name, path in (("--firmware", firmware), ("--recording", recording)):
        options += [name, str(path.resolve())] if path is not None else []
    suite = Path(__file__).parent
    junit = report_dir.resolve() / JUNIT_FILE
    command = [
        sys.executable,
        "-m",
        "pytest",
        str(suite),
        "-c",
        str(suite / "pytest.ini"),
        "-v",
        "--tb=short",
    ]
    command += ["-p", "no:cacheprovider", f"--junitxml={junit}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout is not None
        said = []
        for line in run.stdout:
            said.append(line.rstrip())
            if "::" in line and "%]" in line:
                progress(line.rstrip())
    if run.returncode not in (0, _TESTS_FAILED) or not (report_dir / REPORT_FILE).is_file():
        last = next((line for line in reversed(said) if line.strip()), "no output")
        raise InnervateError(f"the suite broke off: {last}", url, "Run `pytest hil_tests` to see all it says")
    return ValidationReport.load(report_dir)
