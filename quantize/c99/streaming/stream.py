"""Programs that take a hop of samples at a time and give what they would give of the whole window.

The arena of such a program keeps the columns that the next window shares with this one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod

from edge.errors import InnervateError
from quantize.c99.kernels import Family
from quantize.c99.program import Program
from quantize.c99.states import States
from quantize.c99.streaming.flow import Flow, Flows, Part, find_flows
from quantize.c99.streaming.plan import Keep
from quantize.c99.streaming.steps import Builder


@dataclass(frozen=True)
class Streaming:
    """What the generated text needs of a streamed program besides its steps.

    Attributes:
        hop: samples that a push takes.
        source: flow of the model's first input.
        tensor: which of the program's tensors is the hop.
        parts: how each operator is carried out, by its position from 0.
        keeps: what is made and kept of the tensors that are streamed.
        flows: of the tensors that are streamed.
        macs: multiply-accumulates of a push.
        kept_bytes: of the arena, what stays from call to call.
    """

    hop: int
    source: Flow
    tensor: int
    parts: Mapping[int, Part]
    keeps: Mapping[int, Keep]
    flows: Flows
    macs: int
    kept_bytes: int

    @property
    def size(self) -> int:
        """Values of a hop."""
        return self.source.outer * self.hop * self.source.inner

    def macros(self, name: str) -> list[str]:
        """Sizes, for the header."""
        return [f"#define {name.upper()}_HOP_SIZE {self.size} /* values of input that a push takes */"]

    def declaration(self, name: str, signature: str) -> list[str]:
        """Declaration, for the header."""
        shape = f"{self.source.outer} x {self.hop} x {self.source.inner}"
        return [
            f"/* Takes the next {self.hop} samples, int8 [{shape.removeprefix('1 x ')}], and",
            "   gives what _run gives of the window that they end. After _run it goes on from its window,",
            "   after a reset its outputs mean nothing until a window is full. */",
            f"void {name}_push({name}_t *m, {_hop(signature)});",
            "",
        ]

    def functions(
        self, name: str, signature: str, item_bytes: int, take: list[str], give: list[str]
    ) -> list[str]:
        """Return the functions that run and push are made of, from the calls in both parts."""
        arguments = [a.split("*")[1] for a in signature.split(", ")]
        rest = ", ".join(signature.split(", ")[1:])
        given = f"    {name}_give({', '.join(['m', *arguments[1:]])});"
        column = self.source.inner * item_bytes
        row, hop = self.source.columns * column, self.hop * column
        first = row % hop or hop
        windows = [f"    {name}_take(m, input, {row}, {row});"]
        if len(take) > 2:  # more than the input itself
            windows = [
                *([f"    {name}_take(m, input, {first}, {row});"] if first < hop else []),
                f"    for (int32_t at = {first % hop}; at < {row}; at += {hop}) {{",
                f"        {name}_take(m, input + at, {hop}, {row});",
                "    }",
            ]
        return [
            "/* Moves all that is kept on by a hop and adds what can be made of it. */",
            f"static void {name}_take({name}_t *m, const int8_t *input, int32_t count, int32_t step)",
            "{",
            "    int8_t *const arena = (int8_t *)m->arena;",
            *take,
            "}",
            "",
            "/* What depends on all of the window. */",
            f"static void {name}_give({name}_t *m, {rest})",
            "{",
            "    int8_t *const arena = (int8_t *)m->arena;",
            *give,
            "}",
            "",
            f"void {name}_run({name}_t *m, {signature})",
            "{",
            *windows,
            given,
            "}",
            "",
            f"void {name}_push({name}_t *m, {_hop(signature)})",
            "{",
            f"    {name}_take(m, hop, {hop}, {hop});",
            given,
            "}",
        ]


def refuse_states(states: States | None, where: str) -> None:
    """Refuse a file that gives its states back: it takes hops already.

    Raises:
        InnervateError: it has states.
    """
    if states:
        raise InnervateError(
            "A model that gives its states back goes on from call to call as it is",
            where,
            f"Compile it without --hop: its push takes {states.io.chunk} samples",
        )


def _hop(signature: str) -> str:
    return signature.replace("*input", "*hop", 1)


def _axes(shape: tuple[int, ...], hop: int) -> list[int]:
    """Return the axes that may be time, the longest first; the last one holds channels."""
    axes = range(1, max(2, len(shape) - 1))
    usable = [axis for axis in axes if axis < len(shape) and shape[axis] > hop]
    return sorted(usable, key=lambda axis: (-shape[axis], axis))


def stream(program: Program, hop: int, family: Family, where: str) -> tuple[Program, Streaming]:
    """Return a lowered program streamed, with a family's steps.

    Args:
        program: as `quantize.c99.lowering.lower.lower` returns it.
        hop: samples, shorter than the window.
        family: of kernels.
        where: the file, for messages.

    Raises:
        InnervateError: the hop is not shorter than the window, there are several windows in one input, or
            a layer keeps a state from call to call.
    """
    model = program.model
    shape = model.tensors[model.inputs[0]].shape
    stateful = [step for step in program.steps if step.states]
    if stateful:
        raise InnervateError(
            "A layer with a state of its own is run once a window and cannot take a hop",
            model.place(stateful[0].operator) if model.where else where,
            "Compile it without --hop",
        )
    if hop < 1 or not _axes(shape, hop) or prod(shape[:1]) != 1:
        raise InnervateError(
            f"A hop of {hop} samples does not lie within one input of {list(shape)}",
            where,
            "Give --hop fewer samples than the window has",
        )
    best: tuple[Program, Streaming] | None = None
    for axis in _axes(shape, hop):
        builder = Builder(program, find_flows(program, hop, axis), family.block)
        take, give = builder.build()
        macs = sum(step.macs for step in (*take.steps, *give.steps))
        if best is not None and macs >= best[1].macs:
            continue
        take, give = family.fit(take), family.fit(give)
        tensors = take.model.tensors
        kept = sum(tensors[i].size * tensors[i].item_bytes for i in take.kept)
        joined = replace(take, steps=take.steps + give.steps, taken=len(take.steps))
        flows = builder.flows
        source = flows.tensors[model.inputs[0]]
        best = joined, Streaming(hop, source, builder.hop, flows.parts, builder.keeps, flows, macs, kept)
    assert best is not None
    return best
