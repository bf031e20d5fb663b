"""Which columns of each tensor stay from call to call, and which are made at each push.

What a hop adds is made of the newest columns; those next to the window's end of the newest ones as well.
Columns next to the window's start are made of the oldest ones. Either all columns are kept for them, or they
are made from the input on, of more columns in each layer before.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from quantize.c99.program import Program, Step
from quantize.c99.streaming.flow import Along, Flow, Flows

# Columns made beyond those that depend on where the window ends, as a part of all, rather than kept.
_MADE_AGAIN = 1 / 8


@dataclass(frozen=True)
class Keep:
    """What is made and kept of a tensor's columns.

    Attributes:
        whole: all of them are there when the output is made.
        columns: of the store, on the grid, the window's start first where it is whole.
        end: of them, the one behind the interior's newest.
        stays: whether the store stays from call to call.
        first: columns made next to the window's start at each push.
        last: columns made next to its end.
        apart: whether those lie elsewhere.
        behind: columns next to the window's end that are made together with the newest, at each hop.
    """

    whole: bool
    columns: int
    end: int
    stays: bool
    first: int = 0
    last: int = 0
    apart: bool = False
    behind: int = 0


def newest(flow: Flow, out: Flow, how: Along, new: int, end: int) -> tuple[int, int]:
    """Return start and number of columns in a store, up to `end`, of which a layer makes `new` ones."""
    last = (out.high - 1) * how.stride - how.pad  # first column of the newest one's
    before = (new - 1) * (out.grid // flow.grid)
    start = end - 1 - (flow.high - 1 - last) * flow.phases - before
    return start, before + (how.taps - 1) * how.dilation * flow.phases + 1


def read(how: Along, columns: int, start: int, stop: int) -> tuple[int, int, int]:
    """Return start and number of input columns of a window that outputs are made of, and padding before."""
    first = start * how.stride - how.pad
    last = (stop - 1) * how.stride - how.pad + how.reach
    begin = max(first, 0)
    return begin, max(min(last, columns) - begin, 0), begin - first


def plan_stores(program: Program, flows: Flows, block: int) -> Mapping[int, Keep]:
    """Return what is kept of each streamed tensor.

    Args:
        program: as lowered.
        flows: of it.
        block: windows that the family's convolutions multiply at once.
    """
    source = program.model.inputs[0]
    readers: dict[int, list[Step]] = {}
    for step in program.steps:
        for tensor in {program.storage(i) for i in step.inputs}:
            readers.setdefault(tensor, []).append(step)
    outputs = {program.storage(i) for i in program.model.outputs}
    together = _made_together(program, flows, block)
    keeps: dict[int, Keep] = {}
    for tensor in [*(s.output for s in reversed(program.steps) if s.output in flows.tensors), source]:
        flow, new = flows.tensors[tensor], flows.new(tensor)
        # Columns that are read: the newest; before the interior's end, for those next to it; at the start.
        back = ending = first = 0
        needed = tensor in outputs
        for reader in readers.get(tensor, []):
            if reader.output not in flows.tensors:
                needed = True
                continue
            how, out = flows.parts[reader.operator.position].along, flows.tensors[reader.output]
            keep = keeps[reader.output]
            back = max(back, -newest(flow, out, how, flows.new(reader.output), 0)[0])
            if keep.last:
                start = read(how, flow.columns, out.columns - keep.last, out.columns)[0]
                ending = max(ending, flow.high - start)
            if keep.first:
                first = max(first, sum(read(how, flow.columns, 0, keep.first)[:2]))
        right = flow.columns - flow.high
        behind = right if tensor in together else 0
        allowed = flow.columns * _MADE_AGAIN
        too_many = first > flow.low + allowed or first + new + right >= flow.columns
        whole = needed or (first > 0 and (tensor == source or too_many))
        if whole:
            end = (flow.high - 1) * flow.phases + 1
            keeps[tensor] = Keep(True, flow.whole, end, True, flow.low, right - behind, behind=behind)
            continue
        apart = right > behind and back <= new and ending <= allowed
        if apart:
            keeps[tensor] = Keep(False, new, new, False, first, right + max(ending, 0), True)
            continue
        end = max(back, ending, new)
        stays = tensor == source or end > new or right > behind
        keeps[tensor] = Keep(False, end + right, end, stays, first, right - behind, behind=behind)
    return keeps


def _made_together(program: Program, flows: Flows, block: int) -> set[int]:
    """Return the tensors whose few columns next to the window's end are made with the newest before them.

    That fills blocks of windows. When a whole window is run they are made with each of its hops.
    """
    together: set[int] = set()
    for step in program.steps:
        flow = flows.tensors.get(step.output)
        sources = [i for i in map(program.storage, step.inputs) if i in flows.tensors]
        if flow is None or any(
            flows.tensors[i].high < flows.tensors[i].columns and i not in together for i in sources
        ):
            continue
        right = flow.columns - flow.high
        if 0 < right < block and 2 * right <= flows.new(step.output):
            together.add(step.output)
    return together
