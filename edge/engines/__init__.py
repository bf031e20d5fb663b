"""What runs a model: one file an engine, all with the same face."""

from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError


class Engine(Protocol):
    """One int8 model, ready to run.

    `name` says which engine and kernels; `input_shape` is the model's own, as in its file (for example
    `(1, 1, 200, 8)`); `output_size` is how many values it gives.
    """

    @property
    def name(self) -> str:
        """Engine and kernel set, for messages and reports."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The model's input shape."""
        ...

    @property
    def output_size(self) -> int:
        """Number of values a run gives."""
        ...

    def run(self, window: NDArray[np.int8]) -> NDArray[np.int8]:
        """Run the model on one window.

        Args:
            window: int8, `[window, channels]` or any shape with as many values as the model's input,
                which are taken in C order.

        Returns:
            int8 `[output_size]`, a new array.

        Raises:
            InnervateError: the window is not int8 or has another number of values.
        """
        ...


def flat_window(window: NDArray[np.int8], input_shape: tuple[int, ...]) -> NDArray[np.int8]:
    """Return a window's values in C order, checked to be what a model takes.

    Raises:
        InnervateError: not int8, or another number of values.
    """
    size = prod(input_shape)
    if window.dtype != np.int8 or window.size != size:
        raise InnervateError(
            f"A window of {window.dtype} {list(window.shape)} is no int8 input of {list(input_shape)}",
            "engine",
            "Make windows with the signal path of the same bundle",
        )
    return np.ascontiguousarray(window).reshape(-1)
