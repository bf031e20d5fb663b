"""Where jumps go whose address a function works out itself and keeps on the stack."""

from quantize.c99.loops.flow import Flow
from quantize.c99.loops.states import States
from quantize.c99.loops.thumb import Function, is_computed
from quantize.c99.loops.values import Value, signed

_MOST = 64  # targets of one jump


def jump_targets(function: Function, flow: Flow, states: States) -> dict[int, frozenset[int]]:
    """Return the targets of each `ldr pc, [...]`, by its address; those that are not known are left out.

    They are known where the word loaded is an address in the function, or one of several, plus or minus a
    multiple of what a mask keeps small.
    """
    own = {step.address for step in function.code}
    found: dict[int, frozenset[int]] = {}
    for block in flow.order:
        step = flow.blocks[block].code[-1]
        if step.name == "ldr" and is_computed(step):
            held = states.jumps.get((block, step.address))
            targets = _addresses(states, held) if isinstance(held, Value) else None
            if targets and targets <= own:
                found[step.address] = found.get(step.address, frozenset()) | targets
    return found


def _addresses(states: States, value: Value) -> frozenset[int] | None:
    """Return all that a value may be, as addresses of instructions; None if that is not known."""
    every = states.unknowns.all
    if len(value.terms) == 1 and value.terms[0][1] == 1 and not value.constant:
        kind, _, _, arguments = every[value.terms[0][0]]
        if kind == "orr" and arguments[1] == Value(1):  # Thumb
            return _addresses(states, arguments[0])
        if kind == "other" and arguments:
            ways = [_addresses(states, way) for way in arguments]
            return None if None in ways else frozenset().union(*(way for way in ways if way is not None))
    sums, based = {signed(value.constant)}, False
    for number, times in value.terms:
        kind, _, place, arguments = every[number]
        if (kind, place, times) == ("start", "pc", 1):
            based = True
        elif kind == "and" and not arguments[1].terms and arguments[1].constant < _MOST:
            sums = {s + signed(times) * i for s in sums for i in range(arguments[1].constant + 1)}
        else:
            return None
    return frozenset(s & ~1 for s in sums) if based and len(sums) <= _MOST else None
