"""What can be said of generated code, and what each statement rests on."""

import re
from collections.abc import Sequence
from typing import Final

from quantize.c99.loops.proof import Assumption
from quantize.c99.object_code import ObjectCode
from quantize.c99.report import Build, Check, Layer

INT32_MAX: Final = 2**31 - 1
_LOOPS_END: Final = "every loop ends"
_LIBRARY: Final = frozenset({"memcpy", "memset", "memmove"})
# The compiler's own arithmetic, for what a processor lacks (multiplication of 64 bits on Cortex-M0).
_ARITHMETIC: Final = re.compile(r"__(aeabi|gnu_thumb1)_\w+")


def checks(layers: Sequence[Layer], build: Build | None, code: ObjectCode | None) -> list[Check]:
    """Return all that is known; `build` and `code` are None without a compiler, `code` without Arm's."""
    made = [_accumulators(layers)]
    if code is None:
        made.append(_loops_unread())
    if build is not None:
        made.append(_stack(build))
    if code is not None:
        made += _object_code(code)
    return made


def _accumulators(layers: Sequence[Layer]) -> Check:
    largest = max((layer.accumulator_bound or 0 for layer in layers), default=0)
    return Check(
        "no sum overflows 32 bits",
        "proved",
        largest <= INT32_MAX,
        f"whatever the input and the order of adding, no sum goes beyond {largest:,} of {INT32_MAX:,}",
    )


def _loops_unread() -> Check:
    return Check(
        _LOOPS_END,
        "construction",
        True,
        "kernels loop over extents in constant parameter structures and over constants",
    )


def _loops(code: ObjectCode) -> Check:
    proved = [loop for loop in code.loops if not loop.reason]
    rest = [f"{loop.function} at {loop.address:#x} ({loop.reason})" for loop in code.loops if loop.reason]
    kinds = {kind: sum(kind in loop.assumptions for loop in proved) for kind in Assumption}
    taken = [f"; {count} of them provided that {kind.value}" for kind, count in kinds.items() if count]
    evidence = f"{len(proved)} of {len(code.loops)} loops move a counter towards a fixed end on every pass"
    return Check(
        _LOOPS_END,
        "object code",
        not rest,
        evidence + "".join(taken) + (f"; not proved: {', '.join(rest)}" if rest else ""),
    )


def _stack(build: Build) -> Check:
    excluded = f", without the frames of {', '.join(build.stack_excludes)}" if build.stack_excludes else ""
    known = build.stack_bytes is not None
    return Check(
        "the stack has a known bound",
        "compiler",
        known,
        f"{build.stack_bytes:,} bytes along the deepest chain of calls{excluded}"
        if known
        else "a frame of unknown size, or a ring of calls",
    )


def _object_code(code: ObjectCode) -> list[Check]:
    ring = code.cycle
    foreign = {name for name in code.undefined if not _ARITHMETIC.fullmatch(name)}
    return [
        _loops(code),
        Check(
            "no heap, nothing of the C library but memcpy, memset and memmove",
            "object code",
            foreign <= _LIBRARY,
            f"symbols from elsewhere: {', '.join(sorted(code.undefined)) or 'none'}",
        ),
        Check(
            "no recursion",
            "object code",
            not ring,
            f"functions that call each other: {', '.join(ring)}"
            if ring
            else f"the calls of {len(code.calls)} functions form no ring",
        ),
        Check(
            "no call through a pointer",
            "object code",
            code.indirect == 0,
            f"{code.indirect} of {code.instructions:,} instructions go to an address held in a register or "
            "in memory, returns apart",
        ),
        Check(
            "no variable outside the caller's memory",
            "object code",
            code.writable_bytes == 0,
            f"{code.writable_bytes} bytes of .data and .bss",
        ),
    ]
