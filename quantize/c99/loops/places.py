"""What registers, flags and words of the stack hold at one place in a block, and what operands mean there."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from quantize.c99.loops import names
from quantize.c99.loops.thumb import Function, Instruction
from quantize.c99.loops.values import FLAGS, MEMORY, Flags, Place, Unknowns, Value, plus, scaled, signed

GENERAL: Final = frozenset(f"r{n}" for n in range(10)) | {"sl", "fp", "ip", "sp", "lr"}
_NUMBER: Final = re.compile(r"#(-?\d+)")
_MEMORY: Final = re.compile(r"\[([^\]]*)\](!?)")


class Access(NamedTuple):
    """A memory operand: the address, and the register that moves along (empty: none), as it is then."""

    address: Value | None
    base: str = ""
    behind: Value | None = None


class Choice(NamedTuple):
    """What a place holds if a condition is fulfilled, and what if not."""

    condition: str
    done: Value
    left: Value


State = dict[Place, Value | Flags | None]


class Places:
    """Registers, flags and stack of a function, `state`, at one place in a block.

    Attributes:
        calls: functions called or jumped to, and what r0 to r3 hold then.
        jumps: addresses loaded into PC, by block and instruction.
        deepest: the lowest that the stack pointer gets to, from where it was on entry; None if not followed.
        escaped: bytes of the stack from which on memory may be written to in ways that are not followed.
        choices: what places hold that were written under a condition, as long as the flags are the same.
    """

    def __init__(
        self,
        function: Function,
        constant: Collection[str],
        kept: Mapping[Instruction, frozenset[str]],
        escaped: Collection[int],
    ) -> None:
        """Take what `evaluate` does, and `escaped` so far."""
        self.kept = kept
        self.function = function
        self.own = {step.address for step in function.code}
        self.constant = constant
        self.lowest = min(escaped, default=None)
        self.unknowns = Unknowns()
        self.calls: list[tuple[Instruction, tuple[Value, ...]]] = []
        self.jumps: dict[tuple[int, int], Value] = {}
        self.deepest: int | None = 0
        self.escaped: set[int] = set()
        self.made_of: dict[int, set[int]] = {}  # by unknown, as `stack_bytes`
        self.block = 0
        self.state: State = {}
        self.choices: dict[Place, Choice] = {}
        self.stack = self.unknowns.value("start", 0, "sp")

    # Places.

    def get(self, place: Place) -> Value:
        """Return what a register or word of the stack holds."""
        return self.word(self.state, place)

    def held(self, state: State, place: Place) -> Value | Flags | None:
        """Return what a place holds in a state."""
        if place in state or place == FLAGS:
            return state.get(place)
        if isinstance(place, int) and self.lowest is not None and place >= self.lowest:
            return self.unknowns.value(
                "load", 0, place, (plus(self.stack, Value(place)), self.word(state, MEMORY))
            )
        kind = "constant" if place in self.constant else "start"
        return self.unknowns.value(kind, 0, place)

    def word(self, state: State, place: Place) -> Value:
        """As `held`, of anything but the flags."""
        held = self.held(state, place)
        assert isinstance(held, Value)
        return held

    def other(self, step: Instruction, place: Place) -> Value:
        """Return a value not followed."""
        return self.unknowns.value("other", self.block, f"{step.address} {place}")

    def put(self, step: Instruction, place: Place, value: Value | None) -> None:
        """Write a place; None: something not followed. What is done under a condition may not be."""
        if value is None:
            value = self.other(step, place)
        if step.condition and value != self.get(place):
            self.choices[place] = Choice(step.condition, value, self.get(place))
            value = self.unknown("other", f"{step.address} {place}", value, self.get(place))
        else:
            self.choices.pop(place, None)
        self.state[place] = value
        if place == "sp" and self.deepest is not None:
            offset = self.offset(value)
            self.deepest = None if offset is None else min(self.deepest, offset)

    def set_flags(self, flags: Flags | None) -> None:
        """Write the flags; None: not followed."""
        self.state[FLAGS] = flags
        self.choices = {}

    def stack_bytes(self, *values: Value | Flags | None) -> set[int]:
        """Return the bytes of the stack from which on memory may lie whose address values are made of."""
        found: set[int] = set()
        for value in values:
            for term in value.terms if isinstance(value, Value) else ():
                if term in self.stack.terms:
                    found.add(signed(value.constant))  # type: ignore[union-attr]
                found |= self.made_of.get(term[0], set())
        return found

    def unknown(self, kind: str, place: Place, *values: Value | Flags | None) -> Value:
        """Return an unknown of this block that is one of some values, or has begun as the one given."""
        ways = tuple(sorted(v for v in values if isinstance(v, Value))) if kind == "other" else ()
        value = self.unknowns.value(kind, self.block, place, ways)
        self.note(value, self.stack_bytes(*values))
        return value

    def note(self, unknown: Value | Flags | None, made_of: Collection[int]) -> None:
        """Note of an unknown what it is made of."""
        if isinstance(unknown, Value) and made_of:
            self.made_of.setdefault(unknown.terms[0][0], set()).update(made_of)

    def lose(self, *values: Value) -> None:
        """Note what may be written to by others, who have been given values."""
        self.escaped |= self.stack_bytes(*values)

    def offset(self, address: Value | None) -> int | None:
        """Return which byte of the stack an address is, None if it is not known to be one."""
        if address is None or address.terms != self.stack.terms:
            return None
        return signed(address.constant)

    # Operands.

    def operand(self, text: str) -> Value | None:
        """Return a register's value or a number."""
        if text in GENERAL:
            return self.get(text)
        found = _NUMBER.fullmatch(text)
        return Value(int(found[1]) & 0xFFFFFFFF) if found else None

    def shifted(self, operands: Sequence[str]) -> Value | None:
        """Return a last operand that may have a shift behind it: [r3] or [r3, lsl #2]."""
        value = self.operand(operands[0])
        if value is None or len(operands) == 1:
            return value
        kind, _, amount = operands[1].partition(" ")
        by = _NUMBER.fullmatch(amount)
        if by is None:
            return None
        if kind == "lsl":
            return scaled(value, 1 << int(by[1]))
        return self.operation(kind, (value, Value(int(by[1]))))

    def operation(self, name: str, arguments: tuple[Value, ...]) -> Value:
        """Return a pure function of values."""
        constants = [a.constant for a in arguments if not a.terms]
        if name in ("lsl", "lsls") and not arguments[1].terms and arguments[1].constant < 32:
            return scaled(arguments[0], 1 << arguments[1].constant)
        if name in ("mul", "muls") and constants:
            other = arguments[1] if not arguments[0].terms else arguments[0]
            return scaled(other, constants[0])
        if name in ("mvn", "mvns"):
            return plus(Value(0xFFFFFFFF), arguments[0], -1)
        if name == "movw":
            return arguments[0]
        if name in ("mul", "muls"):
            arguments = tuple(sorted(arguments))
        plain = name.removesuffix("s") if name in names.FLAG_SETTING else name
        value = self.unknowns.value(plain, 0, "", arguments)
        self.note(value, self.stack_bytes(*arguments))
        return value

    def access(self, operands: Sequence[str]) -> Access:
        """Return what a memory operand means; operands[0] is in brackets."""
        found = _MEMORY.fullmatch(operands[0])
        if found is None:
            return Access(None)
        inside = [part.strip() for part in found[1].split(",")]
        base = self.operand(inside[0])
        if base is None:  # PC, a vector
            return Access(None)
        offset = self.shifted(inside[1:]) if len(inside) > 1 else Value(0)
        address = plus(base, offset) if offset is not None else None
        if found[2]:  # [r3, #4]!
            return Access(address, inside[0], address)
        if len(operands) > 1:  # [r3], #4
            behind = self.operand(operands[1])
            return Access(base, inside[0], plus(base, behind) if behind is not None else None)
        return Access(address)

    def move_along(self, step: Instruction, access: Access) -> None:
        """Write the base register back."""
        if access.base:
            self.put(step, access.base, access.behind)
