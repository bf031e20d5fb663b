"""What compiled models take on this host, beside ai-edge-litert with XNNPACK in the same run."""

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from edge.engines.native import NativeEngine
from edge.engines.tflite import TfliteEngine
from edge.errors import InnervateError
from innervate.timing import least_us
from innervate.verbs.quantizing import read_model
from quantize.c99 import build_shared

PEER: Final = "ai-edge-litert with XNNPACK, one thread"
_MEMORY: Final = 1  # where nrv_native_info holds a model's bytes of memory


@dataclass(frozen=True)
class Row:
    """Least microseconds of one window.

    Attributes:
        model: name.
        run_us, peer_run_us: of the engines' `run`: from a window in numpy to outputs in numpy.
        invoke_us, peer_invoke_us: of the model alone, called from Python; input and output stay in place.
    """

    model: str
    run_us: float
    peer_run_us: float
    invoke_us: float
    peer_invoke_us: float

    @property
    def ratios(self) -> dict[str, float]:
        """Ours over the peer's."""
        return {"run": self.run_us / self.peer_run_us, "invoke": self.invoke_us / self.peer_invoke_us}


def rows(files: Sequence[Path]) -> list[Row]:
    """Time models on random windows; ours and the peer's calls take turns.

    Args:
        files: bundles (.nrv) or .tflite files, of one input and one output.

    Raises:
        InnervateError: a file cannot be used, no C compiler, or XNNPACK does not take the model.
    """
    return [_row(file) for file in files]


def _row(file: Path) -> Row:
    tflite = read_model(file)
    library = build_shared(tflite)
    engine, peer = NativeEngine(library), TfliteEngine(tflite, "xnnpack")
    if engine.has_steps or engine.context_size:
        raise InnervateError(
            "The model takes more than a window", str(file), "Give one without context and states"
        )
    window = np.random.default_rng(0).integers(-128, 128, engine.input_shape, np.int8)
    calls = [
        lambda: engine.run(window),
        lambda: peer.run(window),
        _invoke(library, window, engine.output_size),
        _peer_invoke(tflite, window),
    ]
    return Row(file.stem, *least_us(calls))


def _invoke(library: Path, window: NDArray[np.int8], outputs: int) -> Callable[[], None]:
    """Return a call of the library's own function, all of whose arguments are ready."""
    loaded = ctypes.CDLL(str(library))
    size = ctypes.cast(loaded.nrv_native_info, ctypes.POINTER(ctypes.c_int32))[_MEMORY]
    arrays = np.zeros(size // 8 + 1, np.uint64), window, np.zeros(outputs, np.int8)
    places = [array.ctypes.data_as(ctypes.c_void_p) for array in arrays]  # which keep their arrays
    loaded.model_reset(places[0])
    loaded.model_run.restype = None
    return partial(loaded.model_run, *places)


def _peer_invoke(tflite: bytes, window: NDArray[np.int8]) -> Callable[[], None]:
    interpreter = Interpreter(model_content=tflite, num_threads=1)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], window)
    invoke: Callable[[], None] = interpreter.invoke
    return invoke
