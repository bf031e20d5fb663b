"""Numbers and the verdict in words, as the report prints them."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from innervate.report.data import Delay, Measured, ParityRow, Report

ABSENT = "–"
_NBSP = "\u00a0"  # a number and its unit stay on one line

# Control characters break XML and bidirectional overrides let a label rewrite the line around it;
# lone surrogates cannot be encoded. Labels come from files, so all three can occur.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def clean(text: str) -> str:
    """Return `text` on one line, with characters that no page may contain replaced by U+FFFD."""
    return _UNSAFE.sub("\ufffd", re.sub(r"[\t\r\n]+", " ", text))


def shorten(text: str, length: int) -> str:
    """Return `text` cleaned and cut to `length` characters, an ellipsis showing the cut."""
    text = clean(text)
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def number(value: float | str | None) -> str:
    """Format a count with thousands separators, a real number with four significant digits."""
    if isinstance(value, str):
        return value
    if value is None or not math.isfinite(value):
        return ABSENT
    if float(value).is_integer():
        return f"{int(value):,}".replace("-", "−")
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 6)}f}".replace("-", "−")


def percent(fraction: float | None) -> str:
    """Format a fraction as percent with one decimal; 100.0 % only if it is exactly that, 0.0 % likewise."""
    if fraction is None or not math.isfinite(fraction):
        return ABSENT
    shown = round(100 * fraction, 1)
    if shown == 100.0 and fraction < 1:
        shown = 99.9
    if shown == 0.0 and fraction > 0:
        shown = 0.1
    return f"{shown:.1f}{_NBSP}%".replace("-", "−")


def milliseconds(value: float) -> str:
    """Format milliseconds with about three significant digits."""
    if not math.isfinite(value):
        return ABSENT
    decimals = 0 if value >= 100 or value == 0 else 1 if value >= 10 else 2
    return f"{value:,.{decimals}f}{_NBSP}ms"


def column_milliseconds(value: float) -> str:
    """Format milliseconds for a column of a table: one decimal, two below 1 ms."""
    if not math.isfinite(value):
        return ABSENT
    return f"{value:,.{2 if 0 < value < 1 else 1}f}{_NBSP}ms"


def size(value: int, unit: str) -> str:
    """Format a size; bytes from 1 KiB also in KiB or MiB."""
    text = f"{number(value)}{_NBSP}{unit}" if unit else number(value)
    if unit in ("B", "bytes") and value >= 1024:
        scaled, name = (value / 1024, "KiB") if value < 1024**2 else (value / 1024**2, "MiB")
        text += f" ({scaled:.1f}{_NBSP}{name})"
    return text


def plural(count: int, noun: str) -> str:
    """Return e.g. "1 stage", "3 stages"."""
    return f"{number(count)} {noun}{'' if count == 1 else 's'}"


def differ(differing: int, compared: int, noun: str) -> str:
    """Return e.g. "0 of 1,200 integers differ", "1 of 3 decisions differs"."""
    return f"{number(differing)} of {plural(compared, noun)} {'differs' if differing == 1 else 'differ'}"


@dataclass(frozen=True)
class Verdict:
    """The report in one sentence. `state`: every check passed, one failed, or no device was compared."""

    state: Literal["passed", "failed", "open"]
    clauses: Sequence[str]

    @property
    def sentence(self) -> str:
        """The clauses as one sentence."""
        return "; ".join(self.clauses) + "."


def verdict(report: Report) -> Verdict:
    """Say whether the device computed what the host computed, how accurate it is and if it is fast enough.

    Failed: an integer or a streamed decision differs, a check failed, or the worst delay exceeds its limit.
    Open: nothing failed, but no device was compared, or a stage of one was not.
    """
    clauses = [_parity_clause(report.parity)]
    failed = any(row.differing for row in report.parity) or bool(report.failures)
    clauses += [f"failed: {clean(failure)}" for failure in report.failures]
    if report.timeline is not None and report.timeline.differing:
        failed = True
        clauses.append(differ(report.timeline.differing, len(report.timeline.time_s), "streamed decision"))
    if accuracy := _accuracy_clause(report):
        clauses.append(accuracy)
    if report.delay is not None and report.delay.parts:
        failed = failed or report.delay.too_long
        clauses.append(_delay_clause(report.delay))
    proved = bool(report.parity) and all(row.compared for row in report.parity)
    state: Literal["passed", "failed", "open"] = "failed" if failed else "passed" if proved else "open"
    return Verdict(state, tuple(clauses))


def machine_of(measured: Measured) -> str:
    """Name the machine behind a figure, as the subject of a sentence."""
    return {
        Measured.HOST: "the natively compiled firmware",
        Measured.EMULATED: "the emulated device",
        Measured.DEVICE: "the device",
    }[measured]


def _parity_clause(rows: Sequence[ParityRow]) -> str:
    if not any(row.compared for row in rows):
        return "No device was compared with the host"
    wrong = {row.measured for row in rows if row.differing}
    if wrong:  # speak only of those that are wrong
        rows = [row for row in rows if row.measured in wrong]
    compared, differing = sum(row.compared for row in rows), sum(row.differing for row in rows)
    kinds = [kind for kind in reversed(Measured) if any(row.measured is kind for row in rows)]
    *others, last = (machine_of(kind) for kind in kinds)
    who = f"{', '.join(others)} and {last}" if others else last
    who = who[0].upper() + who[1:]
    where = plural(len({row.stage for row in rows if row.compared}), "stage")
    if skipped := [clean(row.stage) for row in rows if not row.compared]:
        where += f", but nothing was compared in {', '.join(skipped)}"
    counted = differ(differing, compared, "integer")
    if wrong:
        first = next(row for row in rows if row.differing)
        return (
            f"{who} did not compute what the host computed: {counted}, "
            f"first in stage “{clean(first.stage)}” on {clean(first.device)}"
        )
    return f"{who} computed what the host computed: {counted} over {where}"


def _accuracy_clause(report: Report) -> str:
    """Accuracy of the arithmetic closest to the device, beside float; empty if none is known."""
    known: dict[str, float] = {}
    what, where = "", Measured.EMULATED
    if report.subjects is not None and report.subjects.means:
        known = {name: interval.mean for name, interval in report.subjects.means.items()}
        what = f"mean accuracy over {plural(len(report.subjects.rows), 'subject')}"
        where = report.subjects.device_measured
    elif report.confusion is not None:
        matrices = report.confusion.matrices
        known = {name: float(m.trace() / m.sum()) for name, m in matrices.items() if m.any()}
        what = "window accuracy"
        where = report.confusion.measured.get("device", where)
    names = {"device": f"on {machine_of(where)}", "int8": "in int8 on the host", "float": "in float"}
    found = [f"{percent(known[name])} {words}" for name, words in names.items() if name in known]
    if not found:
        return ""
    best, *others = found
    against = f" against {' and '.join(others)}" if others else ""
    return f"{what} is {best}{against}"


def _delay_clause(delay: Delay) -> str:
    worst = milliseconds(delay.worst_ms)
    if delay.target_ms is None or delay.limit_ms is None:
        return f"the worst delay is {worst}"
    if delay.worst_ms > delay.limit_ms:
        return f"the worst delay of {worst} exceeds the limit of {milliseconds(delay.limit_ms)}"
    if delay.worst_ms > delay.target_ms:
        return (
            f"the worst delay of {worst} is within the limit of {milliseconds(delay.limit_ms)} "
            f"but above the {milliseconds(delay.target_ms)} for best control"
        )
    return f"the worst delay of {worst} is within the {milliseconds(delay.target_ms)} for best control"
