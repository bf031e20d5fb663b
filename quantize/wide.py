"""Which activations have 16 bits where a layer is asked to: its output and what it reads.

TFLite has kernels of 16-bit activations and 8-bit weights for convolutions, dense layers, sums and what only
moves values. An operator has 16 bits at both ends, so one that reads or gives a 16-bit value runs in them;
values of 8 bits that it reads are widened, which is exact, and what it gives in 8 bits is rounded afterwards.
The window, the context and the logits keep 8 bits.
"""

from collections.abc import Collection, Iterable

from edge.errors import InnervateError
from quantize.network import Add, Conv, Dense, Last, Network, Pool, Reshape


def wide_values(network: Network, names: Collection[str]) -> frozenset[int]:
    """Indices of the layers whose output has 16 bits where those of `names` have them at both ends.

    Raises:
        InnervateError: a layer that is not there, or that has nothing which could have 16 bits.
    """
    can = wide_layers(network)
    for name in names:
        if name not in can:
            raise InnervateError(
                "no such layer that could have 16-bit activations", name, f"Choose from {', '.join(can)}"
            )
    return frozenset(
        value
        for index, layer in enumerate(network.layers)
        if layer.name in names
        for value in _values(network, index)
    )


def wide_layers(network: Network) -> tuple[str, ...]:
    """Paths of the layers of which the input or the output can have 16 bits."""
    return tuple(layer.name for index, layer in enumerate(network.layers) if _values(network, index))


def is_wide(network: Network, wide: frozenset[int], index: int) -> bool:
    """Whether a layer reads or gives a value of 16 bits."""
    layer = network.layers[index]
    read = [_origin(network, source) for source in layer.inputs]
    return isinstance(layer, Conv | Dense | Add) and not wide.isdisjoint([index, *read])


def _values(network: Network, index: int) -> frozenset[int]:
    """Layers whose output gets 16 bits for the sake of a layer: itself, and those it reads from."""
    origins = (_origin(network, source) for source in network.layers[index].inputs)
    return frozenset(value for value in (index, *origins) if _can_be_wide(network, value))


def _can_be_wide(network: Network, index: int) -> bool:
    """Whether operators that have 16 bits give a value and read it; logits, which have no readers, do not."""
    if index < 0 or not isinstance(network.layers[index], Conv | Dense | Add):
        return False
    readers = list(_readers(network, index))
    return bool(readers) and all(isinstance(network.layers[reader], Conv | Dense | Add) for reader in readers)


def _origin(network: Network, index: int) -> int:
    """Layer that computed a value, those left out that only move or choose among values."""
    while index >= 0 and isinstance(network.layers[index], Pool | Reshape | Last):
        index = network.layers[index].inputs[0]
    return index


def _readers(network: Network, index: int) -> Iterable[int]:
    """Layers that compute with a value, those left out that only move or choose among values."""
    for reader, layer in enumerate(network.layers):
        if index in layer.inputs:
            if isinstance(layer, Pool | Reshape | Last):
                yield from _readers(network, reader)
            else:
                yield reader
