"""A lowered stepwise network: what a step of it computes, with float weights in torch's layout."""

from dataclasses import dataclass

import torch
from torch import nn

from edge.errors import InnervateError
from quantize.lower import lower
from quantize.network import Conv, Dense, Network, Pool, Shape
from train.models._stepwise import Stepwise


@dataclass(frozen=True)
class StepwiseNetwork:
    """A front network on each chunk of a window, a GRU over the chunks, and a dense layer on its state.

    Attributes:
        front: from a chunk (C, 1, chunk) to features; None where a sample is its own.
        channels: of a window.
        chunk: samples of a step.
        steps: of a window.
        weight: float32 [3 * units, features], gates in torch's order reset, update, new.
        recurrent_weight: float32 [3 * units, units].
        bias: float32 [3 * units], of `weight`.
        recurrent_bias: float32 [3 * units], of `recurrent_weight`.
        head: float32 [classes, units].
        context_head: float32 [classes, context].
        head_bias: float32 [classes].
        keeps_state: whether a window goes on from the state in which the one before it ended.
    """

    front: Network | None
    channels: int
    chunk: int
    steps: int
    weight: torch.Tensor
    recurrent_weight: torch.Tensor
    bias: torch.Tensor
    recurrent_bias: torch.Tensor
    head: torch.Tensor
    context_head: torch.Tensor
    head_bias: torch.Tensor
    keeps_state: bool

    @property
    def features(self) -> int:
        """Values that the GRU reads in a step."""
        return self.weight.shape[1]

    @property
    def units(self) -> int:
        """Values of the state."""
        return self.recurrent_weight.shape[1]

    @property
    def context(self) -> int:
        """Values of the context vector, 0 for none."""
        return self.context_head.shape[1]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of a window: of all its steps, each of which gives probabilities."""
        own = (self.weight, self.recurrent_weight, self.head, self.context_head)
        step = sum(weight.numel() for weight in own) + (0 if self.front is None else self.front.macs)
        return self.steps * step

    @property
    def parameters(self) -> int:
        """Weights and biases after folding."""
        own = (
            *(self.weight, self.recurrent_weight, self.bias, self.recurrent_bias),
            *(self.head, self.context_head, self.head_bias),
        )
        front = 0 if self.front is None else self.front.parameters
        return sum(values.numel() for values in own) + front


def lower_stepwise(model: Stepwise, input_shape: Shape, context: int = 0) -> StepwiseNetwork:
    """List what a step of `model` computes, with its weights as they are now.

    Args:
        model: network.
        input_shape: (C, 1, T) of a window.
        context: values of the context vector, 0 for none.

    Raises:
        InnervateError: a variant of the GRU, or a module of the front network, without an int8 form; or a
            window that is not a whole number of steps.
    """
    gru, channels, length = model.gru, input_shape[0], input_shape[-1]
    if gru.num_layers != 1 or gru.bidirectional or not gru.bias:
        raise InnervateError(
            "only a GRU of one layer, one direction and with biases has an int8 form here",
            "gru",
            "Use nn.GRU(features, units, batch_first=True)",
        )
    if length % model.chunk:
        raise InnervateError(
            f"a window of {length} samples is not a whole number of steps of {model.chunk}",
            "chunk",
            "Take a divisor of the window",
        )
    if model.dense.in_features != gru.hidden_size + context:
        raise InnervateError(
            f"a head of {model.dense.in_features} inputs does not fit {gru.hidden_size} units and {context} "
            "values of context",
            "dense",
            "Use nn.Linear(units + context, classes)",
        )
    weights = {name: value.detach().clone() for name, value in gru.named_parameters()}
    head = model.dense.weight.detach().clone()
    return StepwiseNetwork(
        front=_front(model, (channels, 1, model.chunk)),
        channels=channels,
        chunk=model.chunk,
        steps=length // model.chunk,
        weight=weights["weight_ih_l0"],
        recurrent_weight=weights["weight_hh_l0"],
        bias=weights["bias_ih_l0"],
        recurrent_bias=weights["bias_hh_l0"],
        head=head[:, : gru.hidden_size].contiguous(),
        context_head=head[:, gru.hidden_size :].contiguous(),
        head_bias=model.dense.bias.detach().clone(),
        keeps_state=model.keeps_state,
    )


def _front(model: Stepwise, shape: Shape) -> Network | None:
    """Lower the front network, whose features must be able to have the state's scale."""
    if isinstance(model.front, nn.Flatten) and model.chunk == 1:
        return None
    network = lower(model.front, shape)
    last = network.layers[-1]
    signed = isinstance(last, Conv | Dense) and not last.relu
    if not signed and not all(isinstance(layer, Pool) for layer in network.layers):
        raise InnervateError(
            "features that no longer have a sign cannot stand beside the state",
            f"front.{last.name}",
            "End the front network in Linear, without ReLU",
        )
    return network
