"""The suite can fail: a firmware with one thing wrong fails at exactly the right stage."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

import hil_tests
from edge.bundle import Bundle
from edge.stages import Cascade
from hil_tests.report import ValidationReport
from tests.tiny_bundle import RULE, tiny_bundle, tiny_graph, tiny_path
from tests.tiny_firmware import build_tiny


def altered_coefficient() -> Bundle:
    path = tiny_path()
    cascade = path.stages[0]
    assert isinstance(cascade, Cascade)
    first, *rest = cascade.sections
    section = msgspec.structs.replace(first, b=(first.b[0] + 1, *first.b[1:]))
    return tiny_bundle(path=msgspec.structs.replace(path, stages=(Cascade((section, *rest)),)))


def altered_multiplier() -> Bundle:
    path = tiny_path()
    return tiny_bundle(path=msgspec.structs.replace(path, multiplier=(1_520_000_000, *path.multiplier[1:])))


def altered_weight() -> Bundle:
    graph = tiny_graph()
    weights = graph.layers[0].weights
    assert weights is not None
    weights = weights.copy()
    weights[0, 0, 2, 1] ^= np.int8(64)
    return tiny_bundle(
        graph=replace(graph, layers=(replace(graph.layers[0], weights=weights), *graph.layers[1:]))
    )


def altered_rule() -> Bundle:
    return tiny_bundle(rule=msgspec.structs.replace(RULE, min_confidence=RULE.min_confidence + 0.05))


@pytest.mark.parametrize(
    ("alter", "first_wrong", "also_right"),
    [
        (altered_coefficient, "filtered", {"model"}),
        (altered_multiplier, "window", {"filtered", "model"}),
        (altered_weight, "output", {"filtered", "window"}),
        (altered_rule, "decision", {"filtered", "window", "output", "model"}),
    ],
)
def test_one_thing_wrong(alter: object, first_wrong: str, also_right: set[str], tmp_path: Path) -> None:
    assert callable(alter)
    right = tiny_bundle()
    right.save(tmp_path / "tiny.nrv")
    # It claims to be built from the right bundle, as a firmware with a fault in it would.
    firmware = build_tiny(alter(), "host", tmp_path, claims=right)
    suite = Path(hil_tests.__file__).parent
    command = [sys.executable, "-m", "pytest", str(suite / "test_golden.py"), "-c", str(suite / "pytest.ini")]
    command += ["-q", "-p", "no:cacheprovider", "--device", "host:", "--bundle", str(tmp_path / "tiny.nrv")]
    command += ["--firmware", str(firmware.path), "--report-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout
    report = ValidationReport.load(tmp_path)
    assert not report.passed
    differing = {stage.stage: stage.differing for stage in report.parity}
    assert next(stage for stage, count in differing.items() if count) == first_wrong
    assert all(differing[stage] == 0 for stage in also_right), differing
    failed = next(test for test in report.tests if test.outcome == "failed")
    assert f"stage {first_wrong} differs" in failed.message
    place = next(stage.first for stage in report.parity if stage.differing)
    assert "host " in place
    assert ", device " in place
