"""Cortex-M4: the C that `innervate compile` generates."""

from quantize.targets import generated_c
from quantize.targets.report import TargetReport
from quantize.targets.rule import Site
from quantize.targets.rules import one_graph
from quantize.targets.target import Target
from quantize.tflite_model import Model
from quantize.tflite_rules import SUPPORTED

_FAMILY = generated_c.family_for("cortex-m4")


def _runs_on(site: Site) -> str:
    return generated_c.kernel(site, _FAMILY)


def _finish(model: Model, tflite: bytes, report: TargetReport) -> TargetReport:
    return generated_c.with_memory(model, report, _FAMILY)


TARGET = Target(
    title="Cortex-M4",
    about=generated_c.about("cortex-m4"),
    operators=SUPPORTED,
    rules=(generated_c.compiler_takes,),
    file_rules=(generated_c.within_limits, one_graph),
    sources=generated_c.SOURCES,
    runs_on=_runs_on,
    finish=_finish,
)
