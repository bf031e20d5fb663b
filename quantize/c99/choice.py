"""Ways of compiling a model for a target, and which of them keeps given limits."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edge.errors import InnervateError
from quantize.c99.emitter import emit
from quantize.c99.kernels import WAYS
from quantize.c99.report import Report

UNITS: Final = {
    "flash": "bytes of flash",
    "arena": "bytes of arena",
    "instructions": "instructions a call",
}
"""What can be limited, for messages."""


@dataclass(frozen=True)
class Limits:
    """The most that a model may take; None for no limit.

    Attributes:
        flash: bytes of constants and code.
        arena: bytes.
        instructions: of one call, counted in the emulator.
    """

    flash: int | None = None
    arena: int | None = None
    instructions: int | None = None

    @property
    def given(self) -> dict[str, int]:
        """Those that are no None."""
        return {name: limit for name in UNITS if (limit := getattr(self, name)) is not None}

    def excess(self, taken: Mapping[str, int]) -> float:
        """Return the largest ratio of what is taken to its limit: 1 and less keeps all."""
        return max((taken[name] / limit for name, limit in self.given.items()), default=0.0)


def emit_within(
    tflite: bytes,
    name: str,
    out: Path,
    limits: Limits,
    target: str = "generic",
    optimize: str | None = None,
    where: str = "",
    measure: bool = False,
    page: Callable[[Report], str] | None = None,
    hop: int | None = None,
) -> Report:
    """Compile a model in the first of `WAYS` that keeps all limits, or in the one that `optimize` names.

    The other arguments are those of `quantize.c99.emitter.emit`.

    Raises:
        InnervateError: no way keeps the limits: the message says what each takes; or as `emit`.
    """
    ways = tuple(WAYS) if optimize is None else (optimize,)
    taken: dict[str, dict[str, int]] = {}
    for way in ways:
        if limits.given:
            taken[way] = _taken(tflite, name, limits, target, way, where, hop)
        if not limits.given or limits.excess(taken[way]) <= 1:
            return emit(tflite, name, out, target, where, measure, page, way, hop)
    nearest = min(taken, key=lambda way: limits.excess(taken[way]))
    raise InnervateError(
        f"{_listed(limits.given)} cannot be kept: "
        + "; ".join(f"{way} takes {_listed(taken[way])}" for way in ways),
        where or f"{name}.tflite",
        f"Allow what {nearest} takes, or prune: innervate quantize RUN "
        + " ".join(f"--max-{what} {limit}" for what, limit in limits.given.items()),
    )


def _taken(
    tflite: bytes, name: str, limits: Limits, target: str, way: str, where: str, hop: int | None
) -> dict[str, int]:
    """Measure what is limited."""
    with tempfile.TemporaryDirectory() as temporary:
        counted = limits.instructions is not None
        report = emit(tflite, name, Path(temporary) / "c", target, where, counted, None, way, hop)
    found = {
        "flash": report.flash_bytes,
        "arena": report.arena_bytes,
        "instructions": report.emulated.instructions if report.emulated else None,
    }
    if limits.flash is not None and report.flash_bytes is None:
        what = "the size of the code cannot be measured without a compiler"
        raise InnervateError(what, "flash", "Install gcc-arm-none-eabi")
    return {what: size for what in limits.given if (size := found[what]) is not None}


def _listed(amounts: Mapping[str, int]) -> str:
    return " and ".join(f"{amount:,} {UNITS[what]}" for what, amount in amounts.items())
