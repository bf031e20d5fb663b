"""What a `.tflite` file holds, as plain data: tensors, operators in execution order, inputs, outputs."""

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Padding = Literal["SAME", "VALID"]
Activation = Literal["NONE", "RELU", "RELU_N1_TO_1", "RELU6", "TANH", "SIGN_BIT"]
_LABEL_LENGTH = 60


def shortened(name: str) -> str:
    """Return what says most of a long name: converters join all that they fused with `;`."""
    last = name.rsplit(";", 1)[-1]
    return last if len(last) <= _LABEL_LENGTH else f"...{last[3 - _LABEL_LENGTH :]}"


@dataclass(frozen=True)
class Quantization:
    """real = scale * (integer - zero_point); one pair, or one a channel of `axis`."""

    scale: tuple[float, ...]  # float32 values
    zero_point: tuple[int, ...]
    axis: int


@dataclass(frozen=True, eq=False)
class Tensor:
    """`data` is what a constant holds, shaped; None for what is computed or fed.

    Of a type that numpy has no equal of (`STRING`, `INT4`, sparse ones) it is the stored bytes, uint8, flat.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    quantization: Quantization | None
    data: NDArray[np.generic] | None
    variable: bool = False  # keeps its values between calls
    signature: tuple[int, ...] = ()  # the shape again, -1 where it is only known at run time; or empty
    sparse: bool = False

    @property
    def label(self) -> str:
        """The name as messages show it."""
        return shortened(self.name)

    @property
    def dynamic(self) -> bool:
        """Whether an extent is only known at run time; `shape` holds a guess for it."""
        return -1 in self.signature

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def item_bytes(self) -> int:
        """Bytes of an element, of int8 or int16."""
        return 2 if self.dtype == "INT16" else 1

    @property
    def scale(self) -> float:
        """The one scale of a tensor quantized as a whole."""
        assert self.quantization is not None
        return self.quantization.scale[0]

    @property
    def zero_point(self) -> int:
        """The one zero point of a tensor quantized as a whole."""
        assert self.quantization is not None
        return self.quantization.zero_point[0]


@dataclass(frozen=True)
class ConvOptions:
    """CONV_2D and DEPTHWISE_CONV_2D; pairs are (height, width)."""

    padding: Padding
    stride: tuple[int, int]
    dilation: tuple[int, int]
    activation: Activation


@dataclass(frozen=True)
class PoolOptions:
    """AVERAGE_POOL_2D and MAX_POOL_2D; pairs are (height, width)."""

    padding: Padding
    stride: tuple[int, int]
    kernel: tuple[int, int]
    activation: Activation


@dataclass(frozen=True)
class DenseOptions:
    """FULLY_CONNECTED."""

    activation: Activation
    shuffled: bool = False  # weights in a format for one kind of processor


@dataclass(frozen=True)
class AddOptions:
    """ADD."""

    activation: Activation
    powers_of_two: bool = True  # int16 only: all scales are powers of two


@dataclass(frozen=True)
class FusedOptions:
    """DIV, L2_NORMALIZATION, MUL and SUB."""

    activation: Activation


@dataclass(frozen=True)
class ConcatOptions:
    """CONCATENATION; a negative axis counts from the back."""

    axis: int
    activation: Activation


@dataclass(frozen=True)
class LstmOptions:
    """UNIDIRECTIONAL_SEQUENCE_LSTM; a clip of 0 is none."""

    activation: Activation
    cell_clip: float
    projection_clip: float
    time_major: bool


@dataclass(frozen=True)
class AxisOptions:
    """PACK and UNPACK."""

    axis: int


@dataclass(frozen=True)
class MatmulOptions:
    """BATCH_MATMUL: whether an operand's last two axes change places."""

    adjoint: tuple[bool, bool]


@dataclass(frozen=True)
class LeakyOptions:
    """LEAKY_RELU."""

    slope: float  # below zero


@dataclass(frozen=True)
class StridedSliceOptions:
    """STRIDED_SLICE: one bit an axis."""

    ellipsis_mask: int
    new_axis_mask: int
    begin_mask: int = 0
    end_mask: int = 0
    shrink_axis_mask: int = 0


@dataclass(frozen=True)
class MeanOptions:
    """MEAN."""

    keep_dims: bool


@dataclass(frozen=True)
class SoftmaxOptions:
    """SOFTMAX."""

    beta: float


Options = (
    ConvOptions
    | PoolOptions
    | DenseOptions
    | AddOptions
    | FusedOptions
    | ConcatOptions
    | LstmOptions
    | AxisOptions
    | MatmulOptions
    | LeakyOptions
    | StridedSliceOptions
    | MeanOptions
    | SoftmaxOptions
    | None
)


@dataclass(frozen=True)
class Operator:
    """One step; `inputs`, `outputs`, `intermediates` index the model's tensors, -1 is an input left out."""

    position: int  # from 0, in execution order
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options
    version: int = 1
    intermediates: tuple[int, ...] = ()  # hold the quantization of values inside the operator


@dataclass(frozen=True)
class Model:
    """A validated file: every index is in range and every operator's inputs exist before it runs."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    where: str  # file or other place it came from, for messages
    subgraphs: tuple["Model", ...] = ()  # further graphs of the file, which its operators may call

    def place(self, operator: Operator) -> str:
        """How messages name an operator, e.g. `model.tflite, operator 3 of 6, MEAN, output 'x'`."""
        names = ", ".join(f"'{self.tensors[i].label}'" for i in operator.outputs)
        place = f"operator {operator.position + 1} of {len(self.operators)}, {operator.name}"
        place += f", output {names}" if names else ""
        return f"{self.where}, {place}" if self.where else place
