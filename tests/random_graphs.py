"""Random small int8 graphs of every supported operator, within what the reference kernels define."""

from math import prod

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.random import Generator

from tests.tflite_maker import SAME, VALID, Maker

_ACTIVATIONS = [schema.ActivationFunctionType.NONE, schema.ActivationFunctionType.RELU]
_ACTIVATIONS += [schema.ActivationFunctionType.RELU6, schema.ActivationFunctionType.RELU_N1_TO_1]


def f32(x: float) -> float:
    return float(np.float32(x))


class Graph:
    """Grows a chain of operators; `self.at` is the tensor it has reached."""

    def __init__(self, rng: Generator) -> None:
        self.rng = rng
        self.maker = Maker()
        size = (int(rng.integers(1, 3)) if rng.random() < 0.15 else 1,)
        if rng.random() < 0.4:  # a recording: one row
            self.shape: tuple[int, ...] = (*size, 1, int(rng.integers(2, 25)), int(rng.integers(1, 10)))
        else:
            self.shape = (*size, *(int(n) for n in rng.integers(1, 10, 2)), int(rng.integers(1, 9)))
        self.scale, self.zero = self.some_scale(), self.some_zero()
        self.at = self.maker.input(self.shape, self.scale, self.zero)

    def integer(self, low: int, high: int) -> int:
        """low .. high, both included."""
        return int(self.rng.integers(low, high + 1))

    def some_scale(self) -> float:
        return f32(2.0 ** self.rng.uniform(-9, -1))

    def some_zero(self) -> int:
        return int(self.rng.choice([-128, 127, 0, -1, self.integer(-128, 127)]))

    def activation(self) -> int:
        return int(self.rng.choice(_ACTIVATIONS, p=[0.5, 0.3, 0.1, 0.1]))

    def output(self, shape: tuple[int, ...], scale: float, zero: int) -> int:
        self.shape, self.scale, self.zero = shape, scale, zero
        self.at = self.maker.tensor(shape, scale, zero)
        return self.at

    def extent(self, size: int, kernel: int, stride: int, dilation: int, padding: int) -> int:
        reach = (kernel - 1) * dilation + 1
        return -(-size // stride) if padding == SAME else -(-(size - reach + 1) // stride)

    def weights(
        self, shape: tuple[int, ...], axis: int, taps: int, bias_needed: bool = True
    ) -> tuple[list[int], float]:
        """Weights and mostly a bias, and a scale that the outputs about fill."""
        channels = shape[axis]
        per_channel = self.rng.random() < 0.7
        scales = [f32(s) for s in 2.0 ** self.rng.uniform(-10, -5, channels if per_channel else 1)]
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        if self.rng.random() < 0.05:
            data[:] = self.rng.choice([-127, 127])
        typical = 74 * 74 * np.sqrt(taps)
        bias = self.rng.normal(0, typical, channels).astype(np.int32)
        real = self.scale * float(np.median(scales))
        bias_scales = [f32(f32(self.scale) * s) for s in scales]
        out = f32(real * typical / 50 * 2.0 ** self.rng.uniform(-2.5, 2.5))
        constants = [self.maker.constant(data, scales, axis if per_channel else 0)]
        if bias_needed or self.rng.random() < 0.8:
            constants.append(self.maker.constant(bias, bias_scales))
        return constants, out

    def window(self) -> tuple[int, int, int, int, int, int, int]:
        """(kernel, stride) by axis, padding, dilation by axis; always with at least one output."""
        padding = int(self.rng.choice([SAME, VALID]))
        height, width = self.shape[1:3]
        kernel = [self.integer(1, 5), self.integer(1, 7)]
        if padding == VALID or self.rng.random() < 0.5:
            kernel = [min(kernel[0], height), min(kernel[1], width)]
        dilation = [1, 1]
        if self.rng.random() < 0.25:
            for i, size in enumerate((height, width)):
                most = 3 if padding == SAME or kernel[i] == 1 else min(3, (size - 1) // (kernel[i] - 1))
                dilation[i] = self.integer(1, max(1, most))
        strides = [self.integer(1, 3), self.integer(1, 3)]
        if dilation != [1, 1] and self.rng.random() < 0.5:
            strides = [1, 1]
        return kernel[0], kernel[1], strides[0], strides[1], padding, dilation[0], dilation[1]

    def convolution(self, depthwise: bool) -> None:
        kh, kw, sh, sw, padding, dh, dw = self.window()
        in_c = self.shape[3]
        out_c = in_c * self.integer(1, 3) if depthwise else self.integer(1, 9)
        shape = (1, kh, kw, out_c) if depthwise else (out_c, kh, kw, in_c)
        constants, scale = (
            self.weights(shape, 3, kh * kw, bias_needed=False)
            if depthwise
            else self.weights(shape, 0, kh * kw * in_c)
        )
        before = self.at
        rows = self.extent(self.shape[1], kh, sh, dh, padding)
        columns = self.extent(self.shape[2], kw, sw, dw, padding)
        options = {
            "padding": padding,
            "strideH": sh,
            "strideW": sw,
            "dilationHFactor": dh,
            "dilationWFactor": dw,
            "fusedActivationFunction": self.activation(),
        }
        if depthwise:
            options["depthMultiplier"] = out_c // in_c
        out = self.output((self.shape[0], rows, columns, out_c), scale, self.some_zero())
        name = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        self.maker.operator(name, [before, *constants], out, **options)

    def pool(self) -> None:
        kh, kw, sh, sw, padding, _, _ = self.window()
        before = self.at
        rows = self.extent(self.shape[1], kh, sh, 1, padding)
        columns = self.extent(self.shape[2], kw, sw, 1, padding)
        out = self.output((self.shape[0], rows, columns, self.shape[3]), self.scale, self.zero)
        self.maker.operator(
            str(self.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"])),
            [before],
            out,
            padding=padding,
            strideH=sh,
            strideW=sw,
            filterHeight=kh,
            filterWidth=kw,
            fusedActivationFunction=self.activation(),
        )

    def pooled(self) -> None:
        """A convolution and the highest of 2 or 4 of its neighbours, which kernels may fuse."""
        self.convolution(False)
        along = 2 if self.shape[2] >= 2 else 1
        columns = 2 if self.shape[along] < 4 or self.rng.random() < 0.5 else 4
        if self.shape[along] < columns:
            return
        before, sizes = self.at, {"filterHeight": 1, "filterWidth": 1, "strideH": 1, "strideW": 1}
        axis = "Width" if along == 2 else "Height"
        sizes |= {f"filter{axis}": columns, f"stride{axis[0]}": columns}
        shape = list(self.shape)
        shape[along] //= columns
        out = self.output(tuple(shape), self.scale, self.zero)
        activation = self.activation()
        self.maker.operator(
            "MAX_POOL_2D", [before], out, padding=VALID, fusedActivationFunction=activation, **sizes
        )

    def pad(self) -> None:
        amounts = np.array([[0, 0], *self.rng.integers(0, 3, (3, 2))], np.int32)
        if self.rng.random() < 0.5:
            amounts[3] = 0
        before, paddings = self.at, self.maker.constant(amounts)
        shape = tuple(int(n + a.sum()) for n, a in zip(self.shape, amounts, strict=True))
        self.maker.operator("PAD", [before, paddings], self.output(shape, self.scale, self.zero))

    def add(self) -> None:
        """A residual connection: a pointwise convolution of this, plus this."""
        before, shape, scale = self.at, self.shape, self.scale
        channels = shape[3]
        constants, out_scale = self.weights((channels, 1, 1, channels), 0, channels)
        branch = self.output(shape, out_scale, self.some_zero())
        self.maker.operator("CONV_2D", [before, *constants], branch, strideH=1, strideW=1, padding=SAME)
        total = f32((scale + out_scale) * 2.0 ** self.rng.uniform(-2, 1))
        inputs = [before, branch] if self.rng.random() < 0.5 else [branch, before]
        out = self.output(shape, total, self.some_zero())
        self.maker.operator("ADD", inputs, out, fusedActivationFunction=self.activation())

    def mean(self) -> None:
        axes = [[1, 2], [2, 1], [1], [2], [-3, -2], [3], [1, 2, 3]][self.integer(0, 6)]
        keep = bool(self.rng.random() < 0.5)
        before = self.at
        reduced = {a % 4 for a in axes}
        if keep:
            shape = tuple(1 if i in reduced else n for i, n in enumerate(self.shape))
        else:
            shape = tuple(n for i, n in enumerate(self.shape) if i not in reduced)
        count = prod(self.shape) // max(1, prod(shape))
        scale = f32(self.scale * 2.0 ** self.rng.uniform(-0.5 * np.log2(count) - 1, 1))
        constant = self.maker.constant(np.array(axes, np.int32))
        out = self.output(shape, scale, self.some_zero())
        self.maker.operator("MEAN", [before, constant], out, keepDims=keep)

    def reshape(self, shape: tuple[int, ...]) -> None:
        before, target = self.at, self.maker.constant(np.array(shape, np.int32))
        self.maker.operator(
            "RESHAPE", [before, target], self.output(shape, self.scale, self.zero), newShape=list(shape)
        )

    def dense(self) -> None:
        if len(self.shape) != 2 and self.rng.random() < 0.5:
            self.reshape((self.shape[0], prod(self.shape[1:])))
        whole = self.rng.random() < 0.7
        depth = prod(self.shape[1:]) if whole else self.shape[-1]
        rows, units = prod(self.shape) // depth, self.integer(1, 12)
        constants, scale = self.weights((units, depth), 0, depth, bias_needed=False)
        before = self.at
        out = self.output((rows, units), scale, self.some_zero())
        self.maker.operator(
            "FULLY_CONNECTED", [before, *constants], out, fusedActivationFunction=self.activation()
        )

    def softmax(self) -> None:
        before = self.at
        out = self.output(self.shape, 1 / 256, -128)
        beta = float(self.rng.choice([1.0, f32(2.0 ** self.rng.uniform(-2, 6))], p=[0.5, 0.5]))
        self.maker.operator("SOFTMAX", [before], out, beta=beta)


def random_graph(seed: int) -> bytes:
    """One graph: one to four layers over NHWC, then perhaps a mean, dense layer, softmax."""
    graph = Graph(np.random.default_rng(seed))
    layers = [
        lambda: graph.convolution(False),
        lambda: graph.convolution(True),
        graph.pool,
        graph.pad,
        graph.add,
        graph.pooled,
    ]
    for _ in range(graph.integer(1, 3)):
        layers[int(graph.rng.choice(6, p=[0.25, 0.25, 0.15, 0.1, 0.1, 0.15]))]()
    if graph.rng.random() < 0.4:
        graph.mean()
    if graph.rng.random() < 0.4 and len(graph.shape) >= 1:
        graph.dense()
    if graph.rng.random() < 0.4 and len(graph.shape) >= 1:
        graph.softmax()
    return graph.maker.finish(graph.at)


def random_lstm(seed: int, most_units: int = 13) -> bytes:
    """A fused LSTM, then perhaps its last step, a dense layer."""
    graph = Graph(np.random.default_rng(seed))
    maker, rng = Maker(), graph.rng
    graph.maker = maker
    graph.shape = (graph.integer(1, 2), graph.integer(1, 9), graph.integer(1, 11))
    graph.at = maker.input(graph.shape, graph.scale, graph.zero)
    batches, steps, inputs = graph.shape
    units = graph.integer(1, most_units)
    hidden_scale, hidden_zero = f32(2.0 ** rng.uniform(-8, -6)), graph.some_zero()
    cell_scale = 2.0 ** -graph.integer(9, 15)

    def weights(columns: int, scale_of_input: float) -> list[int]:
        # Sums of about 2: gates between shut and open.
        scales = [
            f32(2.0 ** rng.uniform(-2, 2) / (74 * 74 * scale_of_input * np.sqrt(columns))) for _ in range(4)
        ]
        return [maker.constant(rng.integers(-127, 128, (units, columns)).astype(np.int8), s) for s in scales]

    kernels, recurrent = weights(inputs, graph.scale), weights(units, hidden_scale)
    biases = [maker.constant(rng.integers(-8000, 8000, units).astype(np.int32), 1e-4) for _ in range(4)]
    states = [
        maker.state((batches, units), hidden_scale, hidden_zero),
        maker.state((batches, units), cell_scale, 0, int16=True),
    ]
    intermediates = [maker.tensor((0,)) for _ in range(4)] + [maker.tensor((0,), hidden_scale, hidden_zero)]
    inputs_of = [graph.at, *kernels, *recurrent, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
    maker.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        inputs_of,
        graph.output((batches, steps, units), hidden_scale, hidden_zero),
        intermediates=intermediates,
        fusedActivationFunction=schema.ActivationFunctionType.TANH,
        cellClip=float(rng.choice([0.0, 0.75, 10.0])),
    )
    if rng.random() < 0.5:
        parts = [[0, -1, 0], [0, steps, 0], [1, 1, 1]]
        constants = [maker.constant(np.array(part, np.int32)) for part in parts]
        before, out = graph.at, graph.output((batches, units), hidden_scale, hidden_zero)
        masks = {"beginMask": 5, "endMask": 5, "shrinkAxisMask": 2}
        maker.operator("STRIDED_SLICE", [before, *constants], out, **masks)
    if rng.random() < 0.5:
        graph.dense()
    return maker.finish(graph.at)
