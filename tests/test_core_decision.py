"""The decision rule, against a model written from its description."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import Chain, Decision, DecisionRule, Event, Flag, InnervateError
from edge.decision import rule_config
from tests.core_paths import path_of

Outcome = tuple[int | None, float, int]

CLASSES = 4
outputs = st.lists(st.integers(-128, 127), min_size=CLASSES, max_size=CLASSES)
# Small numbers make ties and repeated winners frequent.
crowded_outputs = st.lists(st.integers(-3, 3), min_size=CLASSES, max_size=CLASSES)


@st.composite
def rules(draw: st.DrawFn) -> DecisionRule:
    votes = draw(st.integers(1, 9))
    return DecisionRule(
        draw(st.sampled_from([0.0, 0.49, 0.5, 0.505, 0.9, 1.0])), votes, draw(st.integers(1, votes))
    )


class Model:
    """The rule in Python: each window leaves a vote or None; decisions look at the last `votes` windows."""

    def __init__(self, rule: DecisionRule) -> None:
        self.rule = rule
        self.past: list[int | None] = []

    def decide(self, output: list[int], saturated: bool = False) -> Outcome:
        top = max(output)
        confidence = (top + 128) / 256
        threshold = min(self.rule.min_confidence, 255 / 256)
        flags = Flag.SATURATED if saturated else Flag(0)
        if confidence < threshold or output.count(top) > 1:
            flags |= Flag.REJECTED
        self.past.append(None if flags else output.index(top))
        if flags:
            return None, confidence, flags
        ranked = Counter(v for v in self.past[-self.rule.votes :] if v is not None).most_common(2)
        tie = len(ranked) == 2 and ranked[0][1] == ranked[1][1]
        if tie or ranked[0][1] < self.rule.min_votes:
            return None, confidence, Flag.NO_MAJORITY
        return ranked[0][0], confidence, 0


def outcome(decision: Decision) -> Outcome:
    return decision.label, decision.confidence, decision.flags


def chain_of(rule: DecisionRule, classes: int = CLASSES) -> Chain:
    """Every sample is a window."""
    return Chain(path_of(bits=8, shift=0, window=1, hop=1, right_shift=0), rule, classes)


def push(chain: Chain, count: int = 0, index: int | None = None) -> list[Event]:
    return list(chain.feed(np.array([[count]]), index))


@settings(max_examples=300, deadline=None)
@given(
    rule=rules(),
    steps=st.lists(
        st.tuples(
            st.one_of(outputs, crowded_outputs),
            st.sampled_from(["ok", "ok", "ok", "ok", "gap", "stale", "high"]),
        ),
        max_size=40,
    ),
)
def test_any_sequence_of_outputs(rule: DecisionRule, steps: list[tuple[list[int], str]]) -> None:
    chain, model = chain_of(rule), Model(rule)
    for window, (output, happening) in enumerate(steps):
        index = chain.expected
        if happening == "stale":
            assert outcome(chain.stale()) == (None, 0.0, Flag.STALE)
            model.past.clear()
        if happening == "gap" and window:
            index += 3
            assert push(chain, index=index) == [Event.GAP | Event.WINDOW]
            gap = chain.gap()
            assert outcome(gap) == (None, 0.0, Flag.GAP)
            assert gap.sample_index == index
            model.past.clear()
        else:
            assert push(chain, 127 if happening == "high" else 0) == [Event.WINDOW]
        decision = chain.decide(np.array(output, np.int8))
        assert outcome(decision) == model.decide(output, happening == "high")
        assert (decision.window_index, decision.sample_index) == (window, index)


def test_majority_of_three() -> None:
    chain = chain_of(DecisionRule(0.5, 3, 2))
    sure = {k: np.array([100 if k == i else -128 for i in range(CLASSES)], np.int8) for k in range(CLASSES)}
    unsure = np.array([-1, -2, -3, -4], np.int8)
    script = [
        (sure[0], None, Flag.NO_MAJORITY),  # one vote
        (sure[0], 0, 0),
        (sure[1], 0, 0),  # 0 0 1
        (sure[1], 1, 0),  # 0 1 1
        (unsure, None, Flag.REJECTED),  # 1 1 -
        (sure[2], None, Flag.NO_MAJORITY),  # 1 - 2
        (sure[2], 2, 0),  # - 2 2
    ]
    for output, label, flags in script:
        push(chain)
        decision = chain.decide(output)
        assert (decision.label, decision.flags) == (label, flags)


@pytest.mark.parametrize(
    ("confidence", "threshold"), [(0.0, 0), (0.5, 128), (0.501, 129), (0.998, 255), (1.0, 255)]
)
def test_thresholds_round_up_and_stay_reachable(confidence: float, threshold: int) -> None:
    assert DecisionRule(confidence).threshold == threshold
    push(chain := chain_of(DecisionRule(confidence), 2))
    assert chain.decide(np.array([127, -128], np.int8)).label == 0


@pytest.mark.parametrize(
    "rule",
    [
        DecisionRule(-0.1),
        DecisionRule(1.1),
        DecisionRule(float("nan")),
        DecisionRule(0.5, 0),
        DecisionRule(0.5, 33, 1),
        DecisionRule(0.5, 3, 4),
        DecisionRule(0.5, 3, 0),
    ],
)
def test_impossible_rules_are_refused(rule: DecisionRule) -> None:
    with pytest.raises(InnervateError, match="decision rule"):
        rule_config(rule, CLASSES)


@pytest.mark.parametrize("classes", [0, 1, 255])
def test_impossible_class_counts_are_refused(classes: int) -> None:
    with pytest.raises(InnervateError, match=f"{classes} classes"):
        rule_config(DecisionRule(), classes)
