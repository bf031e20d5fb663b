"""Raspberry Pi, 64 bits, with tflite-runtime or ai-edge-litert."""

from dataclasses import replace

from quantize.targets.litert import LITERT, NO_INT8, RUNTIMES, TFLITE_RUNTIME, VERSIONS, XNNPACK
from quantize.targets.report import TargetReport
from quantize.targets.rule import Misfit, Site, rule
from quantize.targets.rules import INT8_RULES, int8_ends, not_sparse, only_batch_open
from quantize.targets.target import Target
from quantize.tflite_model import Model


def _lack(site: Site, runtime: str) -> str:
    """Return why a runtime does not take an operator, empty where it does."""
    newest = VERSIONS[runtime].get(site.name, 0)
    if site.operator.version > newest:
        have = f"knows versions up to {newest}" if newest else "has none"
        return f"{runtime} {have}, this is version {site.operator.version}"
    if site.name in NO_INT8[runtime] and any(tensor.dtype == "INT8" for tensor in site.computed):
        return f"{runtime} has no int8 kernel of it"
    types = tuple(tensor.dtype for tensor in (*site.given[:1], *site.outputs[:1]))
    if runtime == TFLITE_RUNTIME and site.name == "QUANTIZE" and types == ("INT8", "INT16"):
        return f"{runtime} does not widen int8 to int16"
    return ""


@rule(runtimes=" or ".join(RUNTIMES))
def some_runtime(site: Site) -> Misfit | None:
    """{runtimes} has the operator, in this version and these types."""
    lacks = [_lack(site, runtime) for runtime in RUNTIMES]
    change = "Convert with an older converter, or build the layer otherwise"
    return Misfit(" and ".join(lacks), change) if all(lacks) else None


def _runs_on(site: Site) -> str:
    has = [runtime.split()[0] for runtime in RUNTIMES if not _lack(site, runtime)]
    int8 = any(tensor.dtype == "INT8" for tensor in site.computed)
    if LITERT.split()[0] in has and int8 and site.name in XNNPACK:
        has[-1] += " (XNNPACK)"
    return ", ".join(has)


def _finish(model: Model, tflite: bytes, report: TargetReport) -> TargetReport:
    sites = [Site(graph, operator) for graph in (model, *model.subgraphs) for operator in graph.operators]
    lacks = {runtime: [(s, why) for s in sites if (why := _lack(s, runtime))] for runtime in RUNTIMES}
    notes = [
        f"{runtime} lacks {len(found)} of {len(sites)} operators, the first is layer "
        f"{found[0][0].operator.position + 1}, {found[0][0].name}: {found[0][1]}."
        for runtime, found in lacks.items()
        if found
    ]
    able = [runtime for runtime in RUNTIMES if not lacks[runtime]]
    report = replace(report, notes=notes)
    if not report.fits:
        return report
    if not able:
        verdict = "Does not fit Raspberry Pi: neither runtime has all operators."
        return replace(report, fits=False, verdict=verdict)
    return replace(report, verdict=f"Fits Raspberry Pi with {' and with '.join(able)}.")


TARGET = Target(
    title="Raspberry Pi",
    about=(
        "Fits: one of the two runtimes has every operator, and the pipeline can feed the model. 64-bit "
        "systems only; tflite-runtime needs Python 3.11 or older. Versions and int8 kernels were tried "
        "on an x86-64 host, one operator at a time. XNNPACK takes int8 models in ai-edge-litert only; "
        "where it is named, it took over a model of that one operator, and what it leaves runs on the "
        "built-in kernels. Not verified on hardware."
    ),
    operators=tuple(sorted({name for runtime in RUNTIMES for name in VERSIONS[runtime]})),
    rules=(some_runtime, only_batch_open, not_sparse, *INT8_RULES),
    file_rules=(int8_ends,),
    sources=(
        "Packages tflite-runtime 2.14.0 and ai-edge-litert 2.3.0: what they load and run",
        "https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/delegates/xnnpack/README.md",
        "https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec",
    ),
    runs_on=_runs_on,
    finish=_finish,
)
