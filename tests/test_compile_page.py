"""The page of a compiled model, and the verb that writes it."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.firmware.bench.emulator import available
from innervate.cli import app
from innervate.report.compiled import arena_drawing, render
from quantize.c99 import Report, emit
from quantize.c99.report import ArenaBuffer, Check, Emulated
from tests.random_graphs import random_graph, random_lstm


@pytest.fixture
def report(tmp_path: Path) -> Report:
    return emit(random_lstm(8), "net", tmp_path / "net")


def test_drawing_is_to_scale(report: Report) -> None:
    """Heights are bytes, widths lifetimes, whatever the scale."""
    steps = [layer.position for layer in report.layers if layer.kernel]
    first, last = steps[0], steps[-1]
    buffers = [
        ArenaBuffer("output of layer 1", 0, 600, first, first),
        ArenaBuffer("scratch of layer 1", 600, 200, first, last),
        ArenaBuffer("<kept> of layer 1", 800, 200, first, last),
    ]
    svg = ET.fromstring(arena_drawing(replace(report, arena=buffers, arena_bytes=1000)))
    boxes = [{k: float(r.get(k, "")) for k in ("x", "y", "width", "height")} for r in svg.iter("rect")]
    assert [box["height"] for box in boxes] == pytest.approx([180, 60, 60], abs=0.1)
    assert boxes[0]["y"] - boxes[0]["height"] / 3 == pytest.approx(boxes[1]["y"], abs=0.2)
    assert boxes[2]["y"] == 12  # the top
    assert (boxes[1]["width"] + 4) / (boxes[0]["width"] + 4) == pytest.approx(len(steps), abs=0.1)
    titles = [title.text for title in svg.iter("title")]
    assert titles[2] == "<kept> of layer 1: 200 bytes, from byte 800"


def test_page_says_what_failed_and_what_was_emulated(report: Report) -> None:
    shown = render(report)
    assert "✗" not in shown
    assert 'class="badge emulated"' not in shown
    failed = Check("no <recursion>", "object code", False, "a, b")
    emulated = Emulated("mps2-an386", 40, 123_440, 200)
    layers = [replace(layer, instructions=7_890) for layer in report.layers]
    shown = render(replace(report, checks=[failed], emulated=emulated, layers=layers))
    assert "✗ no" in shown
    assert "no &lt;recursion&gt;" in shown
    assert "123,440" in shown
    assert shown.count("7,890") == sum(bool(layer.kernel) for layer in layers)
    assert 'class="badge emulated"' in shown
    assert render(replace(report, build=None, arena=[])).count("<svg") == 0


def test_layers_are_all_there(report: Report) -> None:
    rows = re.findall(r'<th scope="row" class="n">(\d+)</th><td>(\w+)</td>', render(report))
    assert rows == [(str(layer.position), layer.operator) for layer in report.layers]


def test_verb_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the folder is named relative to where one is."""
    monkeypatch.chdir(tmp_path)
    Path("net.tflite").write_bytes(random_graph(5))
    options = ["--measure"] if available() else []
    result = CliRunner().invoke(app, ["compile", "net.tflite", "--out", "out", "--json", *options])
    assert result.exit_code == 0, result.output
    written = json.loads(Path("out/report.json").read_text())
    assert json.loads(result.stdout) == written
    assert written["build"] is not None
    assert (written["emulated"] is not None) == available()
    assert "<svg" in Path("out/report.html").read_text("utf-8")
