"""What a network takes on a target, measured on the C that its int8 file compiles to."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec
import torch
from torch import nn

from edge.errors import InnervateError
from edge.model_file import read_io
from quantize.c99.bench import measure
from quantize.c99.emitter import emit
from quantize.c99.profile import BOARDS
from quantize.calibrate import calibrate
from quantize.forms import lower, quantized, read_graph
from quantize.tflite_writer import write


class Footprint(msgspec.Struct, frozen=True):
    """What one window takes; None where it was not asked for.

    Attributes:
        macs: multiply-accumulates.
        flash: bytes of constants and code.
        arena: bytes of memory between layers.
        instructions: counted by the emulator.
    """

    macs: int | None = None
    flash: int | None = None
    arena: int | None = None
    instructions: int | None = None


UNITS: Final = {
    "macs": "multiply-accumulates",
    "flash": "bytes of flash",
    "arena": "bytes of arena",
    "instructions": "instructions",
}
"""What is counted, for messages."""


class Budget(msgspec.Struct, frozen=True):
    """The most that one window may take; None for no limit.

    Attributes:
        macs: multiply-accumulates.
        flash: bytes of constants and code.
        arena: bytes of memory between layers.
        instructions: counted by the emulator.
        target: processor of the generated C.
    """

    macs: int | None = None
    flash: int | None = None
    arena: int | None = None
    instructions: int | None = None
    target: str = "cortex-m4"

    @property
    def limits(self) -> dict[str, int]:
        """Limits that there are, by their names."""
        return {name: limit for name in UNITS if (limit := getattr(self, name)) is not None}

    def excess(self, footprint: Footprint) -> float:
        """The largest part of a limit that is used; more than 1 is too much."""
        used = [float(getattr(footprint, name)) / limit for name, limit in self.limits.items()]
        return max(used, default=0.0)


def rough_cost(
    shape: Sequence[int], context: int, budget: Budget, whole: nn.Module
) -> Callable[[nn.Module], float]:
    """Return what tells without compiling how much of a budget a network saves, as shares of the whole one.

    Flash goes with the parameters, all else with the multiply-accumulates.

    Args:
        shape: (C, H, W) of a window.
        context: values of the context vector.
        budget: says what is limited.
        whole: the network before pruning.
    """
    full = lower(whole, tuple(shape), context)

    def cost(model: nn.Module) -> float:
        network = lower(model, tuple(shape), context)
        shares = []
        if "flash" in budget.limits:
            shares.append(network.parameters / full.parameters)
        if budget.limits.keys() != {"flash"}:
            shares.append(network.macs / full.macs)
        return sum(shares)

    return cost


def footprint(
    model: nn.Module, windows: torch.Tensor, budget: Budget, context: torch.Tensor | None = None
) -> Footprint:
    """Measure of a float network what `budget` limits: of its int8 file, calibrated but not trained.

    Args:
        model: a network that has an int8 form.
        windows: float32 [N, C, H, W] to calibrate with; some dozens, since sizes depend on shapes alone.
        budget: says what, and on which target.
        context: float32 [N, F] for a model that takes a context vector.

    Raises:
        InnervateError: no int8 form, or a compiler or emulator that is needed is missing.
    """
    network = lower(model, tuple(windows.shape[1:]), 0 if context is None else context.shape[1])
    if budget.limits.keys() <= {"macs"}:
        return Footprint(macs=network.macs)
    trial = quantized(network)
    calibrate(trial, windows, context)
    return file_footprint(write(read_graph(trial)), windows.shape[3], budget)


def file_footprint(tflite: bytes, window: int, budget: Budget) -> Footprint:
    """Measure of an int8 file what `budget` limits.

    Args:
        tflite: the file's bytes.
        window: samples; a file of one step is run as often as they take.
        budget: says what, and on which target.

    Raises:
        InnervateError: the compiler does not take the file, or a compiler or emulator is missing.
    """
    steps = read_io(tflite).steps(window)
    with tempfile.TemporaryDirectory() as temporary:
        if budget.instructions is not None:
            if budget.target not in BOARDS:
                raise InnervateError(
                    f"no emulator counts instructions of {budget.target}",
                    "budget",
                    f"Choose one of {', '.join(BOARDS)}, or limit multiply-accumulates",
                )
            file = Path(temporary) / "model.tflite"
            file.write_bytes(tflite)
            counted = measure(file, BOARDS[budget.target], budget.target)
            flash = counted.code_bytes + counted.constant_bytes
            return Footprint(counted.macs * steps, flash, counted.arena_bytes, counted.instructions * steps)
        report = emit(tflite, "model", Path(temporary) / "c", budget.target)
    if budget.flash is not None and report.flash_bytes is None:
        raise InnervateError(
            "the size of the code cannot be measured without a compiler",
            "budget",
            "Install gcc-arm-none-eabi",
        )
    return Footprint(report.macs * steps, report.flash_bytes, report.arena_bytes)


def check_file(tflite: bytes, window: int, budget: Budget) -> Footprint:
    """Measure a finished file.

    Raises:
        InnervateError: it exceeds the budget, which a file made of the same shapes kept.
    """
    taken = file_footprint(tflite, window, budget)
    if budget.excess(taken) > 1:
        raise InnervateError(
            f"the trained model takes {shortfall(budget, taken)}, unlike the untrained one that was measured",
            "budget",
            "Allow a little less, so that more is removed",
        )
    return taken


def shortfall(budget: Budget, taken: Footprint) -> str:
    """Say what exceeds a budget: `5,000 instructions of 4,000`."""
    return " and ".join(
        f"{getattr(taken, name):,} {UNITS[name]} of {limit:,}"
        for name, limit in budget.limits.items()
        if getattr(taken, name) > limit
    )
