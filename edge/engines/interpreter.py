"""What engines that interpret a `.tflite` file share: windows in steps, context, state fed back."""

from abc import ABC, abstractmethod
from math import prod

import numpy as np
from numpy.typing import NDArray

from edge.engines import checked_context, flat_window
from edge.model_file import read_io


class InterpreterEngine(ABC):
    """A model in some interpreter; see `edge.engines.Engine`. A subclass says how to reach its tensors.

    Args:
        model: bytes of a `.tflite` file that `edge.model_file.read_io` reads.
        keeps_state: whether state goes on from window to window.

    Raises:
        InnervateError: the file is refused.
    """

    name: str

    def __init__(self, model: bytes, keeps_state: bool) -> None:
        self._io, self.keeps_state = read_io(model), keeps_state
        self._state: list[NDArray[np.int8]] = []

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of the model's first input, as in its file."""
        return self._shape(0)

    @property
    def has_steps(self) -> bool:
        """Whether a window may be several inputs long."""
        return bool(self._io.states)

    @property
    def context_size(self) -> int:
        """Values of the context vector; 0 for none."""
        return self._io.context

    @property
    def output_size(self) -> int:
        """Number of classes."""
        return self._io.classes

    def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Run the model on a window int8 [window, channels]; outputs int8 [K].

        Raises:
            InnervateError: window or context are not int8 or have another number of values.
        """
        chunks = flat_window(window, self.input_shape, self.has_steps).reshape(-1, prod(self.input_shape))
        given = checked_context(self, context)
        if not self.keeps_state:
            self.reset()
        for chunk in chunks:
            # All inputs each time: an interpreter may use their memory for other values once they were read.
            self._feed(0, chunk)
            if self._io.context_input is not None:
                self._feed(self._io.context_input, given)
            for state, values in zip(self._io.states, self._state, strict=True):
                self._feed(state.input, values)
            self._invoke()
            self._state = [self._given(state.output) for state in self._io.states]
        return self._given(0).reshape(-1)

    def reset(self) -> None:
        """Forget all state: that of the file's variables, and that which is fed back."""
        self._forget()
        self._state = [np.full(state.size, state.zero_point, np.int8) for state in self._io.states]

    @abstractmethod
    def _shape(self, place: int) -> tuple[int, ...]:
        """Shape of the n-th input."""

    @abstractmethod
    def _feed(self, place: int, values: NDArray[np.int8]) -> None:
        """Set the n-th input."""

    @abstractmethod
    def _invoke(self) -> None:
        """Run the graph once."""

    @abstractmethod
    def _given(self, place: int) -> NDArray[np.int8]:
        """Return a copy of the n-th output."""

    @abstractmethod
    def _forget(self) -> None:
        """Reset the file's own variables."""
