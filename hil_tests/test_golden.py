"""Golden vectors, stage by stage: 0 differing integers, or the first stage, place and value that differ."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.bundle import Bundle
from edge.decision import Decision
from edge.golden import Golden
from edge.link import Link, Traced
from edge.messages import Trace
from hil_tests.conftest import ready
from hil_tests.parity import compare, decision_rows
from hil_tests.report import ValidationReport

MODEL_WINDOWS = 16
"""Windows injected into the model alone, spread over all golden ones where each is for itself."""

Stages = Mapping[str, NDArray[Any]]


@pytest.fixture(scope="module")
def expected(golden: Golden) -> Stages:
    fields = (
        golden.decision_sample_index,
        golden.decision_label,
        golden.decision_confidence,
        golden.decision_flags,
    )
    decisions = np.stack([field.astype(np.int64) for field in fields], axis=1)
    return {
        "filtered": golden.filtered,
        "window": golden.windows,
        "output": golden.outputs,
        "decision": decisions,
    }


@pytest.fixture(scope="module")
def traced(device_link: Link, bundle: Bundle, golden: Golden, expected: Stages) -> Stages:
    """Every stage as the device computed it, from one stream."""
    ready(device_link, bundle)
    device_link.start(Trace.ALL)
    stages: dict[str, list[NDArray[Any]]] = {"filtered": [], "window": [], "output": []}
    decisions = []
    for event in device_link.stream(golden.counts):
        if isinstance(event, Traced):
            stages[event.stage].append(event.values if event.stage == "filtered" else event.values[None])
        elif isinstance(event, Decision):
            decisions.append(event)
    arrays = {
        stage: np.concatenate(pieces) if pieces else expected[stage][:0] for stage, pieces in stages.items()
    }
    return arrays | {"decision": decision_rows(decisions)}


@pytest.mark.parametrize("stage", ["filtered", "window", "output", "decision"])
def test_golden(stage: str, expected: Stages, traced: Stages, report: ValidationReport) -> None:
    parity = compare(stage, expected[stage], traced[stage])
    report.parity.append(parity)
    assert parity.values > 0, f"the golden vectors hold nothing for stage {stage}"
    assert parity.differing == 0, (
        f"stage {stage} differs in {parity.differing} integers, first {parity.first}"
    )


def test_model_alone(link: Link, bundle: Bundle, golden: Golden, report: ValidationReport) -> None:
    """Windows go straight into the model: says whether the model or what comes before it is at fault."""
    count = len(golden.windows)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MODEL_WINDOWS)).astype(int))
    if bundle.pipeline.keeps_state:  # each window goes on from the one before
        chosen = np.arange(len(chosen))
    link.start()
    outputs = np.stack([link.run_model(golden.windows[i])[0] for i in chosen])
    parity = compare("model", golden.outputs[chosen], outputs)
    report.parity.append(parity)
    assert parity.differing == 0, f"the model differs in {parity.differing} integers, first {parity.first}"
