"""Runs a `.tflite` model on TensorFlow Lite Micro: the package `tflite-micro` with its reference kernels."""

import importlib.util
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.engines.interpreter import InterpreterEngine
from edge.errors import InnervateError

_FIRST_ARENA: Final = 1 << 20
_LARGEST_ARENA: Final = 1 << 26
"""Bytes, both."""


class TflmEngine(InterpreterEngine):
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
        super().__init__(model, keeps_state)
        self._interpreter = _interpreter(model)
        self.reset()

    def _shape(self, place: int) -> tuple[int, ...]:
        return tuple(int(size) for size in self._interpreter.get_input_details(place)["shape"])

    def _feed(self, place: int, values: NDArray[np.int8]) -> None:
        self._interpreter.set_input(values.reshape(self._shape(place)), place)

    def _invoke(self) -> None:
        self._interpreter.invoke()

    def _given(self, place: int) -> NDArray[np.int8]:
        output: NDArray[np.int8] = self._interpreter.get_output(place)
        return output

    def _forget(self) -> None:
        self._interpreter.reset()


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
