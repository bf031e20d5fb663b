"""Runs generated C that was compiled into a shared library, as `quantize.c99.build_shared` makes it.

Such a library exports `nrv_native_info` and the generated functions of a model named `model`, of which
`model_push` is called where it takes steps, or hops of windows that overlap, and else `model_run`; this is
the whole interface between the two.
"""

import ctypes
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge.engines import checked_context, flat_window
from edge.errors import InnervateError

# nrv_native_info: int32 {this, bytes of memory, 1 for steps, values of the context, values of a hop or 0,
# input rank, input shape ..., output rank, output shape ...}
ABI_VERSION = 3
_MAX_RANK = 8


class NativeEngine:
    """The `native` engine; bit-exact with the TFLite reference kernels.

    Every instance has its own state, so several may run side by side; one instance is for one thread.

    Args:
        library: as `quantize.c99.build_shared` makes it.
        keeps_state: whether state goes on from window to window.

    Attributes:
        hop_size: values that a window is expected to add to the one before; 0: each is run whole.

    Raises:
        InnervateError: it is missing, not a library for this machine, or not a model of this version.
    """

    name = "native"

    def __init__(self, library: Path, keeps_state: bool = False) -> None:
        where = str(library)
        rebuild = "Build it again on this machine with innervate compile"
        if not library.is_file():
            raise InnervateError("There is no such model library", where, rebuild)
        try:
            loaded = ctypes.CDLL(str(library.resolve()))
            info = ctypes.cast(loaded.nrv_native_info, ctypes.POINTER(ctypes.c_int32))
            self._reset = loaded.model_reset
            known = info[0] == ABI_VERSION
            self._run = loaded.model_push if known and info[2] else loaded.model_run
            self._push = loaded.model_push if known and info[4] else self._run
        except (OSError, AttributeError):
            raise InnervateError("Not a model library for this machine", where, rebuild) from None
        if info[0] != ABI_VERSION:
            raise InnervateError(f"Model library of version {info[0]}, not {ABI_VERSION}", where, rebuild)
        self.has_steps, self.context_size, self.keeps_state = bool(info[2]), info[3], keeps_state
        self.hop_size = info[4]
        self.input_shape = self._shape(info, 5, where)
        self.output_size = prod(self._shape(info, 6 + len(self.input_shape), where))
        self._has_last = False  # whether the input is the last window of a stream
        # Arrays of its own, whose addresses are asked for once: asking takes as long as a small model does.
        self._state = np.zeros(-(-info[1] // 8), np.uint64)  # 8-byte units, for alignment
        self._input = np.zeros(prod(self.input_shape), np.int8)
        self._output = np.zeros(self.output_size, np.int8)
        self._state_at, self._input_at, self._output_at = (
            array.ctypes.data for array in (self._state, self._input, self._output)
        )
        for function in (self._run, self._push):
            function.argtypes = [ctypes.c_void_p] * (4 if self.context_size else 3)
            function.restype = None
        self._reset.argtypes = [ctypes.c_void_p]
        self._reset.restype = None
        self.reset()

    @staticmethod
    def _shape(info: "ctypes._Pointer[ctypes.c_int32]", at: int, where: str) -> tuple[int, ...]:
        rank = info[at]
        if not 0 <= rank <= _MAX_RANK:
            raise InnervateError("Damaged model library", where, "Build it again with innervate compile")
        return tuple(info[at + 1 + i] for i in range(rank))

    def run(self, window: NDArray[np.int8], context: NDArray[np.int8] | None = None) -> NDArray[np.int8]:
        """Run the model on one window; see `edge.engines.Engine`."""
        whole = window.size == self._input.size and window.dtype == np.int8
        chunks = (
            (window.reshape(-1),)
            if whole
            else flat_window(window, self.input_shape, self.has_steps).reshape(-1, self._input.size)
        )
        given = checked_context(self, context) if self.context_size or context is not None else None
        fed = () if given is None or not self.context_size else (given.ctypes.data,)
        if self.hop_size:
            self._run_streamed(chunks[0], *fed)
            return self._output.copy()
        if not self.keeps_state:
            self._reset(self._state_at)
        for chunk in chunks:
            self._input[:] = chunk
            self._run(self._state_at, self._input_at, *fed, self._output_at)
        return self._output.copy()

    def _run_streamed(self, window: NDArray[np.int8], *fed: int) -> None:
        """Compute what a window adds to the last one, or all where it does not follow that."""
        start, hop = 0, self.hop_size
        if self._has_last and np.array_equal(window[:-hop], self._input[hop:]):
            start = window.size - hop
        self._input[:] = window
        function = self._push if start else self._run
        function(self._state_at, self._input_at + start, *fed, self._output_at)
        self._has_last = True

    def reset(self) -> None:
        """Forget all state."""
        self._has_last = False
        self._reset(self._state_at)
