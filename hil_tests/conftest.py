"""Options, the device under test, and the report."""

import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge import device_calibration
from edge.bundle import Bundle
from edge.engines.tflite import TfliteEngine, runtimes
from edge.errors import InnervateError
from edge.golden import Golden
from edge.link import Link
from edge.pipeline import Pipeline
from hil_tests.golden import head
from hil_tests.report import Outcome, ValidationReport

ORDER = (
    "test_handshake",
    "test_golden",
    "test_stream",
    "test_state",
    "test_quality",
    "test_faults",
    "test_recovery",
    "test_calibration",
)
COUNTS_BYTES = 48_000
"""Of golden counts that are streamed; traces make it four times as much, at some 10 kB/s."""

_REPORT = pytest.StashKey[ValidationReport]()
_STARTED = pytest.StashKey[float]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("innervate", "device under test")
    group.addoption("--device", metavar="URL", help="qemu:BOARD, host:, /dev/ttyACM0, socket://HOST:PORT")
    group.addoption("--bundle", type=Path, metavar="X.nrv", help="what the device must compute")
    group.addoption("--firmware", type=Path, metavar="FILE", help="for qemu: and host:, what to run")
    group.addoption(
        "--recording", type=Path, metavar="COUNTS.npy", help="integers [samples, channels] to stream"
    )
    group.addoption("--report-dir", type=Path, metavar="DIR", help="where report.json goes")


def pytest_configure(config: pytest.Config) -> None:
    if not config.option.device or not config.option.bundle:
        raise pytest.UsageError("give --device URL and --bundle X.nrv")
    config.stash[_REPORT] = ValidationReport(config.option.device, "")
    config.stash[_STARTED] = time.monotonic()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """From the question who the device is to the attempts to upset it."""
    items.sort(key=lambda item: ORDER.index(item.path.stem) if item.path.stem in ORDER else len(ORDER))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    outcome = yield
    if call.excinfo is not None and call.excinfo.errisinstance(InnervateError):
        # The device is gone or silent: the other tests could only wait for it, each in vain.
        item.session.shouldfail = str(call.excinfo.value)
    if outcome.when == "call" or not outcome.passed:
        message = "" if outcome.passed else _last_line(outcome)
        item.config.stash[_REPORT].tests.append(
            Outcome(item.name, outcome.outcome, round(outcome.duration, 3), message)
        )
    return outcome


def _last_line(outcome: pytest.TestReport) -> str:
    if isinstance(outcome.longrepr, tuple):  # of a test that was skipped: file, line, reason
        return str(outcome.longrepr[2]).removeprefix("Skipped: ")
    crash = getattr(outcome.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else outcome.longreprtext
    return text.splitlines()[0].removeprefix("AssertionError: ") if text else ""


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    report = session.config.stash[_REPORT]
    report.passed = exitstatus == 0 and bool(report.tests)
    report.seconds = round(time.monotonic() - session.config.stash[_STARTED], 3)
    if session.config.option.report_dir is not None:
        report.save(session.config.option.report_dir)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> ValidationReport:
    return pytestconfig.stash[_REPORT]


@pytest.fixture(scope="session")
def bundle(pytestconfig: pytest.Config, report: ValidationReport) -> Bundle:
    loaded = Bundle.load(pytestconfig.option.bundle)
    report.bundle_hash = loaded.hash
    return loaded


@pytest.fixture(scope="session")
def device_link(pytestconfig: pytest.Config, bundle: Bundle, report: ValidationReport) -> Iterator[Link]:
    """Open the one connection of the run."""
    with Link.open(pytestconfig.option.device, pytestconfig.option.firmware, bundle.hash) as link:
        assert link.info is not None
        report.info = {
            name: value.hex() if isinstance(value, bytes) else value
            for name, value in vars(link.info).items()
        }
        # The golden vectors are those of the trained scale; the wearer's is given back in the end.
        calibration = device_calibration.read(link, bundle.signal_path)
        if calibration is None:
            yield link
            return
        device_calibration.write(link, None)
        try:
            yield link
        finally:
            device_calibration.write(link, calibration)


@pytest.fixture
def link(device_link: Link, bundle: Bundle) -> Link:
    """Return the connection, with counters of frames at zero, nothing half said, and the golden context."""
    ready(device_link, bundle)
    return device_link


def ready(link: Link, bundle: Bundle) -> None:
    """Shake hands, and tell the device the context that the golden vectors were made with."""
    link.hello()
    if len(bundle.golden.context):
        link.set_context(bundle.golden.context)


@pytest.fixture
def pipeline(bundle: Bundle) -> Pipeline:
    """Return the host's side of the comparison, on the kernels that made the golden vectors.

    No others will do: even the reference kernels of two runtimes differ by a step here and there.
    """
    runtime, _, kernels = bundle.golden.kernels.partition(" ")
    if runtime not in runtimes() or kernels != "reference":
        pytest.skip(f"the bundle's truth is '{bundle.golden.kernels}', which this machine does not have")
    engine = TfliteEngine(bundle.model, "reference", runtime, keeps_state=bundle.pipeline.keeps_state)
    return Pipeline(bundle, engine, context=bundle.golden.context)


@pytest.fixture(scope="session")
def golden(bundle: Bundle) -> Golden:
    """Return the bundle's golden vectors, as many as a slow line takes in seconds."""
    path = bundle.signal_path
    width = (path.counts_bits + 7) // 8
    affordable = COUNTS_BYTES // (width * len(path.channels))
    return head(
        bundle.golden, min(len(bundle.golden.counts), max(affordable, path.samples_for(3))), path.decimation
    )


@pytest.fixture(scope="session")
def recording(pytestconfig: pytest.Config, golden: Golden) -> NDArray[np.integer[Any]]:
    """Return counts [samples, channels] to stream: the recording given, else the golden ones."""
    path = pytestconfig.option.recording
    return golden.counts if path is None else np.load(path, allow_pickle=False)
