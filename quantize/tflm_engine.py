"""Runs a `.tflite` model on TensorFlow Lite Micro: the package `tflite-micro` with its reference kernels."""

import importlib.util
from math import prod
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.engines import checked_context, flat_window
from edge.errors import InnervateError
from edge.model_file import read_io

_FIRST_ARENA: Final = 1 << 20
_LARGEST_ARENA: Final = 1 << 26
"""Bytes, both."""


class TflmEngine:
    """An int8 model in TensorFlow Lite Micro's interpreter; see `edge.engines.Engine`.

    Args:
        model: bytes of a `.tflite` file.
        keeps_state: whether state goes on from window to window.

    Raises:
        InnervateError: the package is missing, or refuses the model.
    """

    name = "tflm"

    def __init__(self, model: bytes, keeps_state: bool = False) -> None:
        if importlib.util.find_spec("tflite_micro") is None:
            raise InnervateError("not installed", "tflite-micro", "pip install --pre 'innervate[tflm]'")
        self._io, self.keeps_state = read_io(model), keeps_state
        self.context_size, self.output_size = self._io.context, self._io.classes
        self.has_steps = bool(self._io.states)
        self._interpreter = _interpreter(model)
        self.input_shape = self._shape(0)
        self._state: list[NDArray[np.int8]] = []
        self.reset()

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
            # All inputs each time: their memory is used for other values once they have been read.
            self._feed(0, chunk)
            if self._io.context_input is not None:
                self._feed(self._io.context_input, given)
            for state, values in zip(self._io.states, self._state, strict=True):
                self._feed(state.input, values)
            self._interpreter.invoke()
            self._state = [self._interpreter.get_output(state.output) for state in self._io.states]
        output: NDArray[np.int8] = self._interpreter.get_output(0).reshape(-1)
        return output

    def reset(self) -> None:
        """Forget all state: that of the file's variables, and that which is fed back."""
        self._interpreter.reset()
        self._state = [np.full(state.size, state.zero_point, np.int8) for state in self._io.states]

    def _shape(self, place: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._interpreter.get_input_details(place)["shape"])

    def _feed(self, place: int, values: NDArray[np.int8]) -> None:
        self._interpreter.set_input(values.reshape(self._shape(place)), place)


def _interpreter(model: bytes) -> Any:
    """Interpreter with as much memory as the model needs, from a MiB."""
    from tflite_micro import runtime

    arena = _FIRST_ARENA
    while True:
        try:
            return runtime.Interpreter.from_bytes(model, arena_size=arena)
        except RuntimeError as error:
            if arena >= _LARGEST_ARENA:
                raise InnervateError(
                    f"TensorFlow Lite Micro refuses the model: {str(error).strip().splitlines()[0]}",
                    "tflite-micro",
                    "`innervate inspect FILE --target tflm` names the operator",
                ) from error
            arena *= 8
