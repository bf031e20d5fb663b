"""The emulated boards: each boots its firmware and computes what the host does."""

from pathlib import Path

import numpy as np
import pytest

from edge.decision import Decision
from edge.firmware.boards import board_names, load_board
from edge.link import Link, Traced
from edge.messages import ResetCause, Trace
from hil_tests.run import validate
from tests.stateful_models import stateful_bundle, step_file
from tests.tiny_bundle import tiny_bundle
from tests.tiny_firmware import build_tiny, need_board

EMULATED = [name for name in board_names() if load_board(name).emulator is not None]
WINDOWS = 3
NANOSECONDS = 1e9


@pytest.mark.parametrize("board", EMULATED)
def test_board_boots_and_computes_the_golden_integers(board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    bundle = tiny_bundle()
    golden, path = bundle.golden, bundle.signal_path
    firmware = build_tiny(bundle, board, tmp_path)
    emulator = load_board(board).emulator
    assert emulator is not None
    with Link.open(f"qemu:{board}", firmware.path, bundle.hash) as link:
        info = link.known()
        assert info.board == board
        assert info.tick_hz * emulator.instructions_per_tick == pytest.approx(NANOSECONDS)
        first = link.status()
        assert (first.boots, first.reset_cause) == (1, ResetCause.POWER_ON)
        link.start(Trace.ALL)
        events = list(link.stream(golden.counts[: path.samples_for(WINDOWS)]))
        last = link.status()
    for stage, expected in (
        ("filtered", golden.filtered),
        ("window", golden.windows),
        ("output", golden.outputs),
    ):
        values = [e.values for e in events if isinstance(e, Traced) and e.stage == stage]
        got = np.concatenate(values) if stage == "filtered" else np.stack(values)
        assert len(got) == (path.samples_for(WINDOWS) if stage == "filtered" else WINDOWS)
        assert np.array_equal(got, expected[: len(got)]), stage
    labels = [255 if e.label is None else e.label for e in events if isinstance(e, Decision)]
    assert labels == golden.decision_label[:WINDOWS].tolist()
    assert last.uptime > first.uptime
    assert last.bytes_overrun == 0
    products = 18 * 6 * 20  # of the convolution; generic kernels take some ten instructions for each
    assert products / 2 < last.model_max * emulator.instructions_per_tick < products * 100


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("board", EMULATED)
@pytest.mark.parametrize("model", ["convolution", "kept state and context"])
def test_suite_passes_on_the_board(model: str, board: str, tmp_path: Path) -> None:
    need_board(board, emulator=True)
    bundle = tiny_bundle() if model == "convolution" else stateful_bundle(step_file(context=2), True)
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_tiny(bundle, board, tmp_path)
    report = validate(tmp_path / "tiny.nrv", f"qemu:{board}", firmware.path, tmp_path / "report")
    assert report.passed, [test for test in report.tests if test.outcome != "passed"]
    assert sum(stage.values for stage in report.parity) > 0
    assert sum(stage.differing for stage in report.parity) == 0
    reasons = {test.message for test in report.tests if test.outcome == "skipped"}
    takes_none = set() if bundle.pipeline.context else {"the model takes no context"}
    assert reasons == {"the bundle's signal path does not look for it"} | takes_none
