"""From a torch network to int8, whichever form it takes: one graph of a window, or a GRU's step."""

from torch import nn

from quantize import extract
from quantize import lower as layers
from quantize.graph import QuantGraph
from quantize.network import Network, Shape
from quantize.qat import QuantNetwork
from quantize.quantizers import PERCENTILE


def lower(model: nn.Module, input_shape: Shape, context: int = 0) -> Network:
    """List the layers of `model`, with its weights as they are now.

    Args:
        model: returns logits [N, K] of float windows [N, *input_shape], and of context [N, context] where it
            takes some.
        input_shape: (C, H, W).
        context: values of the context vector, 0 for none.

    Raises:
        InnervateError: a module or operation that cannot become an int8 operator, named by its path.
    """
    return layers.lower(model, input_shape, context)


def quantized(network: Network, percentile: float = PERCENTILE) -> QuantNetwork:
    """Make the fake-quantized form, still to be calibrated."""
    return QuantNetwork(network, percentile)


def read_graph(model: QuantNetwork) -> QuantGraph:
    """Read the integers of a calibrated form.

    Raises:
        InnervateError: a scale that is not finite and positive, or a channel that could overflow int32.
    """
    return extract.read_graph(model)
