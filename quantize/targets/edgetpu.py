"""Coral Edge TPU: what runs on it, where the graph splits, and what its compiler says where there is one."""

from dataclasses import replace

from quantize.targets.edgetpu_compiler import ask
from quantize.targets.edgetpu_rules import OPERATORS, RULES
from quantize.targets.report import OperatorVerdict, TargetReport
from quantize.targets.rule import Site
from quantize.targets.rules import one_graph
from quantize.targets.target import Target
from quantize.tflite_model import Model

_TPU, _CPU = "Edge TPU", "CPU"
_CACHE_BYTES = 8 << 20


def _is_conversion(model: Model, position: int) -> bool:
    """Whether an operator only converts a float input or output of the graph; that does not split it."""
    operator = model.operators[position]
    if operator.name == "QUANTIZE":
        return all(index in model.inputs for index in operator.inputs)
    return operator.name == "DEQUANTIZE" and all(index in model.outputs for index in operator.outputs)


def _split(model: Model, operators: list[OperatorVerdict]) -> list[OperatorVerdict]:
    """Send to the CPU what does not fit and all after the first such operator."""
    placed: list[OperatorVerdict] = []
    blocker: OperatorVerdict | None = None
    for operator in operators:
        if operator.graph == 1 and blocker is not None and operator.fits:
            placed.append(
                replace(
                    operator,
                    fits=False,
                    runs_on=_CPU,
                    why=f"The graph is split once, before layer {blocker.place}, {blocker.operator}; "
                    "all that follows runs on the CPU.",
                    change=f"Make layer {blocker.place} fit, or move it to the end.",
                )
            )
            continue
        if operator.fits or operator.graph != 1:
            placed.append(operator)
        elif _is_conversion(model, operator.position - 1):
            why = "It converts between float and int8, which the CPU does; that does not split the graph."
            placed.append(replace(operator, runs_on=_CPU, why=why))
        else:
            placed.append(replace(operator, runs_on=_CPU))
            blocker = blocker or operator
    return placed


def _parameter_bytes(model: Model, operators: list[OperatorVerdict]) -> int:
    used = {
        index
        for verdict, operator in zip(operators, model.operators, strict=False)
        if verdict.fits
        for index in operator.inputs
        if index != -1
    }
    return sum(data.nbytes for index in used if (data := model.tensors[index].data) is not None)


def _finish(model: Model, tflite: bytes, report: TargetReport) -> TargetReport:
    operators = _split(model, report.operators)
    count = sum(operator.fits for operator in operators)
    parameters = _parameter_bytes(model, operators)
    room = "fits" if parameters <= _CACHE_BYTES else "does not fit; the rest is sent anew for each inference"
    notes = [
        f"Estimate: {parameters:,} bytes of parameters on the Edge TPU, its memory of {_CACHE_BYTES:,} bytes "
        f"holds the program as well: {room}."
    ]
    wrong = [operator for operator in operators if not operator.fits]
    if report.fits:
        verdict = f"Fits Edge TPU: all {count} operators, by Coral's documentation."
    elif wrong:
        verdict = (
            f"Does not fit Edge TPU: {len(wrong)} of {len(operators)} operators run on the CPU, "
            f"the first is layer {wrong[0].place}, {wrong[0].operator}."
        )
    else:
        verdict = report.verdict
    report = replace(
        report,
        operators=operators,
        verdict=verdict,
        notes=notes,
        estimates={"parameter_bytes": parameters, "edgetpu_operators": count, "cpu_operators": len(wrong)},
    )
    return _with_compiler(report, tflite)


def _with_compiler(report: TargetReport, tflite: bytes) -> TargetReport:
    """Let the compiler have the last word, where there is one."""
    answer = ask(tflite)
    if answer is None:
        return report
    notes = [*report.notes, *answer.summary]
    if answer.on_cpu is None:
        return replace(report, fits=False, notes=notes, verdict="edgetpu_compiler did not compile the file.")
    fits = answer.on_cpu == 0
    verdict = (
        f"{'Fits' if fits else 'Does not fit'} Edge TPU: edgetpu_compiler puts "
        f"{answer.on_tpu or 0} operators on it and {answer.on_cpu} on the CPU."
    )
    return replace(report, fits=fits, notes=notes, verdict=verdict)


def _runs_on(site: Site) -> str:
    return _TPU


TARGET = Target(
    title="Edge TPU",
    about=(
        "Fits: by Coral's documentation every operator runs on the Edge TPU. The graph is split once: "
        "the first operator that does not fit and all after it run on the CPU, but for the conversion of "
        "float inputs and outputs at its ends. Where `edgetpu_compiler` is installed it is run on the "
        "file, its summary shown, and its answer is the verdict. It may refuse more than is documented: "
        "RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR of some sizes, and versions of operators newer than "
        "itself. Not verified on hardware, nor against the compiler."
    ),
    operators=OPERATORS,
    rules=RULES,
    file_rules=(one_graph,),
    sources=(
        "https://www.coral.ai/docs/edgetpu/models-intro/: supported operations, their limits, requirements",
        "https://www.coral.ai/docs/edgetpu/compiler/: the compiler, caching of parameters",
        "https://github.com/google-coral/edgetpu/issues/631 and /845: versions that compiler 16.0 refuses",
    ),
    runs_on=_runs_on,
    finish=_finish,
)
