"""Everything that runs on a device, and nothing else: the signal path, the decision rule, the link."""

from edge.calibration import Calibration, Calibrator
from edge.chain import Chain, Event
from edge.decision import Decision, DecisionRule, Flag
from edge.errors import InnervateError
from edge.features import Feature, FeatureSet
from edge.filters import Filter
from edge.gain import GainControl
from edge.path_runner import PathRunner
from edge.quality import Gates
from edge.signal_path import SignalPath
from edge.stages import Cascade, Fir, Mix, Rectify, Section, Stage

__all__ = [
    "Calibration",
    "Calibrator",
    "Cascade",
    "Chain",
    "Decision",
    "DecisionRule",
    "Event",
    "Feature",
    "FeatureSet",
    "Filter",
    "Fir",
    "Flag",
    "GainControl",
    "Gates",
    "InnervateError",
    "Mix",
    "PathRunner",
    "Rectify",
    "Section",
    "SignalPath",
    "Stage",
]
