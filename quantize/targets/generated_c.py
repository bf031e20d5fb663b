"""What the two Cortex-M targets share: they run the C that this project generates; its compiler is asked."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edge.errors import InnervateError
from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.kernels import TARGETS, Family
from quantize.c99.lowering.lower import lower
from quantize.c99.program import Program, Value
from quantize.targets.report import TargetReport
from quantize.targets.rule import Misfit, Site, file_rule, rule
from quantize.targets.rules import one_graph
from quantize.targets.target import Target
from quantize.tflite_model import Model
from quantize.tflite_rules import MAX_CONSTANT_USE, MAX_OPERATORS, SUPPORTED, check_limits, check_operator

_ABOUT = (
    "Fits: `innervate compile` takes the file for this processor. The compiler itself is asked, operator by "
    "operator, and shows its own reasons; the layers run {kernels}. Flash and arena are computed, nothing is "
    "built. Not verified on hardware."
)
_SOURCES = ("docs/compile.md: operators, exactness, bounds",)


def _about(processor: str) -> str:
    """Return what a fit means for a processor."""
    own = (
        "with kernels of its own" if processor in TARGETS else "in portable C, without kernels of its own yet"
    )
    return _ABOUT.format(kernels=own)


def _alone(site: Site) -> Model:
    return replace(site.model, operators=(site.operator,))


@file_rule(final=True, operators=MAX_OPERATORS, constants=MAX_CONSTANT_USE >> 20)
def within_limits(model: Model) -> Misfit | None:
    """A file has at most {operators:,} operators, and they use at most {constants} MiB of constants."""
    try:
        for graph in (model, *model.subgraphs):
            check_limits(graph)
    except InnervateError as error:
        return Misfit(error.what[0].lower() + error.what[1:], error.fix)
    return None


@rule()
def compiler_takes(site: Site) -> Misfit | None:
    """The compiler takes the operator with its types, shapes and scales, and proves that no sum overflows."""
    try:
        check_operator(site.model, site.operator)
        lower(_alone(site))
    except InnervateError as error:
        what = error.what[0].lower() + error.what[1:]
        return Misfit(what, error.fix or "Build the layer otherwise; docs/compile.md says of what")
    return None


def _family_for(processor: str) -> Family:
    """Return a processor's kernels, the portable ones where it has none of its own."""
    return TARGETS[processor if processor in TARGETS else "generic"].family


def _kernel(site: Site, family: Family) -> str:
    """Name the C function that carries out an operator; a RESHAPE needs none."""
    program = family.fit(lower(_alone(site)))
    return ", ".join(family.kernels[step.kernel].function for step in program.steps) or "nothing to do"


def _arrays(value: Value) -> dict[tuple[str, bytes], int]:
    if isinstance(value, np.ndarray):
        return {(value.dtype.str, value.tobytes()): value.nbytes}
    if isinstance(value, Mapping):
        return {key: size for part in value.values() for key, size in _arrays(part).items()}
    return {}


def _constant_bytes(program: Program) -> int:
    """Bytes of all arrays; equal ones are written once."""
    arrays = _arrays({str(i): step.parameters for i, step in enumerate(program.steps)})
    operands = (program.model.tensors[i].data for step in program.steps for i in step.inputs)
    return sum((arrays | _arrays({str(id(data)): data for data in operands if data is not None})).values())


def _with_memory(model: Model, report: TargetReport, family: Family) -> TargetReport:
    """Add flash and arena to the report of a file that fits."""
    if not report.fits:
        return report
    try:
        program = family.fit(lower(model))
    except InnervateError as error:
        return replace(report, fits=False, verdict=str(error), file=[str(error)])
    constants, arena = _constant_bytes(program), plan(arena_buffers(program)).size
    note = (
        f"Estimate, nothing was built: {constants:,} bytes of constants in flash and 4 to 8 kB of code; "
        f"{arena:,} bytes of arena in RAM, and input, output and stack. innervate compile measures them."
    )
    return replace(report, notes=[note], estimates={"constant_bytes": constants, "arena_bytes": arena})


def target(title: str, processor: str) -> Target:
    """Return the target check of a processor that runs the generated C."""
    family = _family_for(processor)
    return Target(
        title=title,
        about=_about(processor),
        operators=SUPPORTED,
        rules=(compiler_takes,),
        file_rules=(within_limits, one_graph),
        sources=_SOURCES,
        runs_on=lambda site: _kernel(site, family),
        finish=lambda model, tflite, report: _with_memory(model, report, family),
    )
