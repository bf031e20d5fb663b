"""A model as a sequence of kernel calls: the form between the file and the generated text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from quantize.tflite_model import Model, Operator

# Arrays become constants of the generated file, mappings nested structures, tuples C arrays.
Value = int | NDArray[Any] | tuple[int, ...] | Mapping[str, "Value"]


@dataclass(frozen=True)
class State:
    """Memory that a step keeps from call to call; after a reset each of its bytes is `initial`."""

    name: str
    size: int  # bytes
    initial: int


@dataclass(frozen=True)
class Stripe:
    """Which part of its output a step makes; offsets are in bytes."""

    number: int
    start: int  # in the input's buffer, where the windows' positions are counted from
    offset: int  # in the output's buffer
    buffer: int  # size of the output's buffer


@dataclass(frozen=True, eq=False)
class Step:
    """One call `nrv_KERNEL(&parameters, inputs..., output[, scratch], states...)`.

    An input may be a constant of the file. `lists_inputs`: the inputs are given as one array of pointers.
    """

    operator: Operator
    kernel: str
    parameters: Mapping[str, Value]
    inputs: tuple[int, ...]
    output: int
    macs: int = 0
    # Largest magnitude that any order of summing can reach in the int32 accumulator, requantization's left
    # shift included; None for kernels without one.
    accumulator_bound: int | None = None
    takes_scratch: bool = False
    scratch: int = 0  # bytes
    states: tuple[State, ...] = ()
    lists_inputs: bool = False
    # The output may start this many bytes below each input, or further below; None: it must not overlap them.
    lead: int | None = None
    in_place: bool = False  # the output may start where the input does, whatever the lead
    stripe: Stripe | None = None  # None: it makes all of its output
    piece: str = ""  # which of several steps of one operator this is
    arguments: tuple[str, ...] = ()  # further ones of the call, variables of the function that it is in

    @property
    def part(self) -> int:
        """Which of its operator's outputs this makes, from 0."""
        outputs = self.operator.outputs
        return outputs.index(self.output) if self.output in outputs else 0


@dataclass(frozen=True, eq=False)
class Program:
    """Steps in order; `alias` maps a tensor to the one whose memory it shares (RESHAPE moves nothing).

    Attributes:
        offsets: bytes from the start of that memory, where a tensor is a part of it.
        kept: tensors that stay from call to call; after a reset each of their bytes is the number given.
        taken: how many of the steps are repeated for each hop; the others follow once.
    """

    model: Model
    steps: tuple[Step, ...]
    alias: Mapping[int, int]
    offsets: Mapping[int, int] = field(default_factory=dict)
    kept: Mapping[int, int] = field(default_factory=dict)
    taken: int = 0

    def storage(self, tensor: int) -> int:
        """Return the tensor that owns this one's memory."""
        while tensor in self.alias:
            tensor = self.alias[tensor]
        return tensor

    def offset(self, tensor: int) -> int:
        """Return where a tensor starts in its storage, in bytes."""
        offset = 0
        while tensor in self.alias:
            offset += self.offsets.get(tensor, 0)
            tensor = self.alias[tensor]
        return offset
