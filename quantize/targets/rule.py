"""What a target is made of: rules, each a small function whose docstring is the sentence people read."""

from collections.abc import Callable
from dataclasses import dataclass

from quantize.tflite_model import Model, Operator, Tensor


@dataclass(frozen=True)
class Misfit:
    """How an operator breaks a rule, and what to do about it; neither ends in a full stop."""

    here: str
    change: str


class Site:
    """An operator with its tensors at hand."""

    def __init__(self, model: Model, operator: Operator) -> None:
        self.model = model
        self.operator = operator
        self.name = operator.name
        self.options = operator.options
        self.outputs = tuple(model.tensors[i] for i in operator.outputs)
        self.given = tuple(model.tensors[i] for i in operator.inputs if i != -1)

    def input(self, position: int) -> Tensor | None:
        """Return an input; None where it is left out."""
        inputs = self.operator.inputs
        there = position < len(inputs) and inputs[position] != -1
        return self.model.tensors[inputs[position]] if there else None

    @property
    def constants(self) -> tuple[Tensor, ...]:
        """The inputs that the file holds."""
        return tuple(t for t in self.given if t.data is not None)

    @property
    def computed(self) -> tuple[Tensor, ...]:
        """The inputs that are fed or made by other operators, and the outputs."""
        return (*(t for t in self.given if t.data is None), *self.outputs)


@dataclass(frozen=True)
class Rule:
    """One constraint; it holds for `operators`, or for all where that is empty."""

    sentence: str
    operators: tuple[str, ...]
    check: Callable[[Site], Misfit | None]

    def broken_by(self, site: Site) -> Misfit | None:
        """Return how an operator breaks the rule; None where it keeps it."""
        return self.check(site) if not self.operators or site.name in self.operators else None


def sentence_of(function: Callable[..., object], facts: dict[str, object]) -> str:
    """Return a function's docstring as one line, its placeholders filled in."""
    return " ".join((function.__doc__ or "").split()).format(**facts)


def rule(*operators: str, **facts: object) -> Callable[[Callable[[Site], Misfit | None]], Rule]:
    """Make a function a rule for some operators; `facts` fill the placeholders of its docstring."""

    def make(check: Callable[[Site], Misfit | None]) -> Rule:
        return Rule(sentence_of(check, facts), operators, check)

    return make


@dataclass(frozen=True)
class FileRule:
    """A constraint on a whole file; where a `final` one is broken, the operators are not looked at."""

    sentence: str
    check: Callable[[Model], Misfit | None]
    final: bool = False


def file_rule(final: bool = False, **facts: object) -> Callable[[Callable[[Model], Misfit | None]], FileRule]:
    """Make a function a rule for files; `facts` fill the placeholders of its docstring."""

    def make(check: Callable[[Model], Misfit | None]) -> FileRule:
        return FileRule(sentence_of(check, facts), check, final)

    return make
