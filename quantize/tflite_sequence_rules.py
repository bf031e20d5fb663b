"""What UNIDIRECTIONAL_SEQUENCE_LSTM demands of its tensors; see `tflite_rules`.

The rules are those of TFLite's int8 kernel with a 16-bit cell state (kernels/lstm_eval.cc).
"""

from math import frexp

from quantize.tflite_checker import Checker
from quantize.tflite_model import LstmOptions, Tensor

_HIDDEN, _CELL = 18, 19
_LEFT_OUT = {
    "peephole connections": range(9, 12),
    "a projection": range(16, 18),
    "layer normalization": range(20, 24),
}
# Of the cell state: the integer bits that the reference kernel's tanh takes.
_CELL_SCALES = tuple(2.0 ** (bits - 15) for bits in range(7))


def cell_bits(cell: Tensor) -> int:
    """Return the integer bits of a cell state whose scale is a power of two."""
    return frexp(cell.scale)[1] + 14


def _state(c: Checker, position: int, what: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    tensor = c.input(position)
    c.require(tensor.variable, f"the {what} '{tensor.label}' is not kept between calls")
    c.require(tensor.dtype == dtype, f"the {what} '{tensor.label}' is {tensor.dtype}, not {dtype}")
    c.require(
        tensor.shape == shape, f"the {what} has shape {list(tensor.shape)}, but {list(shape)} is expected"
    )
    c.require(tensor.quantization is not None, f"the {what} '{tensor.label}' has no scale")
    return tensor


def lstm(c: Checker) -> None:
    """Check a fused LSTM."""
    count = len(c.operator.inputs)
    c.require(count == 24, f"{count} inputs, but 24 are expected")
    c.require(len(c.operator.outputs) == 1, f"{len(c.operator.outputs)} outputs instead of one")
    for what, positions in _LEFT_OUT.items():
        used = any(c.operator.inputs[i] != -1 for i in positions)
        c.require(not used, f"{what}, which is not supported", "Use a plain LSTM")
    needed = (*range(9), *range(12, 16), _HIDDEN, _CELL)
    c.require(all(c.operator.inputs[i] != -1 for i in needed), "a gate, a bias or a state is left out")
    options = c.operator.options
    assert isinstance(options, LstmOptions)
    c.require(options.activation == "TANH", f"activation {options.activation}, where only TANH is supported")
    c.require(not options.time_major, "time comes before the batch", "Convert it with the batch first")
    source = c.activation(c.input(0))
    c.require(len(source.shape) == 3, f"an input of {len(source.shape)} axes, not [batch, time, features]")
    batches, steps, inputs = source.shape
    units = c.input(1).shape[0] if c.input(1).shape else 0
    for position in range(1, 9):
        weights = c.weights(c.input(position), 2, 0)
        expected = (units, inputs if position < 5 else units)
        c.require(
            weights.shape == expected,
            f"the weights '{weights.label}' have shape {list(weights.shape)}, not {list(expected)}",
        )
        assert weights.quantization is not None
        c.require(len(weights.quantization.scale) == 1, f"the weights '{weights.label}' have several scales")
    for position in range(12, 16):
        bias = c.input(position)
        c.require(
            bias.data is not None and bias.dtype == "INT32" and bias.shape == (units,),
            f"the bias '{bias.label}' is not a constant of {units} int32",
        )
    hidden = _state(c, _HIDDEN, "hidden state", "INT8", (batches, units))
    c.require(-128 <= hidden.zero_point <= 127, f"zero point {hidden.zero_point} is outside int8")
    cell = _state(c, _CELL, "cell state", "INT16", (batches, units))
    c.require(
        cell.scale in _CELL_SCALES and cell.zero_point == 0,
        f"the cell state has scale {cell.scale:g}, but a power of two from 2^-15 to 2^-9 is expected",
    )
    gated = [c.model.tensors[i] for i in c.operator.intermediates if i != -1]
    c.require(
        len(gated) == 5 and gated[4].quantization is not None,
        "the intermediates do not say the hidden state's scale",
    )
    c.require(options.cell_clip >= 0, f"a cell clip of {options.cell_clip:g}")
    c.shape((batches, steps, units))
