"""The HTML report: complete, self-contained, escaped, reproducible, and true to the numbers it was given."""

import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import InnervateError
from innervate.report import (
    Confusion,
    Delay,
    DelayPart,
    EngineRow,
    Engines,
    Headline,
    Interval,
    Layer,
    Measured,
    ParityRow,
    Provenance,
    Report,
    Signals,
    Size,
    Sizes,
    Span,
    SubjectRow,
    Subjects,
    Timeline,
    Training,
    write_report,
)
from innervate.report import html as report_html
from innervate.report.data import MISSING, NO_DECISION
from innervate.report.figures import envelope
from innervate.report.html import render
from innervate.report.wording import clean, milliseconds, number, percent, shorten, size, verdict
from quantize.noise import LayerNoise, Noise
from train.filter_response import Bound, PathResponse, SegmentResponse

HOST, EMULATED, DEVICE = Measured.HOST, Measured.EMULATED, Measured.DEVICE
LABELS = ("rest", "fist", "open")
FLOAT = np.array([[50, 2, 0], [1, 47, 3], [3, 4, 43]])
INT8 = np.array([[49, 3, 0], [1, 47, 3], [3, 4, 43]])
VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """A page's elements, checked for nesting; `tables` holds the texts of the cells of each table."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.tables: list[list[list[str]]] = []
        self.captions: list[str] = []
        self.headings: list[str] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
            self.captions.append("")
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "h2":
            self.headings.append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        self.words.append(data)
        if "caption" in self.open:
            self.captions[-1] += data
        elif self.open and ("td" in self.open or "th" in self.open):
            self.tables[-1][-1][-1] += data
        elif "h2" in self.open:
            self.headings[-1] += data

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def table(self, start: str) -> list[list[str]]:
        return next(t for c, t in zip(self.captions, self.tables, strict=True) if c.strip().startswith(start))


def provenance() -> Provenance:
    return Provenance(
        title="EMG gestures",
        task="emg_gestures",
        dataset="simulated",
        split="leave subjects out",
        subjects=2,
        seed=7,
        machines={HOST: "a desk", EMULATED: "QEMU, netduinoplus2"},
        versions={"innervate": "0.1.0"},
        created="2026-01-02T03:04:05Z",
        bundle_hash="ab" * 32,
    )


def full() -> Report:
    random = np.random.default_rng(3)
    raw = random.integers(-2000, 2000, (3000, 4), dtype=np.int32)
    decisions = np.array([NO_DECISION, 0, 0, 1, 1, 2, 2, NO_DECISION, 0, 0])
    return Report(
        provenance=provenance(),
        headline=[Headline("Flash", 48212, "bytes", HOST, "note"), Headline("Text", "good", "", EMULATED)],
        signals=Signals(raw, raw // 2, 1000.0, list("ABCD"), [Span(0.5, 1.0, "fist")], 0.5, 4, "S1"),
        filter_response=PathResponse(
            (
                SegmentResponse(
                    name="filters",
                    fs_hz=200.0,
                    output_hz=200.0,
                    freqs_hz=np.array([0.1, 1.0, 10.0, 100.0]),
                    design_db=np.array([-120.0, -60.0, -0.5, 0.0]),
                    design_delay_ms=np.array([np.nan, 9.0, 8.0, 7.0]),
                    quantized_db=np.array([-120.0, -59.0, -0.25, 0.0]),
                    quantized_delay_ms=np.array([np.nan, 9.0, 8.0, 7.0]),
                    noise_db=np.array([-180.0, -180.0, -170.0, -175.0]),
                    noise_total_db=-151.0,
                ),
            ),
            (Bound(0, "cascade 0, section 0", 1e9, 0.47),),
        ),
        confusion=Confusion(
            LABELS,
            {"float": FLOAT, "int8": INT8, "device": INT8.copy()},
            {"float": HOST, "int8": HOST, "device": EMULATED},
        ),
        subjects=Subjects(
            [SubjectRow("01", 75, 0.92, 0.9, 0.9, 0.8), SubjectRow("02", 78, 0.94, 0.94, None, 0.75)],
            {"float": Interval(0.93, 0.91, 0.95), "int8": Interval(0.92, 0.89, 0.95)},
            "Student t over subjects",
        ),
        sizes=Sizes(
            [Size("Flash", 49152, "bytes", HOST, "all of it", 1 << 20), Size("MACs", 123456, "", HOST)],
            [
                Layer("conv1", "CONV_2D", (1, 50, 8), 700, 12000),
                Layer("dense", "FULLY_CONNECTED", (3,), 27, 24),
            ],
        ),
        delay=Delay(
            [DelayPart("window", 100, 200, HOST, "half"), DelayPart("compute", 2.5, 3.5, EMULATED)],
            125.0,
            300.0,
        ),
        engines=Engines(
            "the reference kernels",
            153,
            [
                EngineRow("XNNPACK", HOST, 0.91, 1, 0.9999, "2.3.0", 2),
                EngineRow("tflm", HOST, missing="gone"),
            ],
        ),
        parity=[
            ParityRow("filter", "qemu:netduinoplus2", EMULATED, 8000, 0),
            ParityRow("window", "qemu:netduinoplus2", EMULATED, 4345, 0),
            ParityRow("filter", "host:", HOST, 8000, 0),
        ],
        noise=Noise(
            512,
            (
                LayerNoise("conv1", 38.2, 51.0),
                LayerNoise("pool", 38.0, None),
                LayerNoise("dense", 35.1, 41.7),
            ),
        ),
        training=Training(
            np.arange(1, 5),
            np.array([1.0, 0.5, 0.3, 0.2]),
            np.array([0.5, 0.8, 0.9, 0.85]),
            3,
            ["float"] * 3 + ["QAT"],
        ),
        timeline=Timeline(
            LABELS,
            np.arange(10) * 0.05,
            np.maximum(decisions, 0),
            decisions,
            decisions.copy(),
            "qemu:netduinoplus2",
        ),
        notes=["Counts instructions, not cycles."],
    )


SECTIONS = {
    "parity": "Does the device compute what the host computes?",
    "timeline": "A streamed recording, decision by decision",
    "confusion": "Which labels are confused?",
    "subjects": "How accurate is it for each subject?",
    "delay": "How long does a decision take?",
    "signals": "What does the filter do to the signal?",
    "filter_response": "Which frequencies pass?",
    "engines": "Do the engines agree?",
    "sizes": "What does it cost?",
    "noise": "Which layer does quantization cost most?",
    "training": "How did training go?",
    "notes": "Limits and notes",
}


@pytest.fixture(scope="module")
def page_text() -> str:
    return render(full())


@pytest.fixture(scope="module")
def page(page_text: str) -> Page:
    return Page(page_text)


def test_all_sections_in_order(page: Page) -> None:
    assert page.headings == [*SECTIONS.values(), "Where these figures come from"]


@pytest.mark.parametrize("part", SECTIONS)
def test_a_missing_part_leaves_no_section(part: str) -> None:
    only = Report(provenance(), **{part: getattr(full(), part)})
    assert Page(render(only)).headings == [SECTIONS[part], "Where these figures come from"]


def test_empty_parts_leave_no_section() -> None:
    nothing = np.zeros(0)
    empty = Report(
        provenance(),
        signals=Signals(np.zeros((0, 2), np.int32), np.zeros((0, 2), np.int32), 200.0, ["a", "b"]),
        filter_response=PathResponse((), ()),
        confusion=Confusion(LABELS, {}, {}),
        subjects=Subjects([]),
        sizes=Sizes([]),
        delay=Delay([]),
        engines=Engines("", 0, []),
        noise=Noise(0, ()),
        training=Training(nothing.astype(int), nothing, nothing),
        timeline=Timeline(LABELS, nothing, nothing.astype(int), nothing.astype(int)),
    )
    assert Page(render(empty)).headings == ["Where these figures come from"]


def test_nothing_is_fetched(page: Page, page_text: str) -> None:
    assert not re.search(r"(?i)https?:|//[a-z]|@import|@font-face|data:|javascript:", page_text)
    assert not re.search(r"url\((?!#)", page_text)
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "img", "base", "form", "image"}
    for _, attributes in page.tags:
        assert not any(name.startswith("on") or name in ("src", "srcset", "action") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")


def test_ids_are_unique_and_references_resolve(page: Page, page_text: str) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    linked = {str(attributes["href"])[1:] for _, attributes in page.tags if "href" in attributes}
    linked |= set(re.findall(r"url\(#([^)]+)\)", page_text))
    assert linked
    assert linked <= set(ids)


def test_pictures_have_alternative_texts_and_tables_captions(page: Page) -> None:
    pictures = [attributes for tag, attributes in page.tags if tag == "svg"]
    assert len(pictures) == 2 * 8
    assert all(a.get("role") == "img" and len(a.get("aria-label") or "") > 20 for a in pictures)
    assert sorted(str(a["class"]) for a in pictures) == ["narrow"] * 8 + ["wide"] * 8
    assert all(caption.strip() for caption in page.captions)
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    assert ("html", {"lang": "en"}) in page.tags


def test_pictures_take_their_colours_from_the_style_sheet(page_text: str) -> None:
    pictures = "".join(re.findall(r"<svg.*?</svg>", page_text, re.DOTALL))
    assert not re.search(r"#[0-9a-f]{6}\b", pictures)
    used = set(re.findall(r"var\((--[\w-]+)\)", page_text))
    assert used <= set(re.findall(r"(--[\w-]+):", page_text))


def test_confusion_matrices_are_the_given_ones(page: Page) -> None:
    for start, matrix in (("float", FLOAT), ("int8", INT8)):
        table = page.table(start)
        shown = np.array([[int(cell) for cell in row[1:-1]] for row in table[1:]])
        np.testing.assert_array_equal(shown[:-1, :-1], matrix)
        np.testing.assert_array_equal(shown[:-1, -1], matrix.sum(axis=1))
        np.testing.assert_array_equal(shown[-1, :-1], matrix.sum(axis=0))
        assert shown[-1, -1] == matrix.sum() == 153
        assert [row[0] for row in table[1:]] == [*LABELS, "all"]
    merged = "int8 host and device emulated, equal in every cell"
    assert sum(caption.startswith(merged) for caption in page.captions) == 1


def test_unequal_matrices_are_all_shown() -> None:
    confusion = full().confusion
    assert confusion is not None
    moved = {**confusion.matrices, "device": FLOAT.T.copy()}
    shown = Page(render(Report(provenance(), confusion=replace(confusion, matrices=moved))))
    assert [caption.split()[0] for caption in shown.captions] == ["float", "int8", "device"]


def test_tables_show_the_given_numbers(page: Page) -> None:
    assert page.table("Integers compared")[-1][:3] == ["All", "0", "20,345"]
    subjects = page.table("Accuracy by subject")
    assert subjects[0] == ["Subject", "Windows", "float", "int8", "device", "linear floor"]
    assert subjects[2] == ["02", "78", "94.0\u00a0%", "94.0\u00a0%", "–", "75.0\u00a0%"]
    assert subjects[3][:2] == ["All subjects", "153"]
    assert subjects[3][2].replace("\u00a0", " ") == "93.0 %91.0 % to 95.0 %"
    delays = page.table("Delay budget")
    assert [cell.replace("\u00a0", " ") for cell in delays[-1][:3]] == ["Total", "102.5 ms", "203.5 ms"]
    assert page.table("Layers")[-1][3:] == ["727", "12,024"]
    assert "4.7" in page.table("Sizes")[1][2]
    assert page.table("Engines")[1][1:4] == ["91.0\u00a0%", "1", "99.9\u00a0%"]


def test_text_is_escaped_everywhere() -> None:
    evil = "<script>alert('x')</script>&\"$x_1$ \x00\u202e\ud800"
    base = full()
    assert base.signals is not None
    assert base.timeline is not None
    assert base.training is not None
    nasty = Report(
        provenance=Provenance(evil, evil, evil, evil, 1, 0, {HOST: evil}, {evil: evil}, evil, evil),
        headline=[Headline(evil, evil, evil, HOST, evil)],
        signals=replace(base.signals, channels=[evil] * 4, annotations=[Span(0, 3, evil)], description=evil),
        confusion=Confusion([evil] * 3, {evil: FLOAT}, {evil: HOST}),
        subjects=Subjects([SubjectRow(evil, 1, 0.5)], {}, evil, HOST, evil),
        sizes=Sizes([Size(evil, 1, evil, HOST, evil)], [Layer(evil, evil, (1,), 1, 1)]),
        delay=Delay([DelayPart(evil, 1, 1, HOST, evil)]),
        engines=Engines(evil, 1, [EngineRow(evil, HOST, version=evil), EngineRow("x", HOST, missing=evil)]),
        parity=[ParityRow(evil, evil, HOST, 10, 1, evil)],
        training=replace(base.training, phase=[evil] * 4),
        timeline=replace(base.timeline, labels=[evil] * 3, device_url=evil, description=evil),
        notes=[evil],
    )
    text = render(nasty)
    text.encode("utf-8")
    page = Page(text)
    assert "script" not in {tag for tag, _ in page.tags}
    assert not re.search("[\x00\u202e\ud800]", text)
    assert page.text.count("<script>alert('x')</script>&\"$x_1$") > 20


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=40), st.integers(1, 20))
def test_cleaned_text_is_safe(text: str, length: int) -> None:
    cleaned = clean(text)
    cleaned.encode("utf-8")
    assert clean(cleaned) == cleaned
    assert len(shorten(text, length)) <= length
    assert not re.search(r"[\x00-\x08\n\r\u202a-\u202e]", cleaned)


def test_labels_of_any_script() -> None:
    base = full()
    assert base.timeline is not None
    labels = ["握拳", "ראש", "\U0001f44b wave"]
    assert "握拳" in render(Report(provenance(), timeline=replace(base.timeline, labels=labels)))


def test_equal_reports_give_equal_bytes(tmp_path: Path, page_text: str) -> None:
    first = write_report(full(), tmp_path / "one.html")
    assert first.read_bytes() == page_text.encode()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import test_report as t; from pathlib import Path;"
        "t.write_report(t.full(), Path(sys.argv[2]))"
    )
    other = tmp_path / "two.html"
    environment = {"PYTHONHASHSEED": "1", "PATH": "/usr/bin:/bin", "TZ": "Asia/Tokyo", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(other)]
    subprocess.run(command, check=True, env=environment, cwd=Path(__file__).parents[1])
    assert other.read_bytes() == first.read_bytes()


def test_users_matplotlib_settings_do_not_matter() -> None:
    report = Report(provenance(), delay=full().delay)
    expected = render(report)
    with mpl.rc_context({"font.size": 30, "axes.grid": False, "svg.fonttype": "path"}):
        assert render(report) == expected
        assert mpl.rcParams["font.size"] == 30


def test_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "deep" / "report.html"
    assert write_report(Report(provenance()), out) == out
    before = out.read_bytes()
    assert before.endswith(b"</html>")

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("innervate.report.html.os.fsync", full_disk)
    with pytest.raises(InnervateError, match="No space left on device"):
        write_report(Report(provenance(), notes=["something new"]), out)
    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InnervateError, match=r"report\.html"):
        write_report(Report(provenance()), tmp_path / "file" / "report.html")
    with pytest.raises(InnervateError, match="cannot be written"):
        write_report(Report(provenance()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_verdict_passed(page: Page) -> None:
    said = verdict(full())
    assert said.state == "passed"
    assert said.sentence.startswith(
        "The emulated device and the natively compiled firmware computed what the host computed: "
        "0 of 20,345 integers differ over 2 stages; mean accuracy over 2 subjects is "
    )
    late = "within the limit of 300\u00a0ms but above the 125\u00a0ms for best control."
    assert said.sentence.endswith(late)
    assert "✓ Passed" in page.text


def test_verdict_failed() -> None:
    base = full()
    wrong = ParityRow("model output", "/dev/ttyACM0", DEVICE, 7, 2, "window 3, class 1: host 4, device 5")
    said = verdict(replace(base, parity=[*base.parity, wrong]))
    assert said.state == "failed"
    assert said.sentence.startswith(
        "The device did not compute what the host computed: 2 of 7 integers differ, "
        "first in stage “model output” on /dev/ttyACM0;"
    )
    slow = verdict(Report(provenance(), delay=Delay([DelayPart("window", 100, 301, HOST)], 125.0, 300.0)))
    assert slow.state == "failed"
    assert "exceeds the limit of 300" in slow.sentence
    assert base.timeline is not None
    assert base.timeline.device is not None
    lost = base.timeline.device.copy()
    lost[4] = MISSING
    streamed = Report(provenance(), timeline=replace(base.timeline, device=lost))
    assert verdict(streamed).state == "failed"
    assert "1 of 10 streamed decisions differs" in verdict(streamed).sentence
    assert "not received" in Page(render(streamed)).text


def test_verdict_open() -> None:
    confusion = Confusion(LABELS, {"float": FLOAT}, {"float": HOST})
    said = verdict(Report(provenance(), confusion=confusion))
    assert said.state == "open"
    # 140 of 153 windows lie on the diagonal
    assert said.sentence == "No device was compared with the host; window accuracy is 91.5\u00a0% in float."
    unproved = verdict(Report(provenance(), parity=[ParityRow("filter", "host:", HOST, 0, 0)]))
    assert unproved.state == "open"
    some = [ParityRow("filter", "host:", HOST, 5, 0), ParityRow("window", "host:", HOST, 0, 0)]
    partly = verdict(Report(provenance(), parity=some))
    assert partly.state == "open"
    assert "nothing was compared in window" in partly.sentence


def test_shapes_that_do_not_fit_are_refused() -> None:
    three = np.zeros((5, 3), np.int32)
    with pytest.raises(ValueError, match="column of filtered"):
        Signals(three, three[:, 1:], 200.0, ["a", "b", "c"])
    with pytest.raises(ValueError, match="channel name"):
        Signals(three, three, 200.0, ["a"])
    with pytest.raises(ValueError, match=r"\(2, 2\)"):
        Confusion(LABELS, {"float": np.zeros((2, 2), int)}, {"float": HOST})
    with pytest.raises(ValueError, match="where it was measured"):
        Confusion(LABELS, {"float": FLOAT}, {})
    with pytest.raises(ValueError, match="fraction"):
        SubjectRow("01", 10, 92.0)
    with pytest.raises(ValueError, match="differ"):
        ParityRow("filter", "host:", HOST, 1, 2)
    with pytest.raises(ValueError, match="label index"):
        Timeline(LABELS, np.arange(2.0), np.array([0, 3]), np.array([0, 0]))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=300), st.integers(1, 40))
def test_envelope_keeps_extremes_and_order(samples: list[int], columns: int) -> None:
    signal = np.array(samples, dtype=np.float64)
    position, value = envelope(signal, columns)
    assert len(value) <= max(2 * columns, 1) or len(value) == len(samples) <= 2 * columns
    assert (np.diff(position) >= 0).all()
    np.testing.assert_array_equal(value, signal[position.astype(int)])
    assert value.max() == max(samples)
    assert value.min() == min(samples)


def test_numbers_in_words() -> None:
    assert [number(v) for v in (0, 1234567, -5, 94.123, 0.00123, 1234.5, float("nan"), None)] == [
        "0", "1,234,567", "−5", "94.12", "0.001230", "1,234", "–", "–",
    ]  # fmt: skip
    assert [percent(v).replace("\u00a0", " ") for v in (0, 1, 0.99999, 0.00001, 0.5, None)] == [
        "0.0 %", "100.0 %", "99.9 %", "0.1 %", "50.0 %", "–",
    ]  # fmt: skip
    assert [milliseconds(v).replace("\u00a0", " ") for v in (0, 0.5, 12.34, 284.4)] == [
        "0 ms", "0.50 ms", "12.3 ms", "284 ms",
    ]  # fmt: skip
    assert size(1536, "bytes").replace("\u00a0", " ") == "1,536 bytes (1.5 KiB)"
    assert size(12, "") == "12"


def _luminance(colour: str) -> float:
    """Relative luminance by WCAG 2.2."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    r, g, b = (v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in values)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_meets_wcag_aa(scheme: str) -> None:
    style = (Path(report_html.__file__).parent / "report.css").read_text("utf-8")
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    colour = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light))
    if scheme == "dark":
        colour |= dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", dark))
    text = [(ink, back) for ink in ("text", "quiet") for back in ("page", "card")]
    text += [(state, back) for state in ("good", "bad", "open") for back in (f"{state}-back", "card")]
    text += [("text", f"{state}-back") for state in ("good", "bad", "open")]
    text += [("s-light", f"s{i}") for i in range(4)] + [("s-dark", f"s{i}") for i in (4, 5)]
    text += [("fig-ink", "fig-face"), ("fig-ink", "fig-band"), ("fig-muted", "fig-face"), ("card", "text")]
    for ink, back in text:
        assert _contrast(colour[ink], colour[back]) >= 4.5, (ink, back)
    marks = ("fig-series1", "fig-series2", "fig-series3", "fig-alarm")
    for mark in marks:
        for back in ("fig-face", "fig-band"):
            assert _contrast(colour[mark], colour[back]) >= 3, (mark, back)


def test_a_failed_check_fails_the_verdict_though_no_integer_differs() -> None:
    equal = [ParityRow("filter", "host:", HOST, 5, 0)]
    assert verdict(Report(provenance(), parity=equal)).state == "passed"
    failed = verdict(Report(provenance(), parity=equal, failures=["test_watchdog (no restart)"]))
    assert failed.state == "failed"
    assert "test_watchdog (no restart)" in failed.sentence
