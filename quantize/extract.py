"""The integers of a calibrated Brevitas network as a `QuantGraph`."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from edge.errors import InnervateError
from quantize.graph import SOFTMAX_SCALE, SOFTMAX_ZERO_POINT, QuantGraph, QuantLayer, Tensor
from quantize.lstm.integers import read_lstm
from quantize.network import INPUT, Add, Conv, Dense, Last, Lstm, Network, Padding, Pool, Shape
from quantize.qat import UNSIGNED_OFFSET, QuantNetwork

INT32_MAX: Final = 2**31 - 1


def read_graph(model: QuantNetwork) -> QuantGraph:
    """Read the integers of a calibrated network, with a softmax after its logits.

    Raises:
        InnervateError: a scale that is not finite and positive, or a channel that could overflow int32.
    """
    model.eval()
    network = model.network
    with torch.no_grad():
        values = model.values(torch.zeros(1, *network.input_shape))
    tensors = [_tensor("window", network.input_shape, values[0])]
    if _sequence(network, INPUT):
        tensors[0] = _without_height(tensors[0])
    layers: list[QuantLayer] = []
    made = [0]  # tensor that holds each value: the input, then every layer's output
    for index, layer in enumerate(network.layers):
        inputs = tuple(made[source - INPUT] for source in layer.inputs)
        source = values[layer.inputs[0] - INPUT]
        if isinstance(layer, Conv) and any(layer.padding) and not layer.same:
            tensors.append(_padded(tensors[inputs[0]], f"{layer.name}.pad", layer.padding))
            inputs, padded = (len(tensors) - 1,), inputs
            layers.append(QuantLayer("pad", f"{layer.name}.pad", padded, inputs[0], padding=layer.padding))
        if isinstance(layer, Lstm) and len(tensors[inputs[0]].shape) == 4:
            tensors.append(_without_height(tensors[inputs[0]], f"{layer.name}.steps"))
            inputs, image = (len(tensors) - 1,), inputs
            layers.append(QuantLayer("reshape", f"{layer.name}.steps", image, inputs[0]))
        tensors.append(_tensor(layer.name, layer.shape, values[index + 1]))
        output = len(tensors) - 1
        made.append(output)
        match layer:
            case Conv():
                depthwise = layer.groups > 1
                weights, scales, bias = layer_integers(model.weighted[str(index)], layer.name, source)
                # OIHW to OHWI; a depthwise filter is stored as [1, kh, kw, channels * multiplier].
                order = (1, 2, 3, 0) if depthwise else (0, 2, 3, 1)
                weights = np.ascontiguousarray(weights.transpose(order))
                layers.append(QuantLayer(
                    "depthwise" if depthwise else "conv", layer.name, inputs, output, layer.relu,
                    weights, scales, bias, layer.stride, layer.dilation, same=layer.same,
                    multiplier=len(layer.weight) // layer.groups,
                ))  # fmt: skip
            case Dense():
                weights, scales, bias = layer_integers(model.weighted[str(index)], layer.name, source)
                in_shape = network.shape_of(layer.inputs[0])
                if len(in_shape) == 3:  # torch flattens (C, H, W), the file's tensors are (H, W, C)
                    weights = weights.reshape(-1, *in_shape).transpose(0, 2, 3, 1).reshape(len(weights), -1)
                weights = np.ascontiguousarray(weights)
                layers.append(
                    QuantLayer("dense", layer.name, inputs, output, layer.relu, weights, scales, bias)
                )
            case Pool():
                stride, kernel, same = layer.stride, layer.kernel, layer.same
                layers.append(
                    QuantLayer(
                        layer.kind, layer.name, inputs, output, stride=stride, kernel=kernel, same=same
                    )
                )
            case Lstm():
                module: Any = model.weighted[str(index)]
                lstm = read_lstm(module, layer.name, source)
                tensors[output] = steps = _without_height(tensors[output])
                state = (1, layer.shape[0])
                tensors += [
                    Tensor(f"{layer.name}.hidden", state, steps.scale, steps.zero_point, variable=True),
                    Tensor(f"{layer.name}.cell", state, lstm.cell_scale, 0, "int16", variable=True),
                ]
                inputs += (output + 1, output + 2)
                layers.append(QuantLayer("lstm", layer.name, inputs, output, lstm=lstm))
                if not _sequence(network, index):
                    tensors.append(_tensor(f"{layer.name}.image", layer.shape, values[index + 1]))
                    made[-1] = len(tensors) - 1
                    layers.append(QuantLayer("reshape", f"{layer.name}.image", (output,), made[-1]))
            case Last():
                layers.append(QuantLayer("last", layer.name, inputs, output))
            case Add():
                layers.append(QuantLayer("add", layer.name, inputs, output, layer.relu))
    tensors.append(Tensor("probabilities", tensors[-1].shape, SOFTMAX_SCALE, SOFTMAX_ZERO_POINT))
    layers.append(QuantLayer("softmax", "softmax", (len(tensors) - 2,), len(tensors) - 1))
    return QuantGraph(tuple(tensors), tuple(layers))


def _tensor(name: str, shape: Shape, value: Any) -> Tensor:
    scale = float(value.scale)
    if not (np.isfinite(scale) and scale > 0):
        raise InnervateError(
            f"the output scale is {scale}", name, "Calibrate on windows that excite this layer"
        )
    nhwc = (1, *shape[1:], shape[0])
    return Tensor(name, nhwc, scale, 0 if value.signed else -UNSIGNED_OFFSET)


def _sequence(network: Network, index: int) -> bool:
    """Whether all that read a value take it without its height: [1, W, C] in place of [1, H, W, C]."""
    readers = [layer for layer in network.layers if index in layer.inputs]
    return any(isinstance(reader, Lstm | Last) for reader in readers) and all(
        isinstance(reader, Lstm | Last | Dense) for reader in readers
    )


def _without_height(source: Tensor, name: str = "") -> Tensor:
    return replace(source, name=name or source.name, shape=(source.shape[0], *source.shape[2:]))


def _padded(source: Tensor, name: str, padding: Padding) -> Tensor:
    top, bottom, left, right = padding
    batch, height, width, channels = source.shape
    shape = (batch, height + top + bottom, width + left + right, channels)
    return Tensor(name, shape, source.scale, source.zero_point)


def layer_integers(
    module: Any, name: str, source: Any
) -> tuple[NDArray[np.int8], NDArray[np.float32], NDArray[np.int32]]:
    """Weights, scales and bias of a Brevitas layer in torch's order, for a quantized input.

    Raises:
        InnervateError: an input could overflow the int32 accumulator.
    """
    with torch.no_grad():
        quant_weight = module.quant_weight()
        quant_bias = module.bias_quant(module.bias, source, quant_weight)
    weights = quant_weight.int().numpy().astype(np.int8)
    # In float64: float32, in which Brevitas would count, holds integers to 2^24 only.
    bias = torch.round(quant_bias.value.double() / quant_bias.scale.double()).to(torch.int64).numpy()
    # |q - zero point| <= 255 for unsigned, 128 for signed inputs.
    reach = 128 if source.signed else 255
    bound = np.abs(weights.astype(np.int64)).reshape(len(weights), -1).sum(axis=1) * reach + np.abs(bias)
    if bound.max() > INT32_MAX:
        raise InnervateError(
            f"output channel {int(bound.argmax())} can overflow its 32-bit accumulator",
            name,
            "Prune the channel, or train with weight decay so that its weights do not vanish beside its bias",
        )
    scales = quant_weight.scale.reshape(-1).numpy().astype(np.float32)
    return weights, np.broadcast_to(scales, len(weights)).copy(), bias.astype(np.int32)
