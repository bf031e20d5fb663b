"""Firmware with a fault planted in its sources fails the very test that is there to find it."""

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge
import hil_tests
from edge.firmware import boards
from hil_tests.report import ValidationReport
from tests.stateful_models import stateful_bundle, step_file
from tests.tiny_bundle import tiny_bundle
from tests.tiny_firmware import build_tiny, need_board

SOURCES = Path(edge.__file__).parent

# file under edge/, text, what it becomes, test that must fail
MUTANTS = {
    "a wrong CRC passes": (
        "core/frame.c",
        "if (crc != nrv_crc32(0, raw, checked))",
        "if (0)",
        "damaged_frames",
    ),
    "repeated frames are taken": (
        "firmware/app/link.c",
        "|| result == NRV_FRAME_GOOD",
        "|| result != NRV_FRAME_NONE",
        "damaged_frames",
    ),
    "votes outlive a gap": (
        "core/chain.c",
        "nrv_decider_clear(&chain->decider);\n        chain",
        "chain",
        "damaged_frames",
    ),
    "a gap does not reset the filter": (
        "core/chain.c",
        "nrv_path_gap(&chain->path);\n        nrv_decider",
        "nrv_decider",
        "damaged_frames",
    ),
    "leads that are off go unheard": (
        "firmware/app/stream.c",
        "nrv_chain_push(&chain, index, counts, lead_off)",
        "nrv_chain_push(&chain, index, counts, 0 * lead_off)",
        "lead_off",
    ),
    "a start does not reset the chain": (
        "firmware/app/stream.c",
        "    nrv_chain_reset(&chain);\n",
        "",
        "recording",
    ),
    "stale without end": ("firmware/app/stream.c", "    stale = true;\n", "", "silence_is_no_decision"),
    "never stale": ("firmware/app/stream.c", "stale_ticks == 0 ||", "true ||", "silence_is_no_decision"),
    "reset cause lost": (
        "firmware/boards/host/board.c",
        "arg_cause[0] = (char)('0' + cause);",
        "(void)cause;\n    arg_cause[0] = '0';",
        "reset_in_mid_stream",
    ),
    "counts lose their sign": (
        "firmware/app/stream.c",
        "(int32_t)(((uint32_t)nrv_get(bytes, width) ^ sign) - sign)",
        "(int32_t)(nrv_get(bytes, width) + 0u * sign)",
        "golden[filtered]",
    ),
}
# The same in the firmware of a model that keeps its state and takes a context.
STATE_MUTANTS = {
    "state outlives a gap": (
        "firmware/app/stream.c",
        "reset_model();\n        nrv_chain_gap",
        "nrv_chain_gap",
        "state_starts_anew_after_a_gap",
    ),
    "state outlives a start": (
        "firmware/app/stream.c",
        "nrv_chain_reset(&chain);\n    reset_model();",
        "nrv_chain_reset(&chain);",
        "state_is_as_the_bundle_says",
    ),
    "state does not outlive a window": (
        "firmware/app/stream.c",
        "if (!NRV_KEEPS_STATE)",
        "if (1)",
        "golden[output]",
    ),
    "the context goes unheard": (
        "firmware/app/stream.c",
        "input + at, context, output",
        "input + at, (const int8_t[NRV_CONTEXT]){0}, output",
        "context_is_the_models",
    ),
    "a short context is taken": (
        "firmware/app/stream.c",
        "message->data_size != NRV_CONTEXT",
        "message->data_size > NRV_CONTEXT",
        "context_of_another_size_is_refused",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutant", [*MUTANTS, *STATE_MUTANTS])
def test_planted_fault(mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_board("host")
    file, text, becomes, test = (MUTANTS | STATE_MUTANTS)[mutant]
    for room in ("core", "firmware"):
        shutil.copytree(
            SOURCES / room, tmp_path / "edge" / room, ignore=shutil.ignore_patterns("__pycache__")
        )
    source = tmp_path / "edge" / file
    content = source.read_text()
    assert content.count(text) == 1, "the sources have moved on: plant the fault anew"
    source.write_text(content.replace(text, becomes))
    build = importlib.import_module("edge.firmware.build")
    monkeypatch.setattr(build, "_HERE", tmp_path / "edge" / "firmware")
    monkeypatch.setattr(build, "_CORE", tmp_path / "edge" / "core")
    monkeypatch.setattr(boards, "BOARDS", tmp_path / "edge" / "firmware" / "boards")
    bundle = tiny_bundle() if mutant in MUTANTS else stateful_bundle(step_file(context=2), keeps_state=True)
    bundle.save(tmp_path / "tiny.nrv")
    firmware = build_tiny(bundle, "host", tmp_path / "build")
    suite = Path(hil_tests.__file__).parent
    command = [sys.executable, "-m", "pytest", str(suite), "-c", str(suite / "pytest.ini"), "-q"]
    command += ["-p", "no:cacheprovider", "--device", "host:", "--bundle", str(tmp_path / "tiny.nrv")]
    command += ["--firmware", str(firmware.path), "--report-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    failed = [case.name for case in ValidationReport.load(tmp_path).tests if case.outcome == "failed"]
    assert f"test_{test}" in failed
