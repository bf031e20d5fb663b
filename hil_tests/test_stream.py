"""A recording streamed as it would be in use, decision by decision equal to the host's."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.decision import Decision
from edge.firmware.boards import load_board
from edge.golden import Golden
from edge.link import Link
from edge.pipeline import Pipeline
from hil_tests.parity import compare, decision_rows
from hil_tests.report import Timing, ValidationReport


def test_recording(
    link: Link, pipeline: Pipeline, recording: NDArray[np.integer[Any]], report: ValidationReport
) -> None:
    link.start()
    decisions = [event for event in link.stream(recording) if isinstance(event, Decision)]
    parity = compare("decision", decision_rows(pipeline.push(recording)), decision_rows(decisions))
    assert parity.values > 0, "the recording is too short for one decision"
    assert parity.differing == 0, f"decisions differ in {parity.differing} integers, first {parity.first}"


def test_status_after_a_clean_stream(
    link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle, report: ValidationReport
) -> None:
    link.start()
    decisions = [event for event in link.stream(golden.counts) if isinstance(event, Decision)]
    status = link.status()
    hz = link.hello().tick_hz
    report.status = {name: int(value) for name, value in vars(status).items()}
    filtered, model, decision = status.filter_max, status.model_max, status.decision_max
    report.timing = Timing(
        filtered / hz * 1e6,
        model / hz * 1e6,
        decision / hz * 1e6,
        hz,
        instructions(report.device, filtered),
        instructions(report.device, model),
        instructions(report.device, decision),
    )
    assert status.samples == len(golden.counts)
    assert status.windows == len(golden.windows)
    assert status.decisions == len(decisions)
    unwanted = ["frames_corrupt", "frames_lost", "frames_duplicate", "frames_refused", "bytes_overrun"]
    unwanted += ["samples_late", "gaps"]
    assert {name: getattr(status, name) for name in unwanted} == dict.fromkeys(unwanted, 0)
    assert link.decoder.corrupt == 0, "frames from the device arrived corrupt"
    assert 0 < status.stack_used < status.stack_size, "the stack has overflowed or is not measured"
    assert status.uptime > 0
    for stage in ("filter", "model", "decision"):
        assert 0 <= getattr(status, f"{stage}_last") <= getattr(status, f"{stage}_max")
    assert status.model_max > 0


def instructions(url: str, ticks: int) -> int | None:
    if not url.startswith("qemu:"):
        return None
    emulator = load_board(url.removeprefix("qemu:")).emulator
    return None if emulator is None else round(ticks * emulator.instructions_per_tick)


@pytest.mark.parametrize("chunk", [1, 7])
def test_any_chunking(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle, chunk: int) -> None:
    """Decisions do not depend on how samples are cut into frames."""
    path = bundle.signal_path
    counts = golden.counts[: path.samples_for(2)]
    link.start()
    decisions = [event for event in link.stream(counts, chunk=chunk) if isinstance(event, Decision)]
    assert decision_rows(decisions).tolist() == decision_rows(pipeline.push(counts)).tolist()


def test_index_wraps(link: Link, pipeline: Pipeline, golden: Golden, bundle: Bundle) -> None:
    """The sample index counts modulo 2^32."""
    path = bundle.signal_path
    counts = golden.counts[: path.samples_for(2)]
    first = 2**32 - path.samples_for(1) + path.window_samples // 2
    link.start()
    decisions = [event for event in link.stream(counts, first) if isinstance(event, Decision)]
    assert decision_rows(decisions).tolist() == decision_rows(pipeline.push(counts, first)).tolist()
