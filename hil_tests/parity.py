"""Integers of host and device side by side."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.decision import NO_LABEL, Decision
from hil_tests.report import StageParity

AXES: Final = {
    "filtered": ("sample", "channel"),
    "window": ("window", "sample", "channel"),
    "output": ("window", "class"),
    "model": ("window", "class"),
    "decision": ("decision", "field"),
}
DECISION_FIELDS: Final = ("sample_index", "label", "confidence", "flags")


def compare(stage: str, expected: NDArray[Any], got: NDArray[Any]) -> StageParity:
    """Compare a stage's integers; the leading axis of ``got`` may be shorter or longer than it should be.

    Args:
        stage: a key of ``AXES``, whose names belong to the axes of both arrays.
        expected: integers of the host.
        got: integers of the device, same trailing axes.
    """
    common = min(len(expected), len(got))
    differs = expected[:common].astype(np.int64) != got[:common].astype(np.int64)
    surplus = abs(len(expected) - len(got)) * int(np.prod(expected.shape[1:], dtype=np.int64))
    first = ""
    if differs.any():
        place = tuple(int(i) for i in np.argwhere(differs)[0])
        names = [f"{axis} {i}" for axis, i in zip(AXES[stage], place, strict=True)]
        if stage == "decision":
            names[1] = DECISION_FIELDS[place[1]]
        first = f"{', '.join(names)}: host {expected[place]}, device {got[place]}"
    elif surplus:
        first = f"{AXES[stage][0]} {common}: host has {len(expected)}, device sent {len(got)}"
    return StageParity(stage, int(expected.size), int(differs.sum()) + surplus, first)


def decision_rows(decisions: Sequence[Decision]) -> NDArray[np.int64]:
    """Decisions as integers [n, 4], columns ``DECISION_FIELDS``."""
    rows = [
        (d.sample_index, NO_LABEL if d.label is None else d.label, round(d.confidence * 256), d.flags)
        for d in decisions
    ]
    return np.array(rows, np.int64).reshape(-1, len(DECISION_FIELDS))
