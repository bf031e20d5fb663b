"""The page of `innervate inspect --plots`: what a bundle's signal path does, and how long it all takes."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from edge.bundle import Bundle
from innervate.report.assemble import delay_parts
from innervate.report.data import Headline, Measured, Provenance, Report
from innervate.report.html import write_report
from innervate.report.validation import card_entry
from train.delay import budget
from train.filter_response import path_response
from train.task import DelayLimits


def write_inspection(bundle: Bundle, out: Path) -> Path:
    """Write the page for a bundle: responses, group delay, noise floor, room in the integers, delay budget.

    Raises:
        InnervateError: the file cannot be written.
    """
    path, card = bundle.signal_path, bundle.card
    response, delay = path_response(path), budget(path, bundle.rule)
    fullest = max((bound.share for bound in response.bounds), default=0.0)
    report = Report(
        provenance=Provenance(
            title=f"Signal path of {card.get('name', bundle.task)}",
            task=bundle.task,
            dataset=str(card_entry(card, "data", "dataset")),
            split=str(card_entry(card, "split", "protocol")),
            subjects=0,
            seed=int(card_entry(card, "split", "seed") or 0),
            machines={Measured.HOST: "computed from the bundle, nothing was run"},
            versions={"innervate": version("innervate")},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            bundle_hash=bundle.hash,
        ),
        headline=[
            Headline(
                "Mean delay", delay.mean_ms, "ms", Measured.HOST, f"worst {delay.worst_ms:.0f} ms, no compute"
            ),
            Headline("Group delay", path.group_delay_ms, "ms", Measured.HOST, "averaged over what passes"),
            Headline(
                "Settling", 1000 * path.settle / path.filtered_hz, "ms", Measured.HOST, "kept out of windows"
            ),
            Headline("Fullest integer", 100 * fullest, "%", Measured.HOST, "of int32, at worst"),
        ],
        filter_response=response,
        delay=delay_parts(delay, None, _limits(card)),
        notes=[f"Filters: {', '.join(map(str, path.filters)) or 'none'}."],
    )
    return write_report(report, out)


def _limits(card: dict[str, Any]) -> DelayLimits | None:
    """Limits of the task's delay; cards are for people, so nothing of them is sure to be there."""
    try:
        return msgspec.convert(card.get("delay_limits"), DelayLimits | None)
    except msgspec.ValidationError:
        return None
