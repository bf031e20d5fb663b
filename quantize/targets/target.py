"""A target as data, and how a file is judged by it."""

from collections.abc import Callable
from dataclasses import dataclass

from quantize.targets.report import OperatorVerdict, TargetReport
from quantize.targets.rule import FileRule, Misfit, Rule, Site
from quantize.tflite_model import Model, Operator
from quantize.tflite_rules import INSTEAD


def _nowhere(site: Site) -> str:
    return ""


def _as_judged(model: Model, tflite: bytes, report: TargetReport) -> TargetReport:
    return report


@dataclass(frozen=True)
class Target:
    """What a `.tflite` file may be run on."""

    title: str
    about: str  # what a fit means; a paragraph for docs/targets.md
    operators: tuple[str, ...]  # that it has
    rules: tuple[Rule, ...]
    file_rules: tuple[FileRule, ...] = ()
    sources: tuple[str, ...] = ()
    runs_on: Callable[[Site], str] = _nowhere  # which kernels carry out an operator that fits
    # What the operators one by one do not show: estimates, notes, where the graph splits.
    finish: Callable[[Model, bytes, TargetReport], TargetReport] = _as_judged

    def check(self, name: str, model: Model, tflite: bytes) -> TargetReport:
        """Judge a file: its model as read, and its bytes for whoever has to be given them."""
        broken = [(rule, misfit) for rule in self.file_rules if (misfit := rule.check(model)) is not None]
        file = [explained(rule.sentence, misfit) for rule, misfit in broken]
        operators = [
            self._judged(number, graph, operator)
            for number, graph in enumerate((model, *model.subgraphs), 1)
            for operator in graph.operators
            if not any(rule.final for rule, _ in broken)
        ]
        fits = not file and all(operator.fits for operator in operators)
        report = TargetReport(name, fits, self.verdict(operators, file), operators, file, [], {})
        return self.finish(model, tflite, report)

    def verdict(self, operators: list[OperatorVerdict], file: list[str]) -> str:
        """Say in a sentence whether the file fits."""
        wrong = [operator for operator in operators if not operator.fits]
        if wrong:
            first = f"the first is layer {wrong[0].place}, {wrong[0].operator}"
            return f"Does not fit {self.title}: {len(wrong)} of {len(operators)} operators do not, {first}."
        if file:
            return f"Does not fit {self.title}: {file[0]}"
        return f"Fits {self.title}: all {len(operators)} operators."

    def _judged(self, number: int, graph: Model, operator: Operator) -> OperatorVerdict:
        site = Site(graph, operator)
        if operator.name in self.operators:
            broken = [(r.sentence, misfit) for r in self.rules if (misfit := r.broken_by(site)) is not None]
        else:
            change = INSTEAD.get(operator.name, f"Build the model of what {self.title} has")
            broken = [(f"{self.title} has no such operator.", Misfit("", change))]
        return OperatorVerdict(
            number,
            operator.position + 1,
            operator.name,
            site.outputs[0].name if site.outputs else "",
            not broken,
            "" if broken else self.runs_on(site),
            " ".join(explained(sentence, misfit, with_change=False) for sentence, misfit in broken),
            " ".join(dict.fromkeys(f"{misfit.change}." for _, misfit in broken)),
        )


def explained(sentence: str, misfit: Misfit, with_change: bool = True) -> str:
    """Return a rule followed by how it is broken, and by what to change."""
    text = f"{sentence.rstrip('.')}; here {misfit.here}." if misfit.here else sentence
    return f"{text} {misfit.change}." if with_change else text
