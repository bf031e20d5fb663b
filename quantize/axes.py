"""Which axis of a torch tensor is which, through permute, squeeze and their like.

A file's tensors stay NHWC whatever torch does to get at the axes nn.LSTM wants, so such operations only
rename axes. An axis is one of N (batch), C (channels), H (height, of size 1) and W (time).
"""

from collections.abc import Sequence
from typing import Any, Final

Axes = tuple[str, ...]

IMAGE: Final[Axes] = ("N", "C", "H", "W")
FLAT: Final[Axes] = ("N", "C")
SEQUENCE: Final[Axes] = ("N", "W", "C")
"""What nn.LSTM with batch_first takes and gives."""
STATE: Final[Axes] = ("H", "N", "C")
"""What nn.LSTM gives as its last hidden state: the first axis counts layers and is 1."""


def after_view(operation: str, arguments: Sequence[Any], axes: Axes, sizes: Sequence[int]) -> Axes | None:
    """Axes after an operation that moves, drops or adds axes but keeps every value.

    Args:
        operation: name of a torch function or method.
        arguments: all but the tensor.
        axes: before it.
        sizes: extents of the tensor before it.

    Returns:
        None where it is no such operation, or drops an axis of more than one value.
    """
    rank = len(axes)
    match operation, list(arguments):
        case "permute", [[*order]] | [*order]:
            return tuple(axes[int(axis)] for axis in order)
        case "transpose" | "swapaxes", [int(first), int(second)]:
            moved = list(axes)
            moved[first], moved[second] = moved[second], moved[first]
            return tuple(moved)
        case "squeeze", [int(axis)]:
            return _without(axes, sizes, [axis % rank])
        case "unsqueeze", [int(axis)] if "H" not in axes:
            place = axis % (rank + 1)
            return (*axes[:place], "H", *axes[place:])
        case "flatten", [int(start), *rest]:
            merged = range(start % rank, (rest[0] if rest else -1) % rank + 1)
            return _without(axes, sizes, [axis for axis in merged if axes[axis] == "H"])
        case "getitem", [index]:
            dropped = chosen(index)
            return None if dropped is None else _without(axes, sizes, list(dropped))
    return None


def chosen(index: Any) -> dict[int, int] | None:
    """Axes of which an index takes one position, with the position; None for any other index."""
    parts = index if isinstance(index, tuple) else (index,)
    if not all(isinstance(part, int) or part == slice(None) for part in parts):
        return None
    return {axis: part for axis, part in enumerate(parts) if isinstance(part, int)}


def _without(axes: Axes, sizes: Sequence[int], dropped: list[int]) -> Axes | None:
    if any(sizes[axis] != 1 for axis in dropped):
        return None
    return tuple(axis for place, axis in enumerate(axes) if place not in dropped)
