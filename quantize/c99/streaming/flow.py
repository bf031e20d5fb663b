"""How layers go along the axis that windows slide over: what the next window shares with this one.

A column is everything a tensor holds at one place of that axis. Column j of a layer's output is made of
input columns j * stride - padding and on; where all of them lie within the window, the column is the same
in the next window, a hop further to the left. Those columns are the layer's *interior*.

Columns of a tensor are `samples` samples apart. Where that does not divide the hop, columns of successive
windows do not coincide; those of a finer grid do, of which each window takes every so-manieth.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import gcd, prod
from typing import Any, Final

from quantize.c99.program import Program, Step
from quantize.tflite_model import Model

_WINDOWED: Final = frozenset({"conv2d", "depthwise", "average_pool", "max_pool", "conv16", "pool16"})
_POOLS: Final = frozenset({"average_pool", "max_pool", "pool16"})
_ONE_BY_ONE: Final = frozenset({"lookup", "widen16", "narrow16"})
_ROWS: Final = frozenset({"dense", "dense16", "softmax"})
_SIDES: Final = {"h": "pad_top", "w": "pad_left"}


@dataclass(frozen=True)
class Flow:
    """A tensor along time: [outer, columns, inner] values.

    Attributes:
        outer: rows of columns.
        columns: of the whole window.
        inner: values of a row's column.
        samples: from a column to the next one.
        grid: samples from one column that is kept to the next; it divides the hop and `samples`.
        low: first column of the interior.
        high: first column behind it.
    """

    outer: int
    columns: int
    inner: int
    samples: int
    grid: int
    low: int
    high: int

    @property
    def phases(self) -> int:
        """Columns of the grid from one of the window's to the next."""
        return self.samples // self.grid

    @property
    def whole(self) -> int:
        """Columns of the grid over the whole window."""
        return (self.columns - 1) * self.phases + 1

    @property
    def bordered(self) -> bool:
        """Whether some columns depend on where the window ends."""
        return (self.low, self.high) != (0, self.columns)


@dataclass(frozen=True)
class Along:
    """How a layer goes along time: output column j is made of `taps` input columns from j * stride - pad.

    `axis`: that of the windows, "h" or "w"; empty where each column is made of the one in its place.
    """

    axis: str
    stride: int
    taps: int
    dilation: int
    pad: int

    @property
    def reach(self) -> int:
        """Input columns from the first to the last."""
        return (self.taps - 1) * self.dilation + 1


_IN_PLACE: Final = Along("", 1, 1, 1, 0)


@dataclass(frozen=True)
class Part:
    """An operator of the file: streamed (`why_not` is empty), or made whole at each push and why."""

    position: int
    why_not: str
    along: Along = _IN_PLACE


@dataclass(frozen=True)
class Flows:
    """The streamed part of a program: tensors (by the index of their storage) and operators (by position)."""

    hop: int
    tensors: Mapping[int, Flow]
    parts: Mapping[int, Part]

    def new(self, tensor: int) -> int:
        """Columns of the grid that a hop adds."""
        return self.hop // self.tensors[tensor].grid


def time_axis(shape: tuple[int, ...], flow: Flow) -> int | None:
    """Return which axis of a tensor of that shape is time; None where none is."""
    for axis, extent in enumerate(shape):
        split = (prod(shape[:axis]), extent, prod(shape[axis + 1 :]))
        if split == (flow.outer, flow.columns, flow.inner):
            return axis
    return None


def input_flow(shape: tuple[int, ...], axis: int) -> Flow:
    """Return the flow of the model's input."""
    extent = shape[axis]
    return Flow(prod(shape[:axis]), extent, prod(shape[axis + 1 :]), 1, 1, 0, extent)


def _window_along(step: Step, shape: tuple[int, ...], flow: Flow, hop: int) -> Along | str:
    axis = time_axis(shape, flow)
    if len(shape) != 4 or axis not in (1, 2) or shape[0] != 1:
        return "its windows do not slide along time"
    name = "h" if axis == 1 else "w"
    window: Any = step.parameters["window"]
    taps = window[f"kernel_{name}"]
    if step.kernel in _POOLS and flow.phases > 1 and taps > 1:
        return f"{_no_multiple(hop, flow.samples)}, and columns of different hops cannot be pooled"
    dilation = window[f"dilation_{name}"]
    return Along(name, window[f"stride_{name}"], taps, dilation if taps > 1 else 1, window[_SIDES[name]])


def _along(step: Step, program: Program, flows: Mapping[int, Flow], hop: int) -> Along | str:
    """Return how a generic step goes along time, or why it does not; its first streamed input decides."""
    model, streamed = program.model, [i for i in step.inputs if program.storage(i) in flows]
    if not streamed:
        return "it does not depend on time"
    flow, shape = flows[program.storage(streamed[0])], model.tensors[streamed[0]].shape
    if step.part or len(step.operator.outputs) > 1 or step.states:
        return "it takes the whole window"
    if step.kernel in _WINDOWED:
        return _window_along(step, shape, flow, hop)
    if step.kernel in _ONE_BY_ONE:
        return _IN_PLACE
    if step.kernel in _ROWS:
        depth: Any = step.parameters["depth"]
        return _IN_PLACE if flow.inner % depth == 0 else "it takes the whole window"
    if "pairs" in step.parameters:
        return _pair_along(step, program, flows)
    return "it takes the whole window"


def _pair_along(step: Step, program: Program, flows: Mapping[int, Flow]) -> Along | str:
    tensors = program.model.tensors
    output = tensors[step.output].shape
    operands = [(tensors[i], flows.get(program.storage(i))) for i in step.inputs]
    for tensor, flow in operands:
        if flow is not None:
            # Operands are aligned at their last axes.
            axis = time_axis(tensor.shape, flow)
            if tensor.shape != output or axis is None:
                return "an operand is repeated"
            from_back = len(output) - axis
    first = next(flow for _, flow in operands if flow)
    for tensor, flow in operands:
        if flow is None:
            if len(tensor.shape) >= from_back and tensor.shape[-from_back] != 1:
                return "an operand is not a stream"
        elif (flow.outer, flow.columns, flow.inner, flow.samples) != (
            first.outer,
            first.columns,
            first.inner,
            first.samples,
        ):
            return "its operands go at different rates"
    return _IN_PLACE


def _out_flow(step: Step, along: Along, inputs: list[Flow], model: Model, hop: int) -> Flow:
    """Return the flow of a step's output."""
    first = inputs[0]
    size, samples = model.tensors[step.output].size, first.samples * along.stride
    if along.axis:
        _, height, width, channels = model.tensors[step.output].shape
        window: Any = step.parameters["window"]
        extent = window[f"out_{along.axis}"]
        outer, inner = (1, width * channels) if along.axis == "h" else (height, channels)
        last = first.high - 1 + along.pad - (along.reach - 1)
        low = min(max(-(-(first.low + along.pad) // along.stride), 0), extent)
        high = min(max(last // along.stride + 1, low), extent)
        return Flow(outer, extent, inner, samples, gcd(samples, hop), low, high)
    low, high = max(f.low for f in inputs), min(f.high for f in inputs)
    inner = size // first.outer // first.columns
    return Flow(first.outer, first.columns, inner, samples, first.grid, low, max(low, high))


def _no_multiple(hop: int, samples: int) -> str:
    """Say which hops would do for columns so many samples apart."""
    near = sorted({hop // samples * samples, -(-hop // samples) * samples} - {0})
    return (
        f"a hop of {hop} is no multiple of the {samples} samples between its columns, as "
        f"{' and '.join(map(str, near))} would be"
    )


def _does_not_pay(flow: Flow, hop: int) -> str:
    """Return why a tensor is not worth keeping; empty where it is."""
    new = hop // flow.grid
    if flow.columns == 1:
        return "it takes the whole window"
    if new >= flow.high - flow.low and flow.phases > 1:
        return _no_multiple(hop, flow.samples)
    if new >= flow.high - flow.low:
        return (
            f"of its {flow.columns} columns {flow.columns - (flow.high - flow.low)} depend on where the "
            f"window ends and {new} are new"
        )
    if flow.phases > 1 and flow.bordered:
        return f"{_no_multiple(hop, flow.samples)}, and some columns depend on where the window ends"
    return ""


def find_flows(program: Program, hop: int, axis: int) -> Flows:
    """Return what can be streamed of a lowered program whose first input's time is `axis`."""
    model = program.model
    source = model.inputs[0]
    tensors = {source: input_flow(model.tensors[source].shape, axis)}
    parts: dict[int, Part] = {}
    made: dict[int, list[Step]] = {}
    for step in program.steps:
        made.setdefault(step.operator.position, []).append(step)
    maker = {step.output: step.operator.position for step in program.steps}
    for operator in model.operators:
        position, steps = operator.position, made.get(operator.position, [])
        if not steps:
            continue
        step = steps[0]
        ahead = [maker[program.storage(i)] for i in step.inputs if program.storage(i) in maker]
        barred = [p + 1 for p in ahead if parts[p].why_not]
        if barred:
            parts[position] = Part(position, f"layer {min(barred)} before it is not streamed")
            continue
        along = _along(step, program, tensors, hop)
        if isinstance(along, str):
            parts[position] = Part(position, along)
            continue
        inputs = [tensors[program.storage(i)] for i in step.inputs if program.storage(i) in tensors]
        flow = _out_flow(step, along, inputs, model, hop)
        why_not = _does_not_pay(flow, hop)
        parts[position] = Part(position, why_not, along)
        if not why_not:
            tensors[step.output] = flow
    return Flows(hop, tensors, parts)
