"""What is in a `.tflite` file: a table of its layers."""

from dataclasses import asdict, dataclass

from edge.errors import InnervateError
from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.lowering.lower import lower
from quantize.tflite_model import Model, Tensor, shortened
from quantize.tflite_reader import read_file
from quantize.tflite_rules import check_operators

COLUMNS = ("layer", "operator", "output", "shape", "MACs", "constant bytes", "scale", "zero point")


@dataclass(frozen=True)
class LayerFacts:
    """One operator; scale and zero point are those of its output, None where it has none or many."""

    position: int  # from 1
    operator: str
    output: str
    input_shapes: list[list[int]]
    output_shape: list[int]
    macs: int
    constant_bytes: int  # weights, biases and other constants in the file
    scale: float | None
    zero_point: int | None

    def row(self) -> tuple[str, ...]:
        """Return the cells of a table, in the order of `COLUMNS`."""
        shape = " x ".join(map(str, self.output_shape))
        return (
            str(self.position),
            self.operator,
            shortened(self.output),
            shape,
            f"{self.macs:,}" if self.macs else "",
            f"{self.constant_bytes:,}" if self.constant_bytes else "",
            "" if self.scale is None else f"{self.scale:.6g}",
            "" if self.zero_point is None else str(self.zero_point),
        )


@dataclass(frozen=True)
class Inspection:
    """A file's layers and totals."""

    file_bytes: int
    inputs: list[list[int]]
    outputs: list[list[int]]
    layers: list[LayerFacts]
    macs: int
    constant_bytes: int
    arena_bytes: int | None  # of generated C; None where it cannot be generated
    refusal: str  # why it cannot; empty where it can

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the table's head."""
        return COLUMNS

    @property
    def rows(self) -> list[tuple[str, ...]]:
        """Return the table's body."""
        return [layer.row() for layer in self.layers]

    @property
    def summary(self) -> str:
        """Return the totals as a sentence."""
        arena = (
            f"no C: {self.refusal}"
            if self.refusal
            else f"generated C needs an arena of {self.arena_bytes:,} bytes."
        )
        macs = "" if self.arena_bytes is None else f"{self.macs:,} multiply-accumulates, "
        return (
            f"{len(self.layers)} layers, {macs}{self.file_bytes:,} bytes, "
            f"{self.constant_bytes:,} of them constants; {arena}"
        )

    def to_json(self) -> dict[str, object]:
        """Return plain values."""
        return asdict(self)


def _constant_bytes(tensors: list[Tensor]) -> int:
    return sum(t.data.nbytes for t in tensors if t.data is not None)


def _layers(model: Model, macs: dict[int, int]) -> list[LayerFacts]:
    layers = []
    for operator in model.operators:
        inputs = [model.tensors[i] for i in operator.inputs if i != -1]
        outputs = [model.tensors[i] for i in operator.outputs]
        quantization = outputs[0].quantization if outputs else None
        whole = quantization is not None and len(quantization.scale) == 1
        layers.append(
            LayerFacts(
                operator.position + 1,
                operator.name,
                outputs[0].name if outputs else "",
                [list(t.shape) for t in inputs if t.data is None],
                list(outputs[0].shape) if outputs else [],
                macs.get(operator.position, 0),
                _constant_bytes(inputs),
                outputs[0].scale if whole else None,
                outputs[0].zero_point if whole else None,
            )
        )
    return layers


def inspect(tflite: bytes, where: str = "") -> Inspection:
    """Look into a `.tflite` file, whatever its operators.

    Raises:
        InnervateError: it is damaged.
    """
    model = read_file(tflite, where)
    arena, refusal, macs = None, "", {}
    try:
        check_operators(model)
        program = lower(model)
        macs = {step.operator.position: step.macs for step in program.steps}
        arena = plan(arena_buffers(program)).size
    except InnervateError as error:
        refusal = str(error)
    layers = _layers(model, macs)
    return Inspection(
        len(tflite),
        [list(model.tensors[i].shape) for i in model.inputs],
        [list(model.tensors[i].shape) for i in model.outputs],
        layers,
        sum(layer.macs for layer in layers),
        _constant_bytes([t for t in model.tensors if t.data is not None]),
        arena,
        refusal,
    )
