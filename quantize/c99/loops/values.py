"""Values as sums of unknowns, modulo 2^32, and what each unknown stands for."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

_MASK: Final = 2**32 - 1
FLAGS: Final = "flags"
MEMORY: Final = "memory"  # a place: which state of all memory but known words of the stack
Place = str | int  # a register, FLAGS, MEMORY, or a word of the stack: bytes from the stack pointer on entry


class Value(NamedTuple):
    """constant + sum of coefficient * unknown, modulo 2^32; terms are (unknown, coefficient), by unknown."""

    constant: int
    terms: tuple[tuple[int, int], ...] = ()


class Flags(NamedTuple):
    """Those of comparing two values, or (`whole` false) only N and Z, of `left` with 0."""

    left: Value
    right: Value
    whole: bool


class Unknown(NamedTuple):
    """What a value depends on.

    Attributes:
        kind: "start" (what `place` holds when the function is entered), "constant" (the same: an address in
            constant data), "header" (what it holds when a pass of a loop begins), "other" (made at a block in
            a way not followed), "load" (what memory holds: address, and, unless it is constant, the state of
            memory), or an operation on `arguments`.
    """

    kind: str
    block: int
    place: Place
    arguments: tuple[Value, ...] = ()


@dataclass
class Unknowns:
    """All of one function, numbered; equal ones are one."""

    all: list[Unknown] = field(default_factory=list)
    _numbers: dict[Unknown, int] = field(default_factory=dict)

    def value(self, kind: str, block: int = 0, place: Place = 0, arguments: tuple[Value, ...] = ()) -> Value:
        """Return the value of one unknown."""
        unknown = Unknown(kind, block, place, arguments)
        number = self._numbers.setdefault(unknown, len(self.all))
        if number == len(self.all):
            self.all.append(unknown)
        return Value(0, ((number, 1),))


def plus(a: Value, b: Value, times: int = 1) -> Value:
    """Return a + times * b."""
    terms = dict(a.terms)
    for unknown, coefficient in b.terms:
        terms[unknown] = (terms.get(unknown, 0) + times * coefficient) & _MASK
    kept = tuple(sorted((u, c) for u, c in terms.items() if c))
    return Value((a.constant + times * b.constant) & _MASK, kept)


def signed(number: int) -> int:
    """Return the 32-bit number as which a word is read with its sign."""
    return (number + (1 << 31)) % (1 << 32) - (1 << 31)


def scaled(a: Value, times: int) -> Value:
    """Return times * a."""
    return plus(Value(0), a, times)
