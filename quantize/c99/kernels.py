"""Kernel families: which function, parameter structure and files carry out a step."""

from dataclasses import dataclass
from pathlib import Path

from edge.errors import InnervateError

CORE = Path(__file__).parents[2] / "edge" / "core"


@dataclass(frozen=True)
class Kernel:
    """A C function, the structure of its parameters, and the files (under edge/core) that it needs."""

    function: str
    structure: str
    header: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Kernels for one sort of processor, and the flags that build them for it."""

    kernels: dict[str, Kernel]
    cflags: tuple[str, ...]


_WINDOWED = ("kernels/nrv_window.h", "kernels/nrv_clamp.h", "fixed.h")
_FLAT = ("kernels/nrv_clamp.h", "fixed.h")


def _kernel(function: str, source: str, needs: tuple[str, ...], structure: str = "") -> Kernel:
    files = (f"kernels/nrv_{source}.h", f"kernels/nrv_{source}.c", *needs)
    return Kernel(f"nrv_{function}", structure or f"nrv_{function}_t", f"nrv_{source}.h", files)


FAMILIES = {
    "generic": Family(
        {
            "add": _kernel("add", "add", _FLAT),
            "average_pool": _kernel("average_pool", "pool", _WINDOWED, "nrv_pool_t"),
            "conv2d": _kernel("conv2d", "conv2d", _WINDOWED),
            "dense": _kernel("dense", "dense", ("kernels/nrv_clamp.h",)),
            "depthwise": _kernel("depthwise", "depthwise", _WINDOWED),
            "max_pool": _kernel("max_pool", "pool", _WINDOWED, "nrv_pool_t"),
            "mean": _kernel("mean", "mean", _FLAT),
            "pad": _kernel("pad", "pad", ()),
            "softmax": _kernel("softmax", "softmax", _FLAT),
        },
        cflags=("-O2",),
    ),
}


def family(target: str) -> Family:
    """Return a target's kernels.

    Raises:
        InnervateError: there is no such target.
    """
    if target not in FAMILIES:
        raise InnervateError(f"Unknown target '{target}'", "", f"Known targets: {', '.join(FAMILIES)}")
    return FAMILIES[target]
