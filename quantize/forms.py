"""From a torch network to int8, whichever form it takes: one graph of a window, or a GRU's step."""

from torch import nn

from quantize import extract
from quantize import lower as layers
from quantize.graph import QuantGraph
from quantize.gru.network import StepwiseNetwork, lower_stepwise
from quantize.gru.step import read_step
from quantize.gru.stepwise import QuantStepwise
from quantize.network import Network, Shape
from quantize.qat import QuantNetwork
from quantize.quantizers import PERCENTILE
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
    return layers.lower(model, input_shape, context)


def quantized(network: Lowered, percentile: float = PERCENTILE) -> Quantized:
    """Make the fake-quantized form, still to be calibrated."""
    if isinstance(network, StepwiseNetwork):
        return QuantStepwise(network, percentile)
    return QuantNetwork(network, percentile)


def read_graph(model: Quantized) -> QuantGraph:
    """Read the integers of a calibrated form: of a window, or of a step with its state at both ends.

    Raises:
        InnervateError: a scale that is not finite and positive, or a channel that could overflow int32.
    """
    if isinstance(model, QuantStepwise):
        return read_step(model)
    return extract.read_graph(model)
