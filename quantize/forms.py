"""From a torch network to int8, whichever form it takes: one graph of a window, or a GRU's step."""

from collections.abc import Collection
from dataclasses import replace

from torch import nn

from edge.errors import InnervateError
from quantize import extract
from quantize import lower as layers
from quantize.graph import QuantGraph
from quantize.gru.network import StepwiseNetwork, lower_stepwise
from quantize.gru.step import read_step
from quantize.gru.stepwise import QuantStepwise
from quantize.network import Network, Shape
from quantize.qat import QuantNetwork
from quantize.quantizers import PERCENTILE
from quantize.wide import wide_layers, wide_values
from train.models import keeps_state
from train.models._stepwise import Stepwise

Lowered = Network | StepwiseNetwork
Quantized = QuantNetwork | QuantStepwise


def lower(model: nn.Module, input_shape: Shape, context: int = 0) -> Lowered:
    """List the layers of `model`, with its weights as they are now.

    Args:
        model: returns logits [N, K] of float windows [N, *input_shape], and of context [N, context] where it
            takes some.
        input_shape: (C, H, W).
        context: values of the context vector, 0 for none.

    Raises:
        InnervateError: a module or operation that cannot become an int8 operator, named by its path.
    """
    if isinstance(model, Stepwise):
        return lower_stepwise(model, input_shape, context)
    return replace(layers.lower(model, input_shape, context), keeps_state=keeps_state(model))


def quantized(network: Lowered, percentile: float = PERCENTILE, int16: Collection[str] = ()) -> Quantized:
    """Make the fake-quantized form, still to be calibrated.

    Args:
        network: with float weights.
        percentile: of the activations, the share that calibration does not clip, in percent.
        int16: layers whose input and output have 16 bits.

    Raises:
        InnervateError: a layer that is not there or cannot have 16 bits.
    """
    if isinstance(network, StepwiseNetwork):
        if int16:
            raise InnervateError(
                "the values of a GRU's step have 8 bits", ", ".join(int16), "Leave 16 bits out"
            )
        return QuantStepwise(network, percentile)
    return QuantNetwork(network, percentile, wide_values(network, int16))


def can_be_int16(network: Lowered) -> tuple[str, ...]:
    """Paths of the layers that `quantized` can give 16 bits."""
    return wide_layers(network) if isinstance(network, Network) else ()


def read_graph(model: Quantized) -> QuantGraph:
    """Read the integers of a calibrated form: of a window, or of a step with its state at both ends.

    Raises:
        InnervateError: a scale that is not finite and positive, or a channel that could overflow int32.
    """
    if isinstance(model, QuantStepwise):
        return read_step(model)
    return extract.read_graph(model)
