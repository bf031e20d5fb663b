"""What each place holds where each block of a function begins and ends."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from quantize.c99.loops.flow import COPY, Flow
from quantize.c99.loops.places import Choice, State
from quantize.c99.loops.steps import Machine
from quantize.c99.loops.thumb import INVERSE, LOOP_ENDS, Function, Instruction
from quantize.c99.loops.values import FLAGS, Place, Unknowns, Value


@dataclass
class States:
    """Of one function.

    Attributes:
        unknowns: explain the values.
        entering: what a place that a loop changes holds on the way into it, by header and place.
        beginning: what places hold where a block begins, by its address; those not listed, what they held at
        first.
        ending: where it ends.
        returning: on the way back to a loop's header, by the block that jumps back.
        calls: functions called or jumped to, and what r0 to r3 hold then.
        jumps: addresses loaded into PC, by block and instruction.
        deepest: as of `Machine`.
    """

    unknowns: Unknowns
    entering: dict[tuple[int, Place], Value]
    beginning: dict[int, State]
    ending: dict[int, State]
    returning: dict[tuple[int, int], State]
    calls: list[tuple[Instruction, tuple[Value, ...]]]
    jumps: dict[tuple[int, int], Value]
    deepest: int | None = 0


# Places that hold something else when a loop's header is reached again, by header, each with the bytes of the
# stack that this is made of, as in
# `Machine.stack_bytes`.
Changes = dict[tuple[int, Place], set[int]]


def evaluate(
    flow: Flow,
    function: Function,
    constant: Collection[str],
    kept: Mapping[Instruction, frozenset[str]],
) -> States:
    """Go through a function's blocks.

    A loop's header starts with unknowns for what the loop changes. Which places these are shows in rounds:
    the first takes it that loops change nothing, the last finds no more that they do.

    Args:
        flow: the function's.
        function: what is to be evaluated.
        constant: symbols of constant data, and registers that hold an address in such data on entry.
        kept: registers that a call leaves as they are although it might change them.
    """
    changed: Changes = {}
    escaped: set[int] = set()
    while True:
        machine = Machine(function, constant, kept, escaped)
        states, found = _Round(flow, machine, changed).run()
        known = all(at in changed and made_of <= changed[at] for at, made_of in found.items())
        if known and machine.escaped <= escaped:
            return states
        for at, made_of in found.items():
            changed.setdefault(at, set()).update(made_of)
        escaped |= machine.escaped


class _Round:
    def __init__(self, flow: Flow, machine: Machine, changed: Changes) -> None:
        self.flow = flow
        self.machine = machine
        self.states = States(machine.unknowns, {}, {}, {}, {}, machine.calls, machine.jumps)
        self.changed: dict[int, dict[Place, set[int]]] = {}
        for (header, place), made_of in changed.items():
            self.changed.setdefault(header, {})[place] = made_of
        self.choices: dict[int, dict[Place, Choice]] = {}

    def run(self) -> tuple[States, Changes]:
        """Go through all blocks."""
        machine, states = self.machine, self.states
        for address in self.flow.order:
            machine.block = address
            machine.state, machine.choices = self.enter(address), {}
            states.beginning[address] = dict(machine.state)
            for step in self.flow.blocks[address].code:
                machine.carry_out(step)
            states.ending[address] = machine.state
            self.choices[address] = machine.choices
        changed: Changes = {}
        for loop in self.flow.loops:
            begun = states.beginning[loop.header]
            for latch in loop.latches:
                back = states.returning[latch, loop.header] = self.along(latch, loop.header)
                for place in back.keys() | begun.keys():
                    ended = machine.held(back, place)
                    if machine.held(begun, place) != ended:
                        made_of = machine.stack_bytes(ended)
                        changed.setdefault((loop.header, place), set()).update(made_of)
        states.deepest = machine.deepest
        return states, changed

    def enter(self, address: int) -> State:
        """Return what places hold where a block begins."""
        machine = self.machine
        ready = [self.along(b, address) for b in self.flow.before[address] if b in self.states.ending]
        state: State = dict(ready[0]) if ready else {"sp": machine.stack}
        for place in {p for one in ready for p in one} if len(ready) > 1 else ():
            held = {machine.held(one, place) for one in ready}
            if len(held) == 1:
                state[place] = held.pop()
            else:
                state[place] = None if place == FLAGS else machine.unknown("other", place, *held)
        for place, made_of in self.changed.get(address, {}).items():
            entering = machine.held(state, place)
            if isinstance(entering, Value):
                self.states.entering[address, place] = entering
            state[place] = None if place == FLAGS else machine.unknown("header", place, entering)
            machine.note(state[place], made_of)
        return state

    def along(self, before: int, address: int) -> State:
        """Return what places hold on the way from one block to another."""
        state, block = self.states.ending[before], self.flow.blocks[before]
        last = block.code[-1]
        if last.name in LOOP_ENDS and last.target != address % COPY:  # it takes nothing off the last time
            state = {**state, "lr": self.machine.unknowns.value("other", before, "lr behind")}
        if last.name == "b" and last.condition and len(block.following) == 2:
            taken = last.condition if block.following[0] == address else INVERSE[last.condition]
            for place, (condition, done, left) in self.choices[before].items():
                if condition in (taken, INVERSE[taken]):
                    state = {**state, place: done if condition == taken else left}
        return state
