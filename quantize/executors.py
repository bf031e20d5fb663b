"""All that can run a quantized model here: their names, versions and engines."""

import subprocess
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from edge.engines import Engine
from edge.engines.native import NativeEngine
from edge.engines.tflite import Kernels, TfliteEngine
from edge.errors import InnervateError
from quantize.c99 import build_shared
from quantize.c99.shared import find_compiler
from quantize.tflm_engine import TflmEngine

FLOAT: Final = "float"
FAKE: Final = "fake-quantized"
GENERATED: Final = "generated c"
TFLM: Final = "tflm"
REFERENCE: Final = ("ai-edge-litert reference", "tflite-runtime reference")
"""What defines the truth: the first of these that runs."""
_KERNELS: Final[dict[str, tuple[Kernels, ...]]] = {
    # tflite-runtime's wheels leave XNNPACK out for int8
    "tflite-runtime": ("reference", "optimised"),
    "ai-edge-litert": ("reference", "optimised", "xnnpack"),
}
_PACKAGES: Final = {FLOAT: "torch", FAKE: "brevitas", TFLM: "tflite-micro"}


def executors(tflite: bytes, keeps_state: bool = False) -> dict[str, Callable[[], Engine]]:
    """Name -> what makes its engine for a file; the making raises InnervateError where it cannot run.

    Args:
        tflite: the file.
        keeps_state: whether its state goes on from window to window.
    """

    def interpreter(package: str, kernels: Kernels) -> Callable[[], Engine]:
        module = package.replace("-", "_")
        return lambda: TfliteEngine(tflite, kernels, module, keeps_state=keeps_state)

    return {
        **{
            f"{package} {kernels}": interpreter(package, kernels)
            for package, sets in _KERNELS.items()
            for kernels in sets
        },
        TFLM: lambda: TflmEngine(tflite, keeps_state),
        GENERATED: lambda: NativeEngine(build_shared(tflite), keeps_state),
    }


def version_of(name: str) -> str:
    """Version of an executor's package, of the compiler of generated C; empty: not installed."""
    if name == GENERATED:
        return _compiler()
    try:
        return version(_PACKAGES.get(name, name.split()[0]))
    except PackageNotFoundError:
        return ""


def _compiler() -> str:
    try:
        command = [find_compiler(), "--version"]
    except InnervateError:
        return ""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.partition("\n")[0]
