"""What every rule has at hand: one operator, its tensors, and tests of them that say what is wrong."""

from edge.errors import InnervateError
from quantize.tflite_model import LstmOptions, Model, Operator, Tensor

# What may have int16 activations, with zero point 0, where the others have int8.
WIDE = (
    "ADD",
    "AVERAGE_POOL_2D",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "EXPAND_DIMS",
    "FULLY_CONNECTED",
    "MAX_POOL_2D",
    "PAD",
    "QUANTIZE",
    "RESHAPE",
    "SLICE",
    "SQUEEZE",
    "STRIDED_SLICE",
    "TRANSPOSE",
)
ACTIVATIONS = ("NONE", "RELU", "RELU_N1_TO_1", "RELU6")


class Checker:
    """Tests of one operator; each failure names the operator."""

    def __init__(self, model: Model, operator: Operator) -> None:
        self.model = model
        self.operator = operator

    def require(self, condition: bool, what: str, fix: str = "") -> None:
        """Raise InnervateError with this operator's place unless a condition holds."""
        if not condition:
            raise InnervateError(what[0].upper() + what[1:], self.model.place(self.operator), fix)

    def activation_is_one_of_ours(self) -> None:
        """Check the fused activation."""
        activation = getattr(self.operator.options, "activation", "NONE")
        if isinstance(self.operator.options, LstmOptions):
            return  # its activation is another thing, see its rule
        self.require(
            activation in ACTIVATIONS, f"fused activation {activation} is none of {', '.join(ACTIVATIONS)}"
        )

    def arity(self, least: int, most: int, outputs: int = 1) -> None:
        """Check how many inputs and outputs there are, and that the least of the inputs are all given."""
        count, made = len(self.operator.inputs), len(self.operator.outputs)
        self.require(least <= count <= most, f"{count} inputs, but {least} to {most} are expected")
        self.require(made == outputs, f"{made} outputs, but {outputs} are expected")
        self.require(-1 not in self.operator.inputs[:least], "a required input is left out")

    def input(self, position: int) -> Tensor:
        """Return an input that is given."""
        return self.model.tensors[self.operator.inputs[position]]

    @property
    def output(self) -> Tensor:
        """The first output."""
        return self.model.tensors[self.operator.outputs[0]]

    def activation(self, tensor: Tensor) -> Tensor:
        """Return a tensor that is computed or fed, int8 (or int16, see `WIDE`), quantized as a whole."""
        self.operand(tensor)
        self.require(
            tensor.data is None, f"tensor '{tensor.label}' is a constant where a computed one is expected"
        )
        return tensor

    def operand(self, tensor: Tensor) -> Tensor:
        """Return such a tensor, which may be a constant."""
        self.require(
            tensor.dtype == "INT8" or (tensor.dtype == "INT16" and self.operator.name in WIDE),
            f"tensor '{tensor.label}' is {tensor.dtype}",
            "Only int8 models are supported: quantize it fully, inputs and outputs included",
        )
        self.require(not tensor.variable, f"tensor '{tensor.label}' keeps state between calls")
        quantization = tensor.quantization
        self.require(quantization is not None, f"tensor '{tensor.label}' has no scale and zero point")
        assert quantization is not None
        self.require(
            len(quantization.scale) == 1, f"tensor '{tensor.label}' is quantized by channel, but is no weight"
        )
        zero = quantization.zero_point[0]
        self.require(-128 <= zero <= 127, f"zero point {zero} of '{tensor.label}' is outside int8")
        wide = tensor.dtype == "INT16"
        self.require(not wide or zero == 0, f"zero point {zero} of the int16 tensor '{tensor.label}'")
        return tensor

    def axis(self, axis: int, rank: int) -> int:
        """Return an axis counted from the front, where a negative one counts from the back."""
        self.require(-rank <= axis < rank, f"axis {axis} of {rank} dimensions")
        return axis % rank

    def one_type(self) -> None:
        """Check that all that is computed has one type; of QUANTIZE, that it leads to int8 or from it."""
        indices = (*self.operator.inputs, *self.operator.outputs)
        tensors = (self.model.tensors[i] for i in indices if i != -1)
        types = {t.dtype for t in tensors if t.data is None and not t.variable}
        if self.operator.name == "QUANTIZE":
            self.require("INT8" in types, "it leads from int16 to int16")
        elif self.operator.name in WIDE:
            self.require(len(types) == 1, f"activations of several types: {', '.join(sorted(types))}")

    def weights(self, tensor: Tensor, rank: int, channel_axis: int) -> Tensor:
        """Return a constant int8 tensor, symmetric, scaled as a whole or by output channel."""
        self.require(tensor.data is not None, f"the weights '{tensor.label}' are not a constant")
        self.require(tensor.dtype == "INT8", f"the weights '{tensor.label}' are {tensor.dtype}, not INT8")
        self.require(
            len(tensor.shape) == rank,
            f"the weights '{tensor.label}' have {len(tensor.shape)} axes, not {rank}",
        )
        quantization = tensor.quantization
        self.require(quantization is not None, f"the weights '{tensor.label}' have no scale")
        assert quantization is not None
        self.require(
            not any(quantization.zero_point),
            f"the weights '{tensor.label}' have a zero point other than 0",
            "Quantize weights symmetrically",
        )
        by_channel = len(quantization.scale) > 1
        self.require(
            not by_channel or quantization.axis == channel_axis,
            f"the weights '{tensor.label}' are quantized along axis {quantization.axis}, not {channel_axis}",
        )
        return tensor

    def bias(self, channels: int) -> None:
        """Check the third input, where it is given: constant int32, one a channel; for int16 int64, given."""
        wide = self.input(0).dtype == "INT16"
        if len(self.operator.inputs) < 3 or self.operator.inputs[2] == -1:
            self.require(not wide, "a layer of int16 activations has no bias", "Give it one of zeros")
            return
        tensor, expected = self.input(2), "INT64" if wide else "INT32"
        self.require(tensor.data is not None, f"the bias '{tensor.label}' is not a constant")
        self.require(tensor.dtype == expected, f"the bias '{tensor.label}' is {tensor.dtype}, not {expected}")
        self.require(
            tensor.size == channels,
            f"the bias '{tensor.label}' has {tensor.size} values for {channels} channels",
        )

    def constant_int32(self, position: int, what: str) -> Tensor:
        """Return an input that must be constant int32."""
        tensor = self.input(position)
        self.require(
            tensor.data is not None and tensor.dtype == "INT32",
            f"the {what} '{tensor.label}' are not constant int32",
        )
        return tensor

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """All outputs."""
        return tuple(self.model.tensors[i] for i in self.operator.outputs)

    def shape(self, expected: tuple[int, ...], output: int = 0) -> None:
        """Check the shape of an output."""
        actual = self.outputs[output].shape
        self.require(
            actual == expected,
            f"the output has shape {list(actual)}, but {list(expected)} follows from its inputs",
        )

    def same_quantization(self, position: int = 0, output: int = 0) -> None:
        """Check that an input and an output have one scale and zero point."""
        source, target = self.input(position), self.activation(self.outputs[output])
        # The tolerance of the reference kernels' own check.
        same = abs(source.scale - target.scale) <= 1e-6 and source.zero_point == target.zero_point
        self.require(
            same, "input and output differ in scale or zero point, which this operator cannot change"
        )
