"""What is said of a file and a target: a row an operator, a verdict, figures."""

from dataclasses import asdict, dataclass

COLUMNS = ("layer", "operator", "fits", "runs on", "why not", "change")


@dataclass(frozen=True)
class OperatorVerdict:
    """Whether one operator fits; `why` and `change` are sentences, empty where there is nothing to say."""

    graph: int  # from 1, the main one
    position: int  # from 1
    operator: str
    output: str
    fits: bool
    runs_on: str
    why: str
    change: str

    @property
    def place(self) -> str:
        """The position, with the graph's number before it where that is not the main one."""
        return str(self.position) if self.graph == 1 else f"{self.graph}.{self.position}"

    def row(self) -> tuple[str, ...]:
        """Return the cells of a table, in the order of `COLUMNS`."""
        fits = "yes" if self.fits else "no"
        return self.place, self.operator, fits, self.runs_on, self.why, self.change


@dataclass(frozen=True)
class TargetReport:
    """Whether a file fits a target; `file` holds what is wrong with it as a whole, a sentence each."""

    target: str
    fits: bool
    verdict: str  # one sentence
    operators: list[OperatorVerdict]
    file: list[str]
    notes: list[str]
    estimates: dict[str, int]  # names end in their unit

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the table's head."""
        return COLUMNS

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Return the table's body."""
        return [operator.row() for operator in self.operators]

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)
