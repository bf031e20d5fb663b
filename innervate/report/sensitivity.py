"""The page of `innervate sensitivity`: what each layer can spare."""

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from innervate.report.data import Headline, Measured, Provenance, Report
from innervate.report.html import write_report
from quantize.pruning.sensitivity import Sensitivity
from train.run import Run


def write_sensitivity(run: Run, found: Sensitivity, out: Path) -> Path:
    """Write the page: a panel and a row for each layer.

    Raises:
        InnervateError: the file cannot be written.
    """
    record, plan = run.record, run.plan
    report = Report(
        provenance=Provenance(
            title=f"What the layers of {plan.model} can spare",
            task=plan.task,
            dataset=plan.dataset,
            split=record.split.protocol,
            subjects=0,
            seed=record.seed,
            machines={Measured.HOST: "the network in floating point, as trained"},
            versions={"innervate": version("innervate")},
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
        headline=[
            Headline(
                "Accuracy, nothing removed", 100 * found.accuracy, "%", Measured.HOST,
                f"{found.windows:,} windows of {found.part}",
            ),
            Headline("Multiply-accumulates", found.macs, "", Measured.HOST, "a window, nothing removed"),
        ],
        sensitivity=found,
    )  # fmt: skip
    return write_report(report, out)
