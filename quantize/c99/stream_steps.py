"""The steps of a streamed program: what a hop adds, and what is made from all that is kept.

`take` moves the columns that are kept on by a hop and makes the interior's new ones. `give` makes the
columns next to the window's ends, then all layers that are not streamed. A push is both; a whole window is
as many hops as fill it, and what is given after the last one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from quantize.c99.lowering_pairs import walk
from quantize.c99.program import Program, Step, Value
from quantize.c99.stream_flow import Along, Flow, Flows, time_axis
from quantize.c99.windows import along
from quantize.tflite_model import Operator, Tensor

MOVES = frozenset({"put", "rearrange", "slide", "take"})
"""Kernels of steps that only move what others compute, where an operator has others as well."""


@dataclass(frozen=True)
class Store:
    """Where a tensor's columns lie: [outer, columns of the grid, inner].

    Attributes:
        tensor: that holds them.
        columns: of each row.
        end: of them, the one behind the interior's newest.
        kept: whether they stay from call to call.
    """

    tensor: int
    columns: int
    end: int
    kept: bool


class Builder:
    """Makes the steps of both parts; tensors are added behind those of the model."""

    def __init__(self, program: Program, flows: Flows) -> None:
        self.program, self.flows = program, flows
        self.tensors = list(program.model.tensors)
        self.alias = dict(program.alias)
        self.offsets: dict[int, int] = {}
        self.kept: dict[int, int] = {}
        self.stores: dict[int, Store] = {}
        self.take: list[Step] = []
        self.give: list[Step] = []
        self.hop = -1  # the tensor that is fed
        self.bordering: dict[int, int] = {}  # columns made next to the window's ends, by operator

    def build(self) -> tuple[Program, Program]:
        """Return what a hop adds and what is given, as two programs over the same tensors."""
        streamed = [step for step in self.program.steps if step.output in self.flows.tensors]
        self._place_stores(streamed)
        self._take_hop()
        for step in streamed:
            self._add_new(step)
        for step in self.program.steps:
            if step not in streamed:
                self.give.append(step)
                continue
            flow = self.flows.tensors[step.output]
            if self._is_whole(step.output):
                if flow.bordered:
                    self._add_piece(step, 0, flow.low, "first")
                    self._add_piece(step, flow.high, flow.columns, "last")
                self._gather(step.output, step.operator)
        model = replace(self.program.model, tensors=tuple(self.tensors))
        take, give = (
            Program(model, tuple(part), self.alias, self.offsets, self.kept)
            for part in (self.take, self.give)
        )
        return take, give

    # Where columns lie

    def _readers(self, tensor: int) -> list[Step]:
        return [s for s in self.program.steps if tensor in map(self.program.storage, s.inputs)]

    def _is_whole(self, tensor: int) -> bool:
        """Whether all columns of a tensor are needed when the output is made."""
        outputs = map(self.program.storage, self.program.model.outputs)
        tensors = self.flows.tensors
        return tensor in outputs or any(
            r.output not in tensors or tensors[r.output].bordered for r in self._readers(tensor)
        )

    def _place_stores(self, streamed: Sequence[Step]) -> None:
        source = self.program.model.inputs[0]
        for tensor in (source, *(step.output for step in streamed)):
            flow, new = self.flows.tensors[tensor], self.flows.new(tensor)
            if self._is_whole(tensor):
                columns, end = flow.whole, (flow.high - 1) * flow.phases + 1
            else:
                reads = [self._newest(r, tensor) for r in self._readers(tensor)]
                columns = end = max(new, *(before + count for before, count in reads)) if reads else new
            keep = tensor == source or self._is_whole(tensor) or columns > new
            name = "input" if tensor == source else f"layer {self._operator_of(tensor).position + 1}"
            like = replace(self.tensors[tensor], name=f"columns of {name}")
            owner = self._tensor(like, self._shape(tensor, columns))
            # Outputs are the caller's, and so copied.
            outside = tensor in map(self.program.storage, self.program.model.outputs)
            if self._is_whole(tensor) and flow.phases == 1 and not outside:
                self.alias[tensor] = owner
            self.stores[tensor] = Store(owner, columns, end, keep)
            if keep:
                self.kept[owner] = self.tensors[tensor].zero_point
        for tensor, store in self.stores.items():
            if store.kept and tensor != source:
                self._slide(tensor)

    def _newest(self, reader: Step, tensor: int) -> tuple[int, int]:
        """Return how many columns from the end of a store a reader's newest inputs end, and their number."""
        store = Store(tensor, 0, 0, False)
        start, count = self._reach(reader, tensor, store)
        return -start - count, count

    def _reach(self, reader: Step, tensor: int, store: Store) -> tuple[int, int]:
        """Return start and number of the grid's columns of which a streamed reader makes its new ones."""
        flow, out = self.flows.tensors[tensor], self.flows.tensors[reader.output]
        how = self.flows.parts[reader.operator.position].along
        last = (out.high - 1) * how.stride - how.pad  # first column of the newest window
        start = store.end - 1 - (flow.high - 1 - last) * flow.phases
        stride = out.grid // flow.grid
        before = (self.flows.new(reader.output) - 1) * stride
        return start - before, before + (how.taps - 1) * how.dilation * flow.phases + 1

    def _shape(self, tensor: int, columns: int) -> tuple[int, ...]:
        flow, shape = self.flows.tensors[tensor], self.tensors[tensor].shape
        axis = time_axis(shape, flow)
        if axis is None:
            return (flow.outer, columns, flow.inner)
        return (*shape[:axis], columns, *shape[axis + 1 :])

    def _tensor(self, like: Tensor, shape: tuple[int, ...]) -> int:
        self.tensors.append(replace(like, index=len(self.tensors), shape=shape, data=None))
        return len(self.tensors) - 1

    def _column_bytes(self, tensor: int) -> int:
        return self.flows.tensors[tensor].inner * self.tensors[tensor].item_bytes

    # What moves

    def slide_of(self, tensor: int, stop: int | None = None, hop: int | None = None) -> dict[str, Value]:
        """Return an `nrv_slide_t` of a store; for columns put elsewhere than at its end, where they stop."""
        flow, store, size = self.flows.tensors[tensor], self.stores[tensor], self._column_bytes(tensor)
        first = store.end - 1 - (flow.high - 1 - flow.low) * flow.phases
        return {
            "rows": flow.outer,
            "row": store.columns * size,
            "first": max(first, 0) * size,
            "end": (store.end if stop is None else stop) * size,
            "hop": (self.flows.new(tensor) if hop is None else hop) * size,
        }

    def _take_hop(self) -> None:
        source = self.program.model.inputs[0]
        self.hop = self._tensor(self.tensors[source], self._shape(source, self.flows.hop))
        first = self.program.steps[0].operator
        taken = Step(first, "take", self.slide_of(source), (self.hop,), self.stores[source].tensor)
        self.take.insert(0, replace(taken, piece="hop", arguments=("count", "step")))

    def _operator_of(self, tensor: int) -> Operator:
        return next(s.operator for s in self.program.steps if s.output == tensor)

    def _slide(self, tensor: int) -> None:
        store = self.stores[tensor]
        operator = self._operator_of(tensor)
        self.take.append(Step(operator, "slide", self.slide_of(tensor), (), store.tensor, piece="moved"))

    # What is read

    def _view(self, tensor: int, start: int, count: int) -> int:
        """Return columns of a store of one row as a tensor."""
        store = self.stores[tensor]
        if (start, count) == (0, store.columns):
            return store.tensor
        view = self._tensor(self.tensors[tensor], self._shape(tensor, count))
        self.alias[view] = store.tensor
        self.offsets[view] = start * self._column_bytes(tensor)
        return view

    def _side_by_side(
        self, tensor: int, start: int, count: int, part: list[Step], operator: Operator, piece: str
    ) -> int:
        """Return columns of a store as a tensor of nothing else."""
        flow, store, size = self.flows.tensors[tensor], self.stores[tensor], self._column_bytes(tensor)
        if flow.outer == 1 or (start, count) == (0, store.columns):
            return self._view(tensor, start, count)
        copy = self._tensor(self.tensors[tensor], self._shape(tensor, count))
        moved: dict[str, Value] = {
            "extent": (1, 1, 1, flow.outer),
            "step": (0, 0, 0, store.columns * size),
            "start": start * size,
            "run": count * size,
        }
        part.append(Step(operator, "rearrange", moved, (store.tensor,), copy, piece=f"{piece} copied"))
        return copy

    def _gather(self, tensor: int, operator: Operator) -> None:
        """Make a tensor of the window's columns where its store is another one."""
        flow, store, size = self.flows.tensors[tensor], self.stores[tensor], self._column_bytes(tensor)
        if tensor in self.alias:
            return
        moved: dict[str, Value] = {
            "extent": (1, 1, flow.outer, flow.columns),
            "step": (0, 0, store.columns * size, flow.phases * size),
            "start": 0,
            "run": size,
        }
        self.give.append(Step(operator, "rearrange", moved, (store.tensor,), tensor, piece="gathered"))

    # What is computed

    def _add_new(self, step: Step) -> None:
        """Add what makes the interior's new columns."""
        tensor, flow = step.output, self.flows.tensors[step.output]
        how = self.flows.parts[step.operator.position].along
        store, count = self.stores[tensor], self.flows.new(tensor)
        output = store.tensor
        apart = store.kept and flow.outer > 1
        if apart:
            output = self._tensor(self.tensors[tensor], self._shape(tensor, count))
        elif store.kept:
            output = self._view(tensor, store.end - count, count)
        sources = {}
        for index in step.inputs:
            source = self.program.storage(index)
            if source in self.flows.tensors:
                sources[index] = (*self._reach(step, source, self.stores[source]), 0)
        self._compute(step, how, sources, count, output, self.take, "new")
        if apart:
            parameters = self.slide_of(tensor)
            self.take.append(Step(step.operator, "put", parameters, (output,), store.tensor, piece="kept"))
        self.bordering[step.operator.position] = 0

    def _add_piece(self, step: Step, start: int, stop: int, piece: str) -> None:
        """Add what makes columns `start` to `stop`, next to an end of the window."""
        if start == stop:
            return
        tensor, flow = step.output, self.flows.tensors[step.output]
        how = self.flows.parts[step.operator.position].along
        store, count = self.stores[tensor], stop - start
        sources = {}
        for index in step.inputs:
            source = self.program.storage(index)
            if source in self.flows.tensors:
                first = start * how.stride - how.pad
                last = first + (count - 1) * how.stride + how.reach
                begin = max(first, 0)
                end = min(last, self.flows.tensors[source].columns)
                sources[index] = (begin, max(end - begin, 0), begin - first)
        apart = flow.outer > 1
        if apart:
            output = self._tensor(self.tensors[tensor], self._shape(tensor, count))
        else:
            output = self._view(tensor, start, count)
        self._compute(step, how, sources, count, output, self.give, piece)
        if apart:
            parameters = self.slide_of(tensor, stop, count)
            self.give.append(
                Step(step.operator, "put", parameters, (output,), store.tensor, piece=f"{piece} kept")
            )
        self.bordering[step.operator.position] += count

    def _compute(
        self,
        step: Step,
        how: Along,
        sources: Mapping[int, tuple[int, int, int]],
        count: int,
        output: int,
        part: list[Step],
        piece: str,
    ) -> None:
        """Add a step for `count` columns; sources are start and number of columns, padding before them."""
        flow = self.flows.tensors[step.output]
        inputs = []
        parameters = dict[str, Any](step.parameters)
        for place, index in enumerate(step.inputs):
            source = self.program.storage(index)
            if source not in self.flows.tensors:
                inputs.append(index)
                continue
            start, width, pad = sources[index]
            before = self.flows.tensors[source]
            if not how.axis:
                named = f"{piece} {place + 1}"
                inputs.append(self._side_by_side(source, start, width, part, step.operator, named))
                continue
            store = self.stores[source]
            if before.outer == 1:
                inputs.append(self._view(source, start, width))
            else:
                inputs.append(store.tensor)
                pad, width = pad - start, store.columns
            parameters["window"] = along(
                parameters["window"],
                how.axis,
                size=width,
                count=count,
                pad=pad,
                stride=flow.grid // before.grid,
                dilation=how.dilation * before.phases,
            )
        if not how.axis:
            shapes = [self.tensors[i].shape for i in inputs]
            parameters |= _shared(step, shapes, self._shape(step.output, count), flow, count)
        macs = step.macs * count // flow.columns
        part.append(
            replace(step, parameters=parameters, inputs=tuple(inputs), output=output, macs=macs, piece=piece)
        )


def _shared(
    step: Step, shapes: list[tuple[int, ...]], output: tuple[int, ...], flow: Flow, count: int
) -> dict[str, Value]:
    """Return the parameters of a step on fewer columns that depend on their number."""
    if "pairs" in step.parameters:
        return {"pairs": walk(shapes[0], shapes[1], output)}
    name = "count" if "count" in step.parameters else "rows"
    whole: Any = step.parameters[name]
    return {name: whole // flow.columns * count}
