"""What quantization costs layer by layer: ratios of signal to quantization noise on calibration windows.

A ratio is 10 log10(sum float^2 / sum (float - quantized)^2). Of each layer there are two: at its own output
with all before it quantized too, against the network as it was trained; and at the logits with this layer
alone quantized, all others computing with the same weights in float. The second says which layer hurts.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import torch
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from quantize.calibrate import in_float
from quantize.gru.stepwise import QuantStepwise
from quantize.network import CONTEXT, INPUT
from quantize.qat import QuantNetwork
from quantize.quantizers import plain, with_value
from train.models._stepwise import chunks, saturated

NO_SIGNAL: Final = 1e-20
"""Ratio where there is error but no signal: -200 dB."""


class LayerNoise(msgspec.Struct, frozen=True):
    """Ratios of one layer, dB; None where there is no error at all.

    Attributes:
        layer: its path in the torch module.
        output_db: of its output, all layers up to it quantized.
        alone_db: of the logits, this layer alone quantized.
    """

    layer: str
    output_db: float | None
    alone_db: float | None


class Noise(msgspec.Struct, frozen=True):
    """All layers.

    Attributes:
        windows: calibration windows they were measured on.
        layers: in the order they run; the last is that of the logits.
    """

    windows: int
    layers: tuple[LayerNoise, ...]

    @property
    def ranked(self) -> tuple[LayerNoise, ...]:
        """The layers by what they do to the logits, the one that hurts most first."""
        return tuple(sorted(self.layers, key=lambda one: math.inf if one.alone_db is None else one.alone_db))


@dataclass(frozen=True)
class _Stage:
    """A layer as a function of values that are quantized or all in float; `inputs` are indices of stages."""

    name: str
    inputs: tuple[int, ...]
    run: Callable[[list[Any]], Any]


def measure_noise(
    trained: nn.Module, quantized: nn.Module, windows: torch.Tensor, context: torch.Tensor | None = None
) -> Noise:
    """Measure the noise of every layer.

    Args:
        trained: quantized form of the float network, not calibrated: the weights as they were trained.
        quantized: the same calibrated, and trained on where it was.
        windows: float32 [N, C, H, W].
        context: float32 [N, F] for a model that takes a context vector.
    """
    unrounded = copy.deepcopy(quantized)
    quantized.eval()
    with torch.no_grad(), in_float(trained), in_float(unrounded):
        wanted = _values(_stages(trained), _inputs(trained, windows, context))
        stages, exact = _stages(quantized), _stages(unrounded)
        free_stages = _stages(quantized, kernels=False)  # of inputs that are not rounded
        rounded = _values(stages, _inputs(quantized, windows, context))
        free = _values(exact, _inputs(unrounded, windows, context))
        layers = []
        for index, stage in enumerate(stages):
            # In the layer's own inputs there is no rounding yet, they only have a scale.
            sources = [with_value(rounded[source], free[source]) for source in stage.inputs]
            alone = _values(exact, free, index, plain(free_stages[index].run(sources)))
            layers.append(
                LayerNoise(
                    stage.name,
                    _ratio_db(wanted[index], plain(rounded[index])),
                    _ratio_db(free[len(stages) - 1], alone[len(stages) - 1]),
                )
            )
    return Noise(len(windows), tuple(layers))


def _values(
    stages: Sequence[_Stage], given: Mapping[int, Any], start: int = -1, value: Any = None
) -> dict[int, Any]:
    """Values of all stages; from stage `start`, where there is one, only what depends on its new value."""
    values = dict(given)
    changed = set() if start < 0 else {start}
    if start >= 0:
        values[start] = value
    for index, stage in enumerate(stages[start + 1 :], start + 1):
        if start < 0 or changed.intersection(stage.inputs):
            values[index] = stage.run([values[source] for source in stage.inputs])
            changed.add(index)
    return values


def _ratio_db(exact: torch.Tensor, rounded: torch.Tensor) -> float | None:
    error = float((exact.double() - rounded.double()).square().sum())
    signal = float(exact.double().square().sum())
    if not error:
        return None
    return 10 * math.log10(max(signal, NO_SIGNAL * error) / error)


def _inputs(model: Any, windows: torch.Tensor, context: torch.Tensor | None) -> dict[int, Any]:
    """The quantized inputs, by the index that stages use for them."""
    if isinstance(model, QuantStepwise):
        shaped = chunks(windows, model.network.chunk)
        values = {INPUT: shaped if model.front is None else model.front.input_quant(shaped)}
    else:
        values = {INPUT: model.input_quant(windows)}
    if context is not None:
        values[CONTEXT] = model.context_quant(context)
    return values


def _stages(model: Any, kernels: bool = True) -> list[_Stage]:
    """The layers of a quantized form as functions of each other's values."""
    if isinstance(model, QuantNetwork):
        return _layers(model, "", kernels)
    return _steps(model, kernels)


def _layers(model: QuantNetwork, prefix: str, kernels: bool) -> list[_Stage]:
    def stage(index: int) -> _Stage:
        layer = model.network.layers[index]
        return _Stage(
            prefix + layer.name, layer.inputs, lambda sources: model.run_layer(index, sources, kernels)
        )

    return [stage(index) for index in range(len(model.network.layers))]


def _steps(model: QuantStepwise, kernels: bool) -> list[_Stage]:
    """Layers of the front network, the GRU through all steps, and the head on the last state."""
    stages = [] if model.front is None else _layers(model.front, "front.", kernels)
    front = len(stages) - 1  # INPUT where there is no front network
    known = (CONTEXT,) if model.network.context else ()

    def states(sources: list[Any]) -> Any:
        features = model.features_quant(saturated(plain(sources[0]).flatten(1)))
        steps = plain(features).reshape(-1, model.network.steps, model.network.features).transpose(0, 1)
        constants = model.gru.constants(features)
        state = steps.new_zeros(steps.shape[1], model.network.units)
        for step in steps:
            state = model.gru.step(step, state, constants, isinstance(features, IntQuantTensor))["state"]
        return with_value(features, state)

    def head(sources: list[Any]) -> Any:
        if not known:
            return model.logits(sources[0], None)[-1]
        state, told = sources[0], plain(sources[1])
        windows = len(plain(state)) // len(told)  # in a row, where the state goes on from one to the next
        return model.logits(state, told.repeat_interleave(windows, dim=0))[-1]

    return [*stages, _Stage("gru", (front,), states), _Stage("head", (front + 1, *known), head)]
