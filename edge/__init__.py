"""Everything that runs on a device, and nothing else: the signal path, the decision rule, the link."""

from edge.chain import Chain, Event
from edge.decision import Decision, DecisionRule, Flag
from edge.errors import InnervateError
from edge.signal_path import Filter, PathRunner, Section, SignalPath

__all__ = [
    "Chain",
    "Decision",
    "DecisionRule",
    "Event",
    "Filter",
    "Flag",
    "InnervateError",
    "PathRunner",
    "Section",
    "SignalPath",
]
