"""The delay of a controller from a change of the muscle's activity to the changed decision.

Farrell T. R., Weir R. F.: The optimal controller delay for myoelectric prostheses. IEEE TNSRE 2007,
15(1):111-118: 100 to 125 ms is best for control. The mean is the one of Farrell T. R.: Determining delay
created by multifunctional prosthesis controllers. JRRD 2011, 48(6):xxi-xxxviii, for overlapping windows and
a majority of n votes:

    D = window / 2 + n hop / 2 + compute

to which the group delay of the filters is added. It supposes that a window follows the class that fills the
greater part of it. The worst case supposes that a window must be filled wholly, and that the change comes
just after a hop.
"""

import msgspec

from edge.decision import DecisionRule
from edge.signal_path import SignalPath

PREFERRED_MEAN_MS = 125.0
LIMIT_MS = 300.0


class DelayBudget(msgspec.Struct, frozen=True):
    """Parts of the delay in ms, for the mean and for the worst case; parts add up to the totals.

    Attributes:
        group_delay_ms: of the filters, in both.
        window_mean_ms, window_worst_ms: half a window, a whole one.
        hop_mean_ms, hop_worst_ms: waiting for the next window: half a hop, a whole one.
        votes_ms: further hops until the new class has the majority, in both.
        compute_ms: from the last sample to the decision, in both.
    """

    group_delay_ms: float
    window_mean_ms: float
    window_worst_ms: float
    hop_mean_ms: float
    hop_worst_ms: float
    votes_ms: float
    compute_ms: float

    @property
    def mean_ms(self) -> float:
        """Expected delay."""
        return self.group_delay_ms + self.window_mean_ms + self.hop_mean_ms + self.votes_ms + self.compute_ms

    @property
    def worst_ms(self) -> float:
        """Longest delay of a signal that the model classifies rightly."""
        return (
            self.group_delay_ms + self.window_worst_ms + self.hop_worst_ms + self.votes_ms + self.compute_ms
        )


def budget(path: SignalPath, rule: DecisionRule, compute_ms: float = 0.0) -> DelayBudget:
    """Return the delay budget of a chain.

    Args:
        path: gives window, hop, rate and group delay.
        rule: of `votes` in the ring, the new class needs more than half, and at least `min_votes`.
        compute_ms: measured time of filter, model and decision; 0 leaves it out.
    """
    window_ms, hop_ms = 1000 * path.window / path.filtered_hz, 1000 * path.hop / path.filtered_hz
    needed = max(rule.min_votes, rule.votes // 2 + 1)
    return DelayBudget(
        group_delay_ms=path.group_delay_ms,
        window_mean_ms=window_ms / 2,
        window_worst_ms=window_ms,
        hop_mean_ms=hop_ms / 2,
        hop_worst_ms=hop_ms,
        votes_ms=(needed - 1) * hop_ms,
        compute_ms=compute_ms,
    )
