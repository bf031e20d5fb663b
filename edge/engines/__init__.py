"""What runs a model: one file an engine, all with the same face."""

from math import prod
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge.errors import InnervateError


class Engine(Protocol):
    """One int8 model, ready to run; one instance is for one stream.

    A model with a state that its file hands over from step to step takes a window in chunks, one after the
    other; `run` sees to that.
    """

    @property
    def name(self) -> str:
        """Engine and kernel set, for messages and reports."""
        ...

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the model's first input, as in its file: a window or a chunk, say `(1, 1, 200, 8)`."""
        ...

    @property
    def has_steps(self) -> bool:
        """Whether a window may be several inputs long."""
        ...

    @property
    def context_size(self) -> int:
        """Values of the context vector that the model takes; 0 for none."""
        ...

    @property
    def keeps_state(self) -> bool:
        """Whether state goes on from window to window until `reset`; else each window starts at rest."""
        ...

    @property
    def output_size(self) -> int:
        """Number of values a run gives."""
        ...

    def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Run the model on one window.

        Args:
            window: int8, `[window, channels]` or any shape with as many values as the model's input, or a
                multiple for a model with steps; they are taken in C order.
            context: int8 `[context_size]`; None for zeros, which stand for the mean.

        Returns:
            int8 `[output_size]`, a new array: the outputs of the last step.

        Raises:
            InnervateError: window or context are not int8 or have another number of values.
        """
        ...

    def reset(self) -> None:
        """Forget all state; comes where a stream starts or has a gap."""
        ...


def flat_window(
    window: NDArray[np.int8], input_shape: tuple[int, ...], has_steps: bool = False
) -> NDArray[np.int8]:
    """Return a window's values in C order, checked to be what a model takes: an input, or several in steps.

    Raises:
        InnervateError: not int8, or another number of values.
    """
    steps, rest = divmod(window.size, prod(input_shape))
    if window.dtype != np.int8 or rest or not (steps == 1 or (steps and has_steps)):
        raise InnervateError(
            f"A window of {window.dtype} {list(window.shape)} is no int8 input of {list(input_shape)}",
            "engine",
            "Make windows with the signal path of the same bundle",
        )
    return np.ascontiguousarray(window).reshape(-1)


def checked_context(engine: Engine, context: NDArray[np.int8] | None) -> NDArray[np.int8]:
    """Return the context int8 [F], zeros for None.

    Raises:
        InnervateError: not int8, or another number of values.
    """
    if context is None:
        return np.zeros(engine.context_size, np.int8)
    if context.dtype != np.int8 or context.size != engine.context_size:
        raise InnervateError(
            f"A context of {context.dtype} {list(context.shape)} where the model takes int8 "
            f"[{engine.context_size}]",
            "engine",
            "Make it with edge.context.quantize and the fields of the same bundle",
        )
    return np.ascontiguousarray(context).reshape(-1)
