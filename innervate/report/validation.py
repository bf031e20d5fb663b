"""The report of a validation: one device against the bundle it should compute."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge.bundle import Bundle
from hil_tests.report import ValidationReport
from innervate.report.data import Headline, Measured, ParityRow, Provenance, Report, Size, Sizes
from innervate.report.html import write_report


def measured_at(url: str) -> Measured:
    """Where a figure was measured that comes from the device of a URL."""
    if url == "host:":
        return Measured.HOST
    return Measured.EMULATED if url.startswith("qemu:") else Measured.DEVICE


def parity_rows(validation: ValidationReport) -> list[ParityRow]:
    """Golden vectors, stage by stage."""
    measured = measured_at(validation.device)
    return [
        ParityRow(f"golden: {s.stage}", validation.device, measured, s.values, s.differing, s.first)
        for s in validation.parity
    ]


def failures(validation: ValidationReport) -> list[str]:
    """Tests of the suite that failed, and why."""
    return [f"{test.name} ({test.message})" for test in validation.tests if test.outcome == "failed"]


def write_validation_report(bundle: Bundle, validation: ValidationReport, out: Path) -> Path:
    """Write the HTML report of a validation.

    Raises:
        InnervateError: the file cannot be written.
    """
    measured = measured_at(validation.device)
    rows = parity_rows(validation)
    compared, differing = sum(row.compared for row in rows), sum(row.differing for row in rows)
    cards = [
        Headline("Golden vectors", f"{differing:,} of {compared:,}", "integers differ", measured),
        Headline("Tests", validation.counted.partition(" ")[0], "passed", measured, _others(validation)),
    ]
    if validation.timing is not None:
        cards.append(Headline("Model", validation.timing.model_us / 1000, "ms", measured, "slowest window"))
    status, info = validation.status, validation.info
    sizes = []
    if "stack_used" in status:
        sizes.append(
            Size("stack", status["stack_used"], "bytes", measured, "high-water mark", status["stack_size"])
        )
    report = Report(
        provenance=Provenance(
            title=f"Validation of {bundle.card.get('name', bundle.task)}",
            task=bundle.task,
            dataset=str(card_entry(bundle.card, "data", "dataset")),
            split=str(card_entry(bundle.card, "split", "protocol")),
            subjects=0,
            seed=int(card_entry(bundle.card, "split", "seed") or 0),
            machines={measured: f"{validation.device}, board {info.get('board', 'unknown')}"},
            versions={
                "firmware": str(info.get("firmware", "unknown")),
                "build": str(info.get("build_id", "unknown")),
            },
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            bundle_hash=bundle.hash,
        ),
        headline=cards,
        sizes=Sizes(sizes) if sizes else None,
        parity=rows,
        failures=failures(validation),
    )
    return write_report(report, out)


def _others(validation: ValidationReport) -> str:
    """What became of the tests that did not pass."""
    return validation.counted.partition(", ")[2]


def card_entry(card: dict[str, Any], section: str, name: str) -> Any:
    """Return a fact of the card, or "": cards are for people, so nothing of them is sure to be there."""
    part = card.get(section)
    return part.get(name, "") if isinstance(part, dict) else ""
