"""The steps of a streamed program: what a hop adds, and what is made from all that is kept.

`take` moves the columns that are kept on by a hop and makes the interior's new ones. `give` makes the
columns next to the window's ends, then all layers that are not streamed. A push is both; a whole window is
as many hops as fill it, and what is given after the last one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quantize.c99.lowering.pairs import walk
from quantize.c99.program import Program, Step, Value
from quantize.c99.streaming.flow import Flows, time_axis
from quantize.c99.streaming.plan import newest, plan_stores, read
from quantize.c99.windows import along
from quantize.tflite_model import Operator

MOVES = frozenset({"put", "rearrange", "slide", "take"})
"""Kernels of steps that only move what others compute, where an operator has others as well."""


@dataclass(frozen=True)
class Store:
    """A tensor [outer, columns, inner] that holds columns of another one."""

    tensor: int
    columns: int


@dataclass(frozen=True)
class Read:
    """Columns of a store that a step is given: `count` from `start` on, with `pad` before them."""

    store: Store
    start: int
    count: int
    pad: int = 0


class Builder:
    """Makes the steps of both parts; tensors are added behind those of the model.

    Args:
        program: as lowered.
        flows: what of it is streamed.
        block: windows that the family's convolutions multiply at once.
    """

    def __init__(self, program: Program, flows: Flows, block: int) -> None:
        self.program, self.flows = program, flows
        self.keeps = plan_stores(program, flows, block)
        self.tensors = list(program.model.tensors)
        self.alias = dict(program.alias)
        self.offsets: dict[int, int] = {}
        self.kept: dict[int, int] = {}
        self.stores: dict[int, Store] = {}
        # Columns next to the window's start and end, where they lie apart.
        self.starts: dict[int, Store] = {}
        self.ends: dict[int, Store] = {}
        self.take: list[Step] = []
        self.give: list[Step] = []
        self.hop = -1  # the tensor that is fed

    def build(self) -> tuple[Program, Program]:
        """Return what a hop adds and what is given, as two programs over the same tensors."""
        streamed = [step for step in self.program.steps if step.output in self.flows.tensors]
        self._take_hop()
        for step in streamed:
            self._place(step.output, f"layer {step.operator.position + 1}", step.operator)
        for step in streamed:
            self._add_new(step)
        for step in self.program.steps:
            if step not in streamed:
                self.give.append(step)
                continue
            self._add_first(step)
            self._add_last(step)
            if self.keeps[step.output].whole and step.output not in self.alias:
                self._gather(step)
        model = replace(self.program.model, tensors=tuple(self.tensors))
        take, give = (
            Program(model, tuple(part), self.alias, self.offsets, self.kept)
            for part in (self.take, self.give)
        )
        return take, give

    # Where columns lie

    def _take_hop(self) -> None:
        source = self.program.model.inputs[0]
        self._place(source, "input", None)
        self.hop = self._tensor(source, self.flows.hop)
        into, first = self.stores[source].tensor, self.program.model.operators[0]
        step = Step(first, "take", self._slide(source), (self.hop,), into, piece="hop")
        self.take.append(replace(step, arguments=("count", "step")))

    def _place(self, tensor: int, name: str, operator: Operator | None) -> None:
        """Add a tensor's store, and what moves it on."""
        keep = self.keeps[tensor]
        owner = self._tensor(tensor, keep.columns, f"columns of {name}")
        self.stores[tensor] = Store(owner, keep.columns)
        if keep.whole and self.flows.tensors[tensor].phases == 1:
            self.alias[tensor] = owner
        if keep.stays:
            self.kept[owner] = self.tensors[tensor].zero_point
            if operator is not None:
                self.take.append(Step(operator, "slide", self._slide(tensor), (), owner, piece="moved"))

    def _tensor(self, like: int, columns: int, name: str = "") -> int:
        """Add a tensor of other columns; without a name it is called as the one that it is like."""
        flow, tensor = self.flows.tensors[like], self.tensors[like]
        axis = time_axis(tensor.shape, flow)
        shape: tuple[int, ...] = (flow.outer, columns, flow.inner)
        if axis is not None:
            shape = (*tensor.shape[:axis], columns, *tensor.shape[axis + 1 :])
        new = replace(tensor, index=len(self.tensors), name=name or tensor.name, shape=shape, data=None)
        self.tensors.append(new)
        return new.index

    def _column_bytes(self, tensor: int) -> int:
        return self.flows.tensors[tensor].inner * self.tensors[tensor].item_bytes

    def _slide(self, tensor: int, count: int | None = None, stop: int | None = None) -> dict[str, Value]:
        """Return an `nrv_slide_t` of a store: of its interior, or of `count` columns put before `stop`."""
        flow, keep, size = self.flows.tensors[tensor], self.keeps[tensor], self._column_bytes(tensor)
        first = keep.end - 1 - (flow.high - 1 - flow.low) * flow.phases
        return {
            "rows": flow.outer,
            "row": keep.columns * size,
            "first": max(first, 0) * size,
            "end": (keep.end if stop is None else stop) * size,
            "hop": (self.flows.new(tensor) if count is None else count) * size,
        }

    def _view(self, tensor: int, store: Store, start: int, count: int) -> int:
        """Return columns of a store of one row as a tensor."""
        if (start, count) == (0, store.columns):
            return store.tensor
        view = self._tensor(tensor, count)
        self.alias[view] = store.tensor
        self.offsets[view] = start * self._column_bytes(tensor)
        return view

    # What only moves

    def _side_by_side(self, tensor: int, given: Read, part: list[Step], step: Step, piece: str) -> int:
        """Return columns of a store as a tensor of nothing else."""
        flow, store, size = self.flows.tensors[tensor], given.store, self._column_bytes(tensor)
        if flow.outer == 1 or (given.start, given.count) == (0, store.columns):
            return self._view(tensor, store, given.start, given.count)
        copy = self._tensor(tensor, given.count)
        moved: dict[str, Value] = {
            "extent": (1, 1, 1, flow.outer),
            "step": (0, 0, 0, store.columns * size),
            "start": given.start * size,
            "run": given.count * size,
        }
        part.append(Step(step.operator, "rearrange", moved, (store.tensor,), copy, piece=f"{piece} copied"))
        return copy

    def _gather(self, step: Step) -> None:
        """Make a step's output of the window's columns in its store."""
        tensor = step.output
        flow, store, size = self.flows.tensors[tensor], self.stores[tensor], self._column_bytes(tensor)
        moved: dict[str, Value] = {
            "extent": (1, 1, flow.outer, flow.columns),
            "step": (0, 0, store.columns * size, flow.phases * size),
            "start": 0,
            "run": size,
        }
        made = Step(step.operator, "rearrange", moved, (store.tensor,), tensor, piece="gathered")
        self.give.append(made)

    # What is computed

    def _sources(self, step: Step) -> list[int]:
        """Return which of a step's inputs are streamed, as they are stored."""
        return [i for i in map(self.program.storage, step.inputs) if i in self.flows.tensors]

    def _add_new(self, step: Step) -> None:
        """Add what makes the interior's newest columns, and those made together with them."""
        how, out = self.flows.parts[step.operator.position].along, self.flows.tensors[step.output]
        keep, new, reads = self.keeps[step.output], self.flows.new(step.output), {}
        for source in self._sources(step):
            flow, end = self.flows.tensors[source], self.keeps[source].end
            start, count = newest(flow, out, how, new, end)
            if keep.behind:
                count = sum(read(how, flow.columns, 0, out.columns)[:2]) - (start + flow.high - end)
            reads[source] = Read(self.stores[source], start, count)
        count = new + keep.behind
        self._add(step, reads, count, keep.end + keep.behind, self.take, "new")

    def _add_first(self, step: Step) -> None:
        """Add what makes the columns next to the window's start."""
        how, keep = self.flows.parts[step.operator.position].along, self.keeps[step.output]
        if not keep.first:
            return
        reads = {}
        for source in self._sources(step):
            store = self.stores[source] if self.keeps[source].whole else self.starts[source]
            columns = self.flows.tensors[source].columns
            reads[source] = Read(store, *read(how, columns, 0, keep.first))
        if keep.whole:
            self._add(step, reads, keep.first, keep.first, self.give, "first")
            return
        apart = self.starts[step.output] = Store(self._tensor(step.output, keep.first), keep.first)
        self._compute(step, reads, keep.first, apart.tensor, self.give, "first")

    def _add_last(self, step: Step) -> None:
        """Add what makes the columns next to the window's end."""
        how, out = self.flows.parts[step.operator.position].along, self.flows.tensors[step.output]
        keep, reads = self.keeps[step.output], {}
        if not keep.last:
            return
        for source in self._sources(step):
            flow, before = self.flows.tensors[source], self.keeps[source]
            start, count, pad = read(how, flow.columns, out.columns - keep.last, out.columns)
            if before.apart:
                reads[source] = Read(self.ends[source], start - flow.columns + before.last, count, pad)
            else:
                reads[source] = Read(self.stores[source], start + before.end - flow.high, count, pad)
        if keep.apart:
            apart = self.ends[step.output] = Store(self._tensor(step.output, keep.last), keep.last)
            self._compute(step, reads, keep.last, apart.tensor, self.give, "last")
            return
        self._add(step, reads, keep.last, keep.columns, self.give, "last")

    def _add(
        self, step: Step, reads: Mapping[int, Read], count: int, stop: int, part: list[Step], piece: str
    ) -> None:
        """Add a step for `count` columns, which lie before column `stop` of its output's store."""
        tensor, store = step.output, self.stores[step.output]
        if self.flows.tensors[tensor].outer == 1 or count == store.columns:
            view = self._view(tensor, store, stop - count, count)
            self._compute(step, reads, count, view, part, piece)
            return
        apart = self._tensor(tensor, count)
        self._compute(step, reads, count, apart, part, piece)
        moved = self._slide(tensor, count, stop)
        part.append(Step(step.operator, "put", moved, (apart,), store.tensor, piece=f"{piece} put"))

    def _compute(
        self, step: Step, reads: Mapping[int, Read], count: int, output: int, part: list[Step], piece: str
    ) -> None:
        """Add a step for `count` columns; `reads` has its streamed inputs."""
        how, flow = self.flows.parts[step.operator.position].along, self.flows.tensors[step.output]
        parameters, inputs = dict[str, Any](step.parameters), []
        for place, index in enumerate(step.inputs):
            source = self.program.storage(index)
            if source not in reads:
                inputs.append(index)
                continue
            given, before = reads[source], self.flows.tensors[source]
            inputs.append(self._side_by_side(source, given, part, step, f"{piece} {place + 1}"))
            if not how.axis:
                continue
            parameters["window"] = along(
                parameters["window"],
                how.axis,
                size=given.count,
                count=count,
                pad=given.pad,
                stride=flow.grid // before.grid,
                dilation=how.dilation * before.phases,
            )
        if not how.axis:
            parameters |= self._shared(step, inputs, output, count)
        made = replace(step, parameters=parameters, inputs=tuple(inputs), output=output, piece=piece)
        part.append(replace(made, macs=step.macs * count // flow.columns))

    def _shared(self, step: Step, inputs: Sequence[int], output: int, count: int) -> dict[str, Value]:
        """Return the parameters of a step on fewer columns that depend on their number."""
        if "pairs" in step.parameters:
            first, second, made = (self.tensors[i].shape for i in (*inputs, output))
            return {"pairs": walk(first, second, made)}
        name = "count" if "count" in step.parameters else "rows"
        whole: Any = step.parameters[name]
        return {name: whole // self.flows.tensors[step.output].columns * count}
