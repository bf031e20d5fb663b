"""What each place holds where each block of a function begins and ends."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from quantize.c99.loops_flow import COPY, Flow
from quantize.c99.loops_steps import Choice, Machine, State
from quantize.c99.loops_thumb import INVERSE, LOOP_ENDS, Function, Instruction
from quantize.c99.loops_values import FLAGS, Place, Unknowns, Value


@dataclass(frozen=True)
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
    """

    unknowns: Unknowns
    entering: dict[tuple[int, Place], Value]
    beginning: dict[int, State]
    ending: dict[int, State]
    returning: dict[tuple[int, int], State]
    calls: list[tuple[Instruction, tuple[Value, ...]]]


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
    changed: set[tuple[int, Place]] = set()
    escaped: set[int] = set()
    while True:
        machine = Machine(function, constant, kept, escaped)
        states, found = _Round(flow, machine, changed).run()
        if found <= changed and machine.escaped <= escaped:
            return states
        changed |= found
        escaped |= machine.escaped


class _Round:
    def __init__(self, flow: Flow, machine: Machine, changed: Collection[tuple[int, Place]]) -> None:
        self.flow = flow
        self.machine = machine
        self.states = States(machine.unknowns, {}, {}, {}, {}, machine.calls)
        self.changed: dict[int, list[Place]] = {}
        for header, place in changed:
            self.changed.setdefault(header, []).append(place)
        self.choices: dict[int, dict[Place, Choice]] = {}

    def run(self) -> tuple[States, set[tuple[int, Place]]]:
        """Go through all blocks; return headers, and places that hold something else on the next pass."""
        machine, states = self.machine, self.states
        for address in self.flow.order:
            machine.block, machine.state, machine.choices = address, self.enter(address), {}
            states.beginning[address] = dict(machine.state)
            for step in self.flow.blocks[address].code:
                machine.carry_out(step)
            states.ending[address] = machine.state
            self.choices[address] = machine.choices
        changed = set()
        for loop in self.flow.loops:
            begun = states.beginning[loop.header]
            for latch in loop.latches:
                back = states.returning[latch, loop.header] = self.along(latch, loop.header)
                places = back.keys() | begun.keys()
                held = machine.held
                changed |= {(loop.header, p) for p in places if held(begun, p) != held(back, p)}
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
                machine.lose(*(value for value in held if isinstance(value, Value)))
                state[place] = None if place == FLAGS else machine.unknowns.value("other", address, place)
        for place in self.changed.get(address, ()):
            entering = machine.held(state, place)
            if isinstance(entering, Value):
                self.states.entering[address, place] = entering
                machine.lose(entering)
            state[place] = None if place == FLAGS else machine.unknowns.value("header", address, place)
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
