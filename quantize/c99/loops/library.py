"""How much stack the C library's functions take, read off the library that the compiler would link."""

import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from quantize.c99.loops.flow import find_flow
from quantize.c99.loops.states import evaluate
from quantize.c99.loops.thumb import Function, read_functions


def library_frames(prefix: str, flags: Sequence[str], names: Collection[str]) -> dict[str, int]:
    """Return the bytes of stack that functions take; those whose code does not show it are left out.

    Args:
        prefix: of compiler and binutils, `arm-none-eabi-`.
        flags: those that choose the processor, and with it the library.
        names: of functions of libc.

    Raises:
        OSError, subprocess.CalledProcessError: compiler or binutils are missing or fail.
    """

    def tool(*command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    path = tool(f"{prefix}gcc", *flags, "-print-file-name=libc.a").strip() if names else ""
    frames: dict[str, int] = {}
    if not Path(path).is_absolute():  # the compiler has no such library
        return frames
    for name in names:
        listing = tool(f"{prefix}objdump", "-dr", "--no-show-raw-insn", f"--disassemble={name}", path)
        # Of several members that define it, a program gets one: the deepest will do.
        depths = [stack_depth(f) for f in read_functions(listing) if f.name == name and f.code]
        known = [depth for depth in depths if depth is not None]
        if known and len(known) == len(depths):
            frames[name] = max(known)
    return frames


def stack_depth(function: Function) -> int | None:
    """Return how far a function moves the stack pointer down; None if it calls others or it is not clear."""
    states = evaluate(find_flow(function), function, (), {})
    return None if states.calls or states.deepest is None else -states.deepest
