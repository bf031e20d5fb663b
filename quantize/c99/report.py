"""What is known of a generated model, for `report.json` and for whoever asks."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Layer:
    """One operator of the file, in order."""

    position: int  # from 1
    operator: str
    output: str
    kernel: str  # empty where nothing is executed
    input_shapes: list[list[int]]
    output_shape: list[int]
    macs: int
    # Proved: no order of summing takes the accumulator beyond this, and it is below 2^31.
    accumulator_bound: int | None
    instructions: int | None = None  # emulated, to one tick of the board's counter; None where not counted


@dataclass(frozen=True)
class ArenaBuffer:
    """A buffer in the arena, alive from layer `first` to layer `last` (positions from 1)."""

    name: str
    offset: int
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Build:
    """What a compiler made of the sources."""

    compiler: str
    flags: list[str]
    code_bytes: int  # instructions and parameter structures, without weights
    # Longest chain of calls from NAME_run, or NAME_push where there is one; None where unknown.
    stack_bytes: int | None
    # Functions on the way whose frames are not in that figure: the C library's.
    stack_excludes: list[str]


@dataclass(frozen=True)
class Emulated:
    """One run of NAME_run on an emulated board: instructions, not cycles."""

    board: str
    instructions_per_tick: int  # what counts can be told apart by
    instructions: int
    stack_bytes: int


@dataclass(frozen=True)
class Check:
    """A statement about the generated code and what it rests on.

    `how`: "proved" (arithmetic on the file's numbers), "object code" (read back from what the compiler made),
    "compiler" (the compiler's own figures), "construction" (how kernels are written: not checked by a tool).
    """

    what: str
    how: str
    passed: bool
    evidence: str


@dataclass(frozen=True)
class StreamedLayer:
    """How a layer of a model compiled for hops is carried out at each push.

    A column is what its output holds at one place of the time axis.
    """

    position: int  # from 1
    operator: str
    output: str
    streamed: bool
    new_columns: int | None  # computed because the hop adds them; None where it is not streamed
    border_columns: int | None  # computed anew because of where the window starts and ends
    columns: int | None  # of the whole window
    macs: int  # of a push; the layer's of a whole window are in `layers` of the report
    why_not: str  # empty where it is streamed
    instructions: int | None = None  # of a push, as `Layer.instructions`


@dataclass(frozen=True)
class StreamingReport:
    """What NAME_push computes of a model compiled for hops."""

    hop: int  # samples
    window: int  # samples
    macs: int  # of a push
    kept_bytes: int  # of the arena, what stays from push to push
    layers: list[StreamedLayer]
    push_instructions: int | None = None  # emulated, to one tick of the board's counter

    @property
    def obstacle(self) -> StreamedLayer | None:
        """The first layer that is computed whole at each push."""
        return next((layer for layer in self.layers if not layer.streamed), None)


@dataclass(frozen=True)
class Report:
    """What is known of a generated model."""

    format: int
    name: str
    target: str
    optimize: str  # for: speed, balanced or size
    cflags: list[str]
    sources: list[str]
    input_shapes: list[list[int]]
    output_shapes: list[list[int]]
    macs: int
    constant_bytes: int  # weights, biases, multipliers, tables of functions
    weight_bytes: int  # weights and biases as the file holds them
    arena_bytes: int
    arena_lower_bound: int  # what the fullest layer needs at the least
    # Kept from push to push of a file with states, and as much again for those that follow; beside the arena.
    state_bytes: int
    arena: list[ArenaBuffer]
    layers: list[Layer]
    build: Build | None
    checks: list[Check]
    emulated: Emulated | None = None  # where it was asked for
    streaming: StreamingReport | None = None  # of a model compiled for hops

    @property
    def instructions_per_mac(self) -> float | None:
        """Of the emulated run."""
        return self.emulated.instructions / self.macs if self.emulated and self.macs else None

    @property
    def flash_bytes(self) -> int | None:
        """Constants and code, where a compiler was at hand."""
        return None if self.build is None else self.constant_bytes + self.build.code_bytes

    @property
    def beyond_weights_bytes(self) -> int | None:
        """Flash less the file's weights and biases: code, multipliers, tables, weights stored wider."""
        return None if self.flash_bytes is None else self.flash_bytes - self.weight_bytes

    def to_json(self) -> dict[str, object]:
        """Return what goes into report.json."""
        derived = {"flash_bytes": self.flash_bytes, "instructions_per_mac": self.instructions_per_mac}
        return {**asdict(self), **derived}
