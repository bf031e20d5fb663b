"""Runs generated C that was compiled into a shared library, as `quantize.c99.build_shared` makes it.

Such a library exports `nrv_native_info` and the generated functions of a model named `model`; this is the
whole interface between the two.
"""

import ctypes
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.engines import flat_window
from edge.errors import InnervateError

# nrv_native_info: int32 {this, bytes of state, input rank, input shape ..., output rank, output shape ...}
ABI_VERSION = 1
_MAX_RANK = 8


class NativeEngine:
    """The `native` engine; bit-exact with the TFLite reference kernels.

    Every instance has its own state, so several may run side by side; one instance is for one thread.
    """

    name = "native"

    def __init__(self, library: Path) -> None:
        """Load a library.

        Raises:
            InnervateError: it is missing, not a library for this machine, or not a model of this version.
        """
        where = str(library)
        rebuild = "Build it again on this machine with innervate compile"
        if not library.is_file():
            raise InnervateError("There is no such model library", where, rebuild)
        try:
            loaded = ctypes.CDLL(str(library.resolve()))
            info = ctypes.cast(loaded.nrv_native_info, ctypes.POINTER(ctypes.c_int32))
            self._run, self._reset = loaded.model_run, loaded.model_reset
        except (OSError, AttributeError):
            raise InnervateError("Not a model library for this machine", where, rebuild) from None
        if info[0] != ABI_VERSION:
            raise InnervateError(f"Model library of version {info[0]}, not {ABI_VERSION}", where, rebuild)
        self.input_shape = self._shape(info, 2, where)
        self._output_shape = self._shape(info, 3 + len(self.input_shape), where)
        self.output_size = prod(self._output_shape)
        self._state = np.zeros(-(-info[1] // 8), np.uint64)  # 8-byte units, for alignment
        self._run.argtypes = [ctypes.c_void_p] * 3
        self._run.restype = None
        self._reset.argtypes = [ctypes.c_void_p]
        self._reset.restype = None

    @staticmethod
    def _shape(info: "ctypes._Pointer[ctypes.c_int32]", at: int, where: str) -> tuple[int, ...]:
        rank = info[at]
        if not 0 <= rank <= _MAX_RANK:
            raise InnervateError("Damaged model library", where, "Build it again with innervate compile")
        return tuple(info[at + 1 + i] for i in range(rank))

    def run(self, window: NDArray[np.int8]) -> NDArray[np.int8]:
        """Run the model on one window; see `edge.engines.Engine`."""
        values = flat_window(window, self.input_shape)
        output = np.empty(self.output_size, np.int8)
        self._reset(self._state.ctypes.data)  # windows overlap: a recurrent layer's state is of one window
        self._run(self._state.ctypes.data, values.ctypes.data, output.ctypes.data)
        return output
