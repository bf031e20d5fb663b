"""`innervate bench compile`: our figures beside the peer's stored ones."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.firmware.bench.emulator import BOARDS, available
from innervate.bench_compile import PEERS, PeerFigures, Row, rows
from innervate.cli import app
from quantize.c99.bench import Figures

needs_emulator = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


def test_ratios() -> None:
    own = Figures("net", 100, 50, 10, 20, 25, 30, 40)
    row = Row(own, PeerFigures(100, 200, 40, None, 160))
    sizes = ("instructions", "code_bytes", "arena_bytes", "stack_bytes")
    assert [row.ratio(size) for size in sizes] == [0.25, 0.25, None, 0.25]
    assert Row(own, None).ratio("instructions") is None


def test_stored_figures_are_of_boards_and_models_that_exist(anchors: Path) -> None:
    for board, models in PEERS.items():
        assert BOARDS[board].instructions_per_tick
        assert all((anchors / f"{name}.tflite").is_file() for name in models)


@needs_emulator
def test_beats_the_peer_on_its_own_model(anchors: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "compile", str(anchors / "emg_cnn.tflite"), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["board"] == "mps2-an386"
    (row,) = document["rows"]
    assert row["peer"]["instructions"] == 1_074_800
    assert all(0 < ratio < 1 for ratio in row["ratios"].values())


@needs_emulator
def test_another_model_of_the_same_name_has_no_peer(anchors: Path, tmp_path: Path) -> None:
    file = tmp_path / "eegnet.tflite"
    file.write_bytes((anchors / "emg_cnn.tflite").read_bytes())
    (row,) = rows([file], "generic")
    assert row.own.macs == 346_112
    assert row.peer is None
