"""What a validation found, for machines: ``report.json``."""

from collections import Counter
from pathlib import Path
from typing import Final

import msgspec

REPORT_FILE: Final = "report.json"
JUNIT_FILE: Final = "junit.xml"
FORMAT: Final = 1


class StageParity(msgspec.Struct, frozen=True):
    """One stage of the chain, host against device.

    Attributes:
        stage: filtered, window, output, decision, or model (windows injected into the model alone).
        values: integers compared.
        differing: of them, those that differ; values that the device did not send count as differing.
        first: where the first one is and what it is, "" if none differs.
    """

    stage: str
    values: int
    differing: int
    first: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """One test; ``outcome`` is passed, failed or skipped, ``message`` says why in a line."""

    name: str
    outcome: str
    seconds: float
    message: str = ""


class Timing(msgspec.Struct, frozen=True):
    """Times on the device: the slowest sample, window and rule, and ticks per second.

    In an emulator every instruction takes equally long: microseconds say nothing about silicon there, but the
    instructions (None elsewhere) are repeatable.
    """

    filter_us: float
    model_us: float
    decision_us: float
    tick_hz: int
    filter_instructions: int | None = None
    model_instructions: int | None = None
    decision_instructions: int | None = None


class ValidationReport(msgspec.Struct):
    """All that ``report.json`` holds.

    Attributes:
        device: URL.
        bundle_hash: of the bundle that was validated.
        info: the device's handshake; hashes as hex.
        parity: one entry for every stage that was compared, in the order of the chain.
        status: the device's counters at the end.
        timing: None if the device never answered.
        tests: every test run.
        passed: no test failed.
        seconds: duration of the whole run.
    """

    device: str
    bundle_hash: str
    format: int = FORMAT
    info: dict[str, str | int] = {}
    parity: list[StageParity] = []
    status: dict[str, int] = {}
    timing: Timing | None = None
    tests: list[Outcome] = []
    passed: bool = False
    seconds: float = 0.0

    @property
    def counted(self) -> str:
        """How many tests ended how: "23 tests passed, 3 skipped"."""
        ends = Counter(test.outcome for test in self.tests)
        words = [f"{ends[end]} {end}" for end in ("failed", "skipped") if ends[end]]
        return ", ".join([f"{ends['passed']} tests passed", *words])

    def save(self, folder: Path) -> None:
        """Write ``report.json`` into a folder, which is made if missing."""
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{REPORT_FILE}"
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=2) + b"\n")
        partial.replace(folder / REPORT_FILE)

    @classmethod
    def load(cls, folder: Path) -> "ValidationReport":
        """Read ``report.json`` of a folder."""
        return msgspec.json.decode((folder / REPORT_FILE).read_bytes(), type=cls)
