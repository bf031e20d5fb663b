"""Whether loops of compiled code end: on each pass a counter moves by the same step towards a fixed limit.

A loop is proved to end if on each pass an exit is tried that compares a counter with what the loop does not
change, in the direction in which the counter moves. Where several jumps back lead to the same header, as in
nested loops that begin with the same instruction, some of them may be taken care of by one counter, which the
others leave alone, and the others by another one.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from quantize.c99.loops.flow import COPY, Flow, NaturalLoop, body_of
from quantize.c99.loops.states import States
from quantize.c99.loops.thumb import INVERSE, LOOP_ENDS
from quantize.c99.loops.values import Flags, Place, Unknown, Value, plus, signed


class Assumption(Enum):
    """What a proof may take for granted of numbers that are not in the code."""

    RANGE = "this end is more than a step away from the largest number, or smallest, that there is"


@dataclass(frozen=True)
class Loop:
    """One loop.

    Attributes:
        function: its name.
        address: of the loop's first instruction.
        reason: why it does not end for all that is known; empty where it is proved to end.
        assumptions: what the proof takes for granted.
    """

    function: str
    address: int
    reason: str
    assumptions: frozenset[Assumption]


class _Test(NamedTuple):
    """An exit that is taken where left CONDITION right."""

    condition: str
    left: Value
    right: Value


class _Exit(NamedTuple):
    """A test and the blocks at whose ends it is made."""

    test: _Test
    blocks: Collection[int]


class _Ended(NamedTuple):
    """Jumps back that cannot be taken for ever, under some assumptions."""

    latches: set[int]
    assumptions: set[Assumption]


# Conditions as comparisons, with the two sides exchanged.
_EXCHANGED: Final = {"eq": "eq", "ne": "ne", "ge": "le", "le": "ge", "gt": "lt", "lt": "gt"} | {
    "cs": "ls",
    "ls": "cs",
    "hi": "cc",
    "cc": "hi",
}
_UPWARDS: Final = ("ge", "gt", "cs", "hi")
_STRICT: Final = ("gt", "lt", "hi", "cc")
_SIGN: Final = 1 << 31


def prove(flow: Flow, states: States, name: str) -> list[Loop]:
    """Return a function's loops, in the order of their first instructions.

    `name`: what to call the function.
    """
    found = []
    for loop in flow.loops:
        proof = _Proof(flow, states, loop)
        reason = proof.run()
        assumptions = frozenset(proof.assumptions) if not reason else frozenset()
        found.append(Loop(name, loop.header % COPY, reason, assumptions))
    return sorted(found, key=lambda loop: loop.address)


class _Proof:
    """Of one loop; `assumptions` are those it needed."""

    def __init__(self, flow: Flow, states: States, loop: NaturalLoop) -> None:
        self.flow = flow
        self.states = states
        self.loop = loop
        self.all = states.unknowns.all
        self.assumptions: set[Assumption] = set()
        self.left = set(loop.latches)  # jumps back of which it is not known that they end
        self.body: Collection[int] = loop.body

    def run(self) -> str:
        """Return why the loop is not proved to end; empty if it is."""
        if not self.loop.natural:
            return "it is entered at several places"
        while self.left:
            self.body = body_of(self.loop.header, self.left, self.flow.before)
            exits = self.exits()
            ways = [
                *map(self.ended_by, exits),
                *self.ended_in_place(exits),
                *map(self.ended_by_shifts, exits),
            ]
            best = min((way for way in ways if way), key=lambda way: len(way.assumptions), default=None)
            if best is None:
                return "no exit was found that a counter is bound to reach"
            self.left -= best.latches
            self.assumptions |= best.assumptions
        return ""

    def exits(self) -> list[_Exit]:
        """Return the tests on which the loop is left, and the blocks at whose ends each is made."""
        found: dict[_Test, set[int]] = {}
        for block in sorted(self.body):
            test = self.hardware_test(block) or self.test(block)
            if test is not None:
                found.setdefault(test, set()).add(block)
        return [_Exit(test, blocks) for test, blocks in found.items()]

    def ended_by(self, leaving: _Exit) -> _Ended | None:
        """Return the jumps back that an exit keeps from being taken for ever; None if none is known."""
        test, needed = leaving.test, set()
        left, right = self.change(test.left), self.change(test.right)
        if left is None or right is None:
            return None
        if any(left.values()) and any(right.values()):
            # Both move: their difference does, but it may overflow unless they move towards each other.
            if test.condition not in ("eq", "ne"):
                if any(left[latch] * right[latch] > 0 for latch in self.left):
                    return None
                needed.add(Assumption.RANGE)
            test = _Test(test.condition, plus(test.left, test.right, -1), Value(0))
            left = {latch: signed(step - right[latch]) for latch, step in left.items()}
        elif any(right.values()):
            test = _Test(_EXCHANGED[test.condition], test.right, test.left)
            left = right
        ended = {latch for latch, step in left.items() if step}
        steps = {left[latch] for latch in ended}
        if len(steps) != 1 or not self.always(leaving.blocks, ended):
            return None
        finite = self.finite(test, steps.pop())
        return None if finite is None else _Ended(ended, needed | finite)

    def ended_in_place(self, exits: Sequence[_Exit]) -> Iterator[_Ended]:
        """As `ended_by`, of counters that stay in one place, which loops inside this one may change."""
        found: dict[tuple[Place, _Test], set[int]] = {}  # tests of what the place holds where they are made
        for test, blocks in exits:
            sides = (test, _Test(_EXCHANGED[test.condition], test.right, test.left))
            for condition, counter, limit in (s for s in sides if self.all_fixed(s.right)):
                for block in blocks:
                    for place, held in self.states.ending[block].items():
                        apart = plus(counter, held, -1) if isinstance(held, Value) else counter
                        if not apart.terms:
                            found.setdefault((place, _Test(condition, apart, limit)), set()).add(block)
        for (place, test), blocks in found.items():
            steps = {block: self.step_of_block(block, place) for block in self.body}
            sizes = [step for step in set(steps.values()) if step != 0]
            if len(sizes) != 1 or sizes[0] is None:
                continue
            moving = {block for block, step in steps.items() if step}
            ended = {a for a in self.left if self.always(moving, {a}) and self.always(blocks, {a})}
            # Where it starts is not known: only steps of one are sure to meet an end.
            finite = self.finite(test, sizes[0]) if abs(sizes[0]) == 1 or test.condition != "eq" else None
            if ended and finite is not None and self.tested(moving, blocks):
                yield _Ended(ended, finite)

    def ended_by_shifts(self, leaving: _Exit) -> _Ended | None:
        """As `ended_by`, of a word that each pass shifts by some bits until it is 0."""
        (condition, left, right), blocks = leaving
        if condition != "eq" or right != Value(0) or left.constant or len(left.terms) != 1:
            return None
        number = left.terms[0][0]
        if (
            self.all[number].kind == "lsr" and self.all[number].arguments[0].terms
        ):  # tested when it has been shifted
            number = self.all[number].arguments[0].terms[0][0]
        unknown, word = self.all[number], Value(0, ((number, 1),))
        if unknown.kind != "header" or unknown.block != self.loop.header:
            return None
        backs = {a: self.states.returning[a, self.loop.header].get(unknown.place) for a in self.left}
        ended = {latch for latch, back in backs.items() if back != word}
        known = all(self.shifted(backs[latch], word) for latch in ended) and self.always(blocks, ended)
        return _Ended(ended, set()) if known else None

    def shifted(self, value: object, word: Value) -> bool:
        """Whether a value is a word shifted to the left or, zeros behind it, to the right."""
        if not isinstance(value, Value) or value.constant or len(value.terms) != 1:
            return False
        (number, times), (own, _) = value.terms[0], word.terms[0]
        kind, _, _, arguments = self.all[number]
        if number == own:
            return times > 1 and times & (times - 1) == 0
        return (
            times == 1
            and kind == "lsr"
            and arguments[0] == word
            and 0 < arguments[1].constant < 32
            and not arguments[1].terms
        )

    def step_of_block(self, block: int, place: Place) -> int | None:
        """Return by how much a block changes what a place holds; None if not by a fixed number."""
        if place == "lr" and self.flow.blocks[block].code[-1].name in LOOP_ENDS:
            return None  # nothing is taken off the last time
        begun, ended = self.states.beginning[block].get(place), self.states.ending[block].get(place)
        if begun == ended:
            return 0
        if not isinstance(begun, Value) or not isinstance(ended, Value):
            return None
        change = plus(ended, begun, -1)
        return None if change.terms else signed(change.constant)

    def tested(self, moving: Collection[int], blocks: Collection[int]) -> bool:
        """Whether one of the blocks comes between any two that move the counter."""
        reached: set[int] = set()
        ahead = [t for b in moving if b not in blocks for t in self.flow.blocks[b].following]
        while ahead:
            block = ahead.pop()
            if block in moving:
                return False
            if block in self.body and block not in blocks and block not in reached:
                reached.add(block)
                ahead += self.flow.blocks[block].following
        return True

    def always(self, blocks: Collection[int], latches: Collection[int]) -> bool:
        """Whether no pass gets to any of the jumps back without going through one of the blocks."""
        reached: set[int] = set()
        ahead = [self.loop.header]
        while ahead:
            block = ahead.pop()
            if block in reached or block in blocks:
                continue
            reached.add(block)
            following = self.flow.blocks[block].following
            ahead += [t for t in following if t in self.body and t != self.loop.header]
        return reached.isdisjoint(latches)

    def hardware_test(self, block: int) -> _Test | None:
        """As `test`, of LE and LETP, which leave the loop when LR is down to what they take off it."""
        last = self.flow.blocks[block].code[-1]
        if last.name not in LOOP_ENDS or len(last.operands) != 2:
            return None
        inside = [self.goes_on(block, target) for target in self.flow.blocks[block].following]
        counter = self.states.ending[block].get("lr")
        if inside != [True, False] or not isinstance(counter, Value):
            return None
        return _Test("ls", counter, Value(0))

    def test(self, block: int) -> _Test | None:
        """Return the exit from the loop at the end of a block."""
        last, following = self.flow.blocks[block].code[-1], self.flow.blocks[block].following
        outside = [i for i, target in enumerate(following) if not self.goes_on(block, target)]
        if len(following) != 2 or len(outside) != 1:
            return None
        state = self.states.ending[block]
        if last.name in ("cbz", "cbnz"):
            held = state.get(last.operands[0])
            flags = Flags(held, Value(0), True) if isinstance(held, Value) else None
            condition = "eq" if last.name == "cbz" else "ne"
        else:
            held = state.get("flags")
            flags = held if isinstance(held, Flags) else None
            condition = last.condition
        if flags is None or not condition:
            return None
        if outside[0] == 1:  # the jump stays inside
            condition = INVERSE[condition]
        return _comparison(condition, flags)

    def goes_on(self, block: int, target: int) -> bool:
        """Whether a step from one block to another stays in what is left of the loop."""
        return block in self.left if target == self.loop.header else target in self.body

    def change(self, value: Value) -> dict[int, int] | None:
        """Return by how much a pass changes a value, for each jump back; None if not by a fixed number."""
        changes = dict.fromkeys(self.left, 0)
        for number, coefficient in value.terms:
            unknown = self.all[number]
            if unknown.kind == "header" and unknown.block == self.loop.header:
                for latch in self.left:
                    step = self.step(number, unknown.place, latch)
                    if step is None:
                        return None
                    changes[latch] += coefficient * step
            elif not self.fixed(unknown):
                return None
        return {latch: signed(change) for latch, change in changes.items()}

    def step(self, number: int, place: Place, latch: int) -> int | None:
        """Return by how much what a place holds has changed at a jump back."""
        held = self.states.returning[latch, self.loop.header].get(place)
        if not isinstance(held, Value):
            return None
        change = plus(held, Value(0, ((number, 1),)), -1)
        return None if change.terms else change.constant

    def fixed(self, unknown: Unknown) -> bool:
        """Whether every pass finds the same value."""
        if unknown.kind in ("start", "constant"):
            return True
        if unknown.kind == "header" and unknown.block == self.loop.header:
            number = self.states.unknowns.value(*unknown).terms[0][0]
            return all(self.step(number, unknown.place, latch) == 0 for latch in self.left)
        if unknown.kind in ("header", "other"):
            return unknown.block not in self.body
        return all(self.all_fixed(argument) for argument in unknown.arguments)

    def all_fixed(self, value: Value) -> bool:
        """As `fixed`, of a sum."""
        return all(self.fixed(self.all[number]) for number, _ in value.terms)

    def finite(self, test: _Test, step: int) -> set[Assumption] | None:
        """Return what has to be assumed for left, which moves by a step, to fulfil the condition at last."""
        if test.condition == "ne":  # whatever is equal is not so on the next pass
            return set()
        if test.condition == "eq":
            return set() if abs(step) == 1 or self.whole(test, step) else None
        if (test.condition in _UPWARDS) != (step > 0):
            return None
        beyond = abs(step) - (test.condition not in _STRICT)  # how far past the limit left may have to go
        if beyond == 0:
            return set()
        if test.right.terms:
            return {Assumption.RANGE}
        limit = test.right.constant
        if test.condition in ("ge", "gt", "le", "lt"):
            limit = signed(limit)
            inside = limit + beyond < _SIGN if step > 0 else limit - beyond >= -_SIGN
        else:
            inside = limit + beyond < 2 * _SIGN if step > 0 else limit - beyond >= 0
        return set() if inside else None

    def whole(self, test: _Test, step: int) -> bool:
        """Whether the way from where left starts to right is a multiple of the step."""
        done = self.loop.latches - self.left  # they lead to further starts
        starts = [self.states.entering, *(self.started_by(latch) for latch in done)]
        return all(self.divides(step, test, start) for start in starts)

    def started_by(self, latch: int) -> dict[tuple[int, Place], Value]:
        """Return, as `States.entering`, what places hold where a jump back starts the loop anew."""
        held = self.states.returning[latch, self.loop.header].items()
        return {(self.loop.header, place): value for place, value in held if isinstance(value, Value)}

    def divides(self, step: int, test: _Test, starts: Mapping[tuple[int, Place], Value]) -> bool:
        """Whether a step is a divisor of the way from left at the start to right, term by term."""
        start = test.left
        for number, coefficient in test.left.terms:
            unknown = self.all[number]
            if unknown.kind == "header" and unknown.block == self.loop.header:
                from_here = starts[self.loop.header, unknown.place]
                start = plus(plus(start, Value(0, ((number, 1),)), -coefficient), from_here, coefficient)
        way = plus(test.right, start, -1)
        parts = (way.constant, *(signed(times) * self.factor(number) for number, times in way.terms))
        return all(part % step == 0 for part in parts)

    def factor(self, number: int) -> int:
        """Return a power of two of which an unknown is a multiple."""
        kind, _, _, arguments = self.all[number]
        if kind not in ("and", "bic") or arguments[1].terms:
            return 1
        mask = arguments[1].constant if kind == "and" else ~arguments[1].constant
        return mask & -mask


def _comparison(condition: str, flags: Flags) -> _Test | None:
    """Return a condition of flags as a comparison."""
    if condition in ("mi", "pl"):
        left = plus(flags.left, flags.right, -1)
        return _Test("lt" if condition == "mi" else "ge", left, Value(0))
    if condition in ("eq", "ne") or (flags.whole and condition in _EXCHANGED):
        return _Test(condition, flags.left, flags.right)
    return None
