"""The fake-quantized stepwise network: a front network on each chunk, a GRU's step, and a dense layer."""

from typing import Any

import torch
from brevitas.quant_tensor import IntQuantTensor
from torch import nn

from edge.context import SCALE as CONTEXT_SCALE
from quantize.gru.module import QuantGru, dense
from quantize.gru.network import StepwiseNetwork
from quantize.kernel_rounding import addition, weighted_sum
from quantize.network import Conv, Dense
from quantize.qat import QuantNetwork
from quantize.quantizers import PERCENTILE, activation, input_activation, plain
from train.models._stepwise import chunks, saturated


class QuantStepwise(nn.Module):
    """Fake-quantized form of `network`: float windows [N, C, 1, T], context [N, F] -> logits [N, K].

    T may be any number of chunks. The context has a dense layer of its own, whose output is added to that of
    the state: so each keeps its scale.

    Args:
        network: lowered float network; its weights are copied.
        percentile: of the activations, the share that calibration does not clip, in percent.
    """

    def __init__(self, network: StepwiseNetwork, percentile: float = PERCENTILE) -> None:
        super().__init__()
        self.network = network
        self.keeps_state = network.keeps_state
        self.features_quant: Any = input_activation()
        self.front = None if network.front is None else QuantNetwork(network.front, percentile)
        if self.front is not None and isinstance(self.front.network.layers[-1], Conv | Dense):
            self.front.activations[str(len(self.front.network.layers) - 1)] = input_activation()
        self.gru = QuantGru(network, percentile)
        self.head = dense(network.head, network.head_bias)
        self.head_activation = activation(False, percentile)
        if network.context:
            self.context_quant: Any = input_activation(CONTEXT_SCALE)
            self.context_head = dense(network.context_head, torch.zeros_like(network.head_bias))
            self.context_activation = activation(False, percentile)
            self.sum_activation = activation(False, percentile)

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [N, K] of windows [N, C, 1, T] and context [N, F], from a state of zero."""
        return self.sequence(x.unsqueeze(1), context)[:, 0]

    def sequence(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Logits [N, S, K] of S windows in a row [N, S, C, 1, T], the state kept between them."""
        rows, windows = x.shape[:2]
        features = self.features(chunks(x.flatten(0, 1), self.network.chunk))
        quantized = isinstance(features, IntQuantTensor)
        steps = plain(features).reshape(rows, -1, self.network.features).transpose(0, 1)
        constants, seen = self.gru.constants(features), []
        state = steps.new_zeros(rows, self.network.units)
        for step in steps:
            seen.append(self.gru.step(step, state, constants, quantized))
            state = seen[-1]["state"]
        if not quantized:
            self.gru.calibrate(seen)
        count = len(steps) // windows
        states = torch.stack([values["state"] for values in seen[count - 1 :: count]], 1).flatten(0, 1)
        if context is not None:
            context = context.repeat_interleave(windows, dim=0)
        logits = self.logits(features.set(value=states) if quantized else states, context)[-1]
        return plain(logits).reshape(rows, windows, -1)

    def features(self, x: torch.Tensor) -> Any:
        """Features [N, features] of chunks [N, C, 1, chunk], quantized once calibrated."""
        made = x.flatten(1) if self.front is None else self.front(x)
        return self.features_quant(saturated(made))

    def logits(self, state: Any, context: torch.Tensor | None) -> tuple[Any, ...]:
        """What states [N, units] and context [N, F] come to: logits [N, K] last.

        Where there is context, what is made of the state, the quantized context and what is made of it come
        before.
        """
        said = self._dense(state, self.head, self.head_activation)
        if not self.network.context:
            return (said,)
        known = self.context_quant(context)
        beside = self._dense(known, self.context_head, self.context_activation)
        total = plain(said) + plain(beside)
        if not self.training and isinstance(said, IntQuantTensor):
            total = addition(
                said.value / said.scale,
                said.scale,
                beside.value / beside.scale,
                beside.scale,
                self.sum_activation,
            )
        return said, known, beside, self.sum_activation(total)

    def _dense(self, source: Any, module: nn.Module, quantizer: nn.Module) -> Any:
        """Output of a dense layer, but in training on the very steps of TFLite's kernel."""
        total = module(source)
        if not self.training and isinstance(source, IntQuantTensor):
            total = weighted_sum(plain(total), source, module, quantizer, twice=False)
        return quantizer(total)
