"""The decision rule and its results, as `core/decision.h` has them."""

from __future__ import annotations

import enum
import math
from typing import Any

import msgspec

from edge._core import ffi, lib
from edge.errors import InnervateError

NO_LABEL: int = lib.NRV_NO_LABEL
"""A label's value on the wire and in golden vectors where there is no decision."""


class Flag(enum.IntFlag):
    """Why there is no label; gates of quality that only inform are said beside one."""

    REJECTED = lib.NRV_FLAG_REJECTED
    GAP = lib.NRV_FLAG_GAP
    STALE = lib.NRV_FLAG_STALE
    SATURATED = lib.NRV_FLAG_SATURATED
    NO_MAJORITY = lib.NRV_FLAG_NO_MAJORITY
    FLAT = lib.NRV_FLAG_FLAT
    SLOPE = lib.NRV_FLAG_SLOPE
    AMPLITUDE = lib.NRV_FLAG_AMPLITUDE
    MAINS = lib.NRV_FLAG_MAINS
    LEAD_OFF = lib.NRV_FLAG_LEAD_OFF


class DecisionRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When a window's outputs become a decision.

    Attributes:
        min_confidence: probability 0..1 below which a window is rejected; rounded up to 256ths.
        votes: the last windows that vote, rejected ones included but without a vote.
        min_votes: votes that the winner needs.
    """

    min_confidence: float = 0.0
    votes: int = 1
    min_votes: int = 1

    @property
    def threshold(self) -> int:
        """min_confidence as the core compares it: 0..255, the highest confidence an int8 output can say."""
        return min(255, math.ceil(self.min_confidence * 256))

    def validate(self) -> None:
        """Check that the core can run this rule.

        Raises:
            InnervateError: a field lies outside what the core accepts.
        """
        for good, what in (
            (0 <= self.min_confidence <= 1, f"min_confidence must be 0 to 1, not {self.min_confidence}"),
            (
                1 <= self.votes <= lib.NRV_VOTES_MAX,
                f"votes must be 1 to {lib.NRV_VOTES_MAX}, not {self.votes}",
            ),
            (1 <= self.min_votes <= self.votes, f"min_votes must be 1 to votes, not {self.min_votes}"),
        ):
            if not good:
                raise InnervateError(what, "decision rule", "Correct the task file or make the bundle again")


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the chain says at one moment.

    Attributes:
        window_index: windows completed before this one since the start.
        sample_index: index of the last sample taken, modulo 2^32.
        label: class, or None for no decision.
        confidence: probability 0..255/256 of the likeliest class of this window, decided or not.
        flags: bits of Flag: why there is no label. Beside a label only those of gates that inform.
        compute_us: time the model took, where it was measured.
    """

    window_index: int
    sample_index: int
    label: int | None
    confidence: float
    flags: int
    compute_us: float | None = None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Names of the flags, for people."""
        return tuple(flag.name.lower().replace("_", " ") for flag in Flag(self.flags) if flag.name)

    @classmethod
    def from_core(cls, decision: Any, compute_us: float | None = None) -> Decision:
        """Read an `nrv_decision_t *`."""
        return cls(
            decision.window_index,
            decision.sample_index,
            None if decision.label == NO_LABEL else decision.label,
            decision.confidence / 256,
            decision.flags,
            compute_us,
        )


def rule_config(rule: DecisionRule, classes: int) -> Any:
    """Return a rule for a model of `classes` outputs as `nrv_rule_t *`.

    Raises:
        InnervateError: the rule does not validate, or the core cannot hold so many classes.
    """
    rule.validate()
    if not 2 <= classes < NO_LABEL:
        raise InnervateError(
            f"{classes} classes", "decision rule", f"A model must have 2 to {NO_LABEL - 1} outputs"
        )
    return ffi.new(
        "nrv_rule_t *",
        {"threshold": rule.threshold, "classes": classes, "votes": rule.votes, "min_votes": rule.min_votes},
    )
