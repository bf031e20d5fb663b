"""Instructions of each layer, counted in the emulator."""

import json
from pathlib import Path

import pytest

from edge.errors import InnervateError
from edge.firmware.bench.emulator import available
from quantize.c99 import emit
from quantize.c99.profile import BOARDS, board_of, run_once
from tests.random_graphs import random_graph
from tests.random_operators import random_operators
from tests.stateful_models import step_file
from tests.test_compile_emit import two_inputs_two_outputs

pytestmark = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


@pytest.mark.parametrize(
    "model",
    [random_graph(5), two_inputs_two_outputs(), step_file(context=2), random_operators("SPLIT", 0, 4)],
    ids=["graph", "two outputs", "states", "several calls a layer"],
)
def test_layers_add_up(model: bytes, tmp_path: Path) -> None:
    report = emit(model, "net", tmp_path / "net", measure=True)
    assert report.emulated is not None
    assert report.emulated.board == BOARDS["generic"]
    counted = [layer.instructions for layer in report.layers]
    assert all(
        count is not None and count >= layer.macs for count, layer in zip(counted, report.layers, strict=True)
    )
    # The whole also holds the call itself; either figure is exact to a tick, marks cost some instructions.
    slack = 2 * report.emulated.instructions_per_tick + 16 * len(counted)
    assert abs(sum(count or 0 for count in counted) - report.emulated.instructions) <= slack
    written = json.loads((tmp_path / "net" / "report.json").read_text())
    assert [layer["instructions"] for layer in written["layers"]] == counted
    assert "mark" not in (tmp_path / "net" / "net.c").read_text()


def test_counts_of_a_known_model(anchors: Path, tmp_path: Path) -> None:
    """The same on every run, and on a board whose counter tells 6 instructions apart."""
    model = (anchors / "emg_cnn.tflite").read_bytes()
    reports = [emit(model, "net", tmp_path / "net", "cortex-m4", measure=True) for _ in range(2)]
    assert reports[0] == reports[1]
    layers = {layer.operator: layer for layer in reports[0].layers}
    # 512 MACs at 1 to 4 instructions each.
    assert 512 <= (layers["FULLY_CONNECTED"].instructions or 0) <= 2048
    assert reports[0].instructions_per_mac == pytest.approx(1.12, abs=0.05)
    assert run_once(tmp_path / "net", reports[0], "netduinoplus2").instructions == pytest.approx(
        reports[0].emulated and reports[0].emulated.instructions, abs=80
    )


def test_no_emulator_for_a_target() -> None:
    with pytest.raises(InnervateError, match="no emulator counts instructions of host"):
        board_of("host")
