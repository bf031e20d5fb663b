"""The integers of a quantized network: what goes into the file, and nothing else.

Shapes and weights are in TFLite's order (NHWC, weights OHWI). Real value = scale * (integer - zero point).
"""

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

SOFTMAX_SCALE: Final = 1 / 256
SOFTMAX_ZERO_POINT: Final = -128


@dataclass(frozen=True)
class Tensor:
    """An activation: shape with batch 1, scale as the float32 the file will hold.

    Attributes:
        dtype: int8, but int16 for the cell state of an LSTM and for values that are to have it, and float32
            for what an LSTM leaves out.
        variable: keeps its value between calls.
        data: of a constant, in the tensor's shape; None where it is computed.
    """

    name: str
    shape: tuple[int, ...]
    scale: float
    zero_point: int
    dtype: Literal["int8", "int16", "float32"] = "int8"
    variable: bool = False
    data: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class LstmGate:
    """One gate of an LSTM, its weights symmetric with one scale a tensor.

    Attributes:
        weights: int8 [units, inputs].
        scale: of `weights`.
        recurrent_weights: int8 [units, units].
        recurrent_scale: of `recurrent_weights`.
        bias: int32 [units], scale input scale * `scale`.
    """

    weights: NDArray[np.int8]
    scale: float
    recurrent_weights: NDArray[np.int8]
    recurrent_scale: float
    bias: NDArray[np.int32]


@dataclass(frozen=True)
class LstmWeights:
    """Constants of an LSTM.

    Attributes:
        gates: input, forget, cell and output gate.
        cell_scale: of the int16 cell state, a power of two.
    """

    gates: tuple[LstmGate, LstmGate, LstmGate, LstmGate]
    cell_scale: float


@dataclass(frozen=True)
class QuantLayer:
    """One operator from activations `inputs` to activation `output` (indices into `QuantGraph.tensors`).

    Attributes:
        kind: conv, depthwise, dense, average, max, add, sub, mul, logistic, tanh, concat, matmul,
            pad, lstm, last, reshape, quantize or softmax.
        weights: int8: conv [out, kh, kw, in], depthwise [1, kh, kw, out], dense [out, in].
        weight_scales: float32 [out].
        bias: int32 [out], scale input scale * weight scale.
        same: SAME padding where true, VALID where false.
        kernel: window of a pooling (height, width).
        multiplier: outputs a channel of a depthwise convolution.
        padding: zeros (top, bottom, left, right) that a pad puts round its input.
        transposed: whether a matmul takes its second input's rows for columns.
        lstm: constants of an lstm; its inputs are what it reads, the hidden state and the cell state.
    """

    kind: str
    name: str
    inputs: tuple[int, ...]
    output: int
    relu: bool = False
    weights: NDArray[np.int8] | None = None
    weight_scales: NDArray[np.float32] | None = None
    bias: NDArray[np.int32] | None = None
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    kernel: tuple[int, int] = (1, 1)
    same: bool = False
    multiplier: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    transposed: bool = False
    lstm: LstmWeights | None = None


@dataclass(frozen=True)
class QuantGraph:
    """Tensors and operators in order, and which tensors are fed and given.

    Attributes:
        inputs: the window [1, H, W, C] or [1, W, C]; or a sample and a state, of one step.
        outputs: the last operator's where empty; else probabilities and the next state.
    """

    tensors: tuple[Tensor, ...]
    layers: tuple[QuantLayer, ...]
    inputs: tuple[int, ...] = (0,)
    outputs: tuple[int, ...] = ()

    @property
    def given(self) -> tuple[int, ...]:
        """Indices of the output tensors."""
        return self.outputs or (self.layers[-1].output,)

    @property
    def input(self) -> Tensor:
        """The first input, int8."""
        return self.tensors[self.inputs[0]]

    @property
    def output(self) -> Tensor:
        """Probabilities, int8 with scale 1/256 and zero point -128."""
        return self.tensors[self.given[0]]
