"""All loops of a program's objects, and the calls between their functions."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from quantize.c99.loops.flow import find_flow
from quantize.c99.loops.jumps import jump_targets
from quantize.c99.loops.names import registers_written
from quantize.c99.loops.proof import Loop, prove
from quantize.c99.loops.states import States, evaluate
from quantize.c99.loops.steps import SCRATCH
from quantize.c99.loops.thumb import Function, Instruction, is_computed
from quantize.c99.loops.values import Value

_ARGUMENTS = ("r0", "r1", "r2", "r3")


@dataclass(frozen=True)
class Unit:
    """One object: functions, names of those that no other object sees, symbols of constant data."""

    name: str
    functions: Sequence[Function]
    local: Collection[str]
    constant: Collection[str]

    def own(self, function: str) -> str:
        """Return what a function named here is called among all objects: a local one OBJECT:FUNCTION."""
        return f"{self.name}:{function}" if function in self.local else function

    def callee(self, caller: Function, step: Instruction) -> str:
        """Return which function an instruction calls or jumps to; empty where it does neither."""
        if step.symbol:
            return self.own(step.symbol) if step.name[0] == "b" else ""
        if step.name not in ("b", "bl", "blx", "cbz", "cbnz") or step.target is None:
            return ""
        # Within their function are loops, also by BL; a call of its start is recursion.
        first, last = caller.code[0].address, caller.code[-1].address
        if first + (step.name[:2] == "bl") <= step.target <= last:
            return ""
        starts = [f for f in self.functions if f.code and f.code[0].address <= step.target]
        return self.own(max(starts, key=lambda f: f.code[0].address).name)


def called(units: Sequence[Unit]) -> dict[str, frozenset[str]]:
    """Return which functions each function calls or jumps to."""
    return {
        unit.own(f.name): frozenset(filter(None, (unit.callee(f, step) for step in f.code)))
        for unit in units
        for f in unit.functions
    }


def find_loops(units: Sequence[Unit], entry: str = "") -> list[Loop]:
    """Return the loops of functions, callers before the functions that they call.

    What a function is given the address of counts as constant where each of its calls gives an address in
    constant
    data: the parameters of kernels, which lie in flash.

    `entry`: an object; only what its functions lead to is read. Empty: everything.
    """
    calls = called(units)
    if entry:
        calls = _led_to(calls, {u.own(f.name) for u in units if u.name == entry for f in u.functions})
    functions = {unit.own(f.name): (unit, f) for unit in units for f in unit.functions if f.code}
    written = _written(calls, functions)
    given: dict[str, list[frozenset[str]]] = {}
    found: list[Loop] = []
    for name, ringed in _callers_first(calls):
        if name not in functions:
            continue
        unit, function = functions[name]
        always = frozenset.intersection(*given[name]) if name in given and not ringed else frozenset()
        callees = {step: unit.callee(function, step) for step in function.code}
        kept = {step: SCRATCH - written[callee] for step, callee in callees.items() if callee in written}
        while True:
            flow = find_flow(function)
            states = evaluate(flow, function, {*unit.constant, *always}, kept)
            targets = jump_targets(function, flow, states)
            if all(function.tables.get(jump) == places for jump, places in targets.items()):
                break
            function.tables |= targets
        found += unknown_jumps(unit, function, name)
        found += prove(flow, states, name)
        for step, arguments in states.calls:
            constants = frozenset(
                r for r, v in zip(_ARGUMENTS, arguments, strict=True) if _constant(states, v)
            )
            given.setdefault(callees[step], []).append(constants)
    return found


def _written(
    calls: Mapping[str, Collection[str]], functions: Mapping[str, tuple[Unit, Function]]
) -> dict[str, set[str]]:
    """Return the registers that functions, or those they lead to, write: they leave the others as they are.

    GCC makes use of that where it sees both sides of a call.
    """
    written = {n: {r for step in f.code for r in registers_written(step)} for n, (_, f) in functions.items()}
    grown = True
    while grown:
        grown = False
        for name, callees in calls.items():
            more = {r for callee in callees for r in written.get(callee, SCRATCH)}
            if name in written and not more <= written[name]:
                written[name] |= more
                grown = True
    return {name: {*registers, "lr"} for name, registers in written.items()}


def unknown_jumps(unit: Unit, function: Function, name: str) -> list[Loop]:
    """Return as loops not proved what may be some: jumps to unknown places, jumps into functions."""
    found = []
    starts = {f.code[0].address for f in unit.functions if f.code}
    for step in function.code:
        elsewhere = unit.callee(function, step) and not step.symbol and step.target not in starts
        if elsewhere or (is_computed(step) and not function.tables.get(step.address)):
            reason = (
                "a jump into the middle of a function"
                if elsewhere
                else "a jump to an address that is not known"
            )
            found.append(Loop(name, step.address, reason, frozenset()))
    return found


def _constant(states: States, value: Value) -> bool:
    """Whether a value is an address in constant data."""
    return ("constant", 1) in [(states.unknowns.all[number].kind, times) for number, times in value.terms]


def _led_to(calls: Mapping[str, frozenset[str]], roots: Collection[str]) -> dict[str, frozenset[str]]:
    """Return the calls of the functions that some functions lead to."""
    reached: dict[str, frozenset[str]] = {}
    ahead = list(roots)
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached[name] = calls.get(name, frozenset())
            ahead += reached[name]
    return reached


def _callers_first(calls: Mapping[str, Collection[str]]) -> Iterator[tuple[str, bool]]:
    """Yield all names, each behind those that call it; where calls form a ring, true and in any order."""
    waiting = {name: sum(name in callees for callees in calls.values()) for name in calls}
    while waiting:
        ready = [name for name, callers in waiting.items() if callers == 0]
        for name in ready or list(waiting):
            yield name, not ready
            del waiting[name]
            for callee in calls[name]:
                if callee in waiting:
                    waiting[callee] -= 1
