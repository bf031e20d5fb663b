"""What one Thumb instruction after another does to registers, flags and the words of the stack."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from quantize.c99 import loops_names as names
from quantize.c99.loops_thumb import LOOP_ENDS, Function, Instruction
from quantize.c99.loops_values import FLAGS, MEMORY, Flags, Place, Unknowns, Value, plus, scaled, signed

_GENERAL: Final = frozenset(f"r{n}" for n in range(10)) | {"sl", "fp", "ip", "sp", "lr"}
# What a called function may leave changed (AAPCS).
SCRATCH: Final = frozenset({"r0", "r1", "r2", "r3", "ip", "lr"})


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


class Machine:
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
        if text in _GENERAL:
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

    # Instructions.

    def carry_out(self, step: Instruction) -> None:
        """Change the state as an instruction does."""
        name, operands = step.name, step.operands
        if name in ("b", "bl", "blx") and (step.symbol or step.target not in self.own):
            self.call(step)
        elif name == "bl":
            self.put(step, "lr", None)
        elif name in LOOP_ENDS:
            if len(operands) == 2:  # LETP takes off as many as there are lanes: the same on every pass
                self.state["lr"] = plus(self.get("lr"), Value(1), -1)
        elif name.startswith(("dls", "wls")):
            self.put(step, operands[0], self.operand(operands[1]))
        elif name in names.STORES:
            self.store(step)
        elif name in names.LOADS:
            self.load(step)
        elif name == "ldrd":
            self.load_two(step)
        elif name in ("stm", "stmia", "stmdb", "push"):
            self.store_many(step)
        elif name in ("ldm", "ldmia", "ldmdb", "pop"):
            self.load_many(step)
        elif name in names.COMPARISONS:
            self.set_flags(None if step.condition else self.compared(name, operands))
        elif name[0] == "v" and name not in ("vmrs", "vmsr"):
            self.vector(step)
        elif name not in names.NONE:
            self.compute(step)

    def compute(self, step: Instruction) -> None:
        """Arithmetic on registers, and whatever is not known."""
        name, operands = step.name, step.operands
        plain = name.removesuffix("s") if name in names.FLAG_SETTING else name
        flags = None
        if plain in names.SUMS:
            value, flags = self.sum(step, plain)
            self.put(step, operands[0], value)
        elif plain in ("mla", "mls"):
            product, third = self.of("mul", operands[1:3]), self.operand(operands[3])
            sign = 1 if plain == "mla" else -1
            self.put(step, operands[0], plus(third, product, sign) if third and product else None)
        elif plain == "mov":
            self.put(step, operands[0], self.shifted(operands[1:]))
        elif name in names.PURE:
            # ANDS r3, r4 is ANDS r3, r3, r4.
            short = len(operands) == 2 and name not in names.UNARY
            self.put(step, operands[0], self.of(name, operands if short else operands[1:]))
        elif name in names.IMPURE or name in names.TWO:
            for register in operands[: 2 if name in names.TWO else 1]:
                self.put(step, register, None)
        else:  # not known: it may have changed all that it names, flags and memory
            for register in names.REGISTER.findall(", ".join(operands)):
                self.put(step, register, None)
            self.set_flags(None)
            self.change(step)
        if name in names.FLAG_SETTING:
            result = self.state.get(operands[0])
            signs = Flags(result, Value(0), False) if isinstance(result, Value) else None
            self.set_flags(None if step.condition else flags or signs)

    def of(self, name: str, operands: Sequence[str]) -> Value | None:
        """Return a pure operation's result."""
        last = operands[-1].partition(" ")
        shift = last[0] in ("lsl", "lsr", "asr", "ror") and last[1] == " "
        parts = [self.operand(text) for text in (operands[:-2] if shift else operands)]
        if shift:
            parts.append(self.shifted(operands[-2:]))
        if any(part is None for part in parts):
            return None
        return self.operation(name, tuple(part for part in parts if part is not None))

    def sum(self, step: Instruction, name: str) -> tuple[Value | None, Flags | None]:
        """Return what ADD, SUB and RSB give, and their flags."""
        operands = step.operands
        if name == "neg":
            name, operands = "rsb", (*operands, "#0")
        if operands[1] == "pc":  # as ADR is printed: PC is 4 bytes further on, a whole word
            here, further = Value((step.address + 4) & ~3), self.operand(operands[2])
            sign = -1 if name.startswith("sub") else 1
            code = self.unknowns.value("start", 0, "pc")
            return None if further is None else plus(plus(code, here), further, sign), None
        two = len(operands) == 2 or not (operands[2] in _GENERAL or operands[2][0] == "#")
        first = self.operand(operands[0] if two else operands[1])
        second = self.shifted(operands[1:] if two else operands[2:])
        if first is None or second is None:
            return None, None
        if name.startswith("add"):
            value = plus(first, second)
            # The carry of a + b is that of comparing a with -b unless b is 0, the overflow unless b is -2^31.
            whole = not second.terms and second.constant not in (0, 1 << 31)
            return value, Flags(first, scaled(second, -1), True) if whole else Flags(value, Value(0), False)
        if name == "rsb":
            first, second = second, first
        return plus(first, second, -1), Flags(first, second, True)

    def compared(self, name: str, operands: Sequence[str]) -> Flags | None:
        """Return the flags of a comparison."""
        left, right = self.operand(operands[0]), self.shifted(operands[1:])
        if left is None or right is None:
            return None
        if name == "cmp":
            return Flags(left, right, True)
        if name == "cmn":
            whole = not right.terms and right.constant not in (0, 1 << 31)
            return (
                Flags(left, scaled(right, -1), True) if whole else Flags(plus(left, right), Value(0), False)
            )
        if name == "tst" and left == right:
            return Flags(left, Value(0), False)
        return Flags(self.operation(name, (left, right)), Value(0), False)

    def call(self, step: Instruction) -> None:
        """A called function keeps r4 to r11 and the stack, but for what it was given the address of."""
        arguments = tuple(self.get(f"r{n}") for n in range(4))
        self.lose(*arguments)
        self.calls.append((step, arguments))
        for register in SCRATCH - self.kept.get(step, frozenset()):
            self.put(step, register, None)
        self.set_flags(None)
        self.change(step)

    def change(self, step: Instruction) -> None:
        """Memory changes, and with it what of the stack others have the address of."""
        self.state[MEMORY] = self.other(step, MEMORY)
        if self.lowest is not None:
            for place in [p for p in self.state if isinstance(p, int) and p >= self.lowest]:
                self.state[place] = self.held({MEMORY: self.state[MEMORY]}, place)
                self.choices.pop(place, None)

    def store(self, step: Instruction) -> None:
        """STR, STRB, STRH, STRD."""
        name, operands = step.name, step.operands
        values = [self.operand(text) for text in (operands[:2] if name == "strd" else operands[:1])]
        access = self.access(operands[len(values) :])
        for i, value in enumerate(values):
            address = None if access.address is None else plus(access.address, Value(4 * i))
            self.write(step, address, value, {"strb": 1, "strh": 2}.get(name, 4))
        self.move_along(step, access)

    def store_many(self, step: Instruction) -> None:
        """STM and PUSH."""
        base = "sp" if step.name == "push" else step.operands[0].rstrip("!")
        size = 4 * names.count_listed(step.operands[-1])
        start = self.get(base)
        down = step.name in ("push", "stmdb")
        if down:
            start = plus(start, Value(size), -1)
        for register in names.listed(step.operands[-1]):
            self.lose(self.get(register))
        self.write(step, start, None, size)
        if step.name == "push" or step.operands[0].endswith("!"):
            self.put(step, base, start if down else plus(start, Value(size)))

    def write(self, step: Instruction, address: Value | None, value: Value | None, size: int) -> None:
        """Store so many bytes; `value` is that of one word."""
        offset = self.offset(address)
        if value is not None and (offset is None or (self.lowest is not None and offset >= self.lowest)):
            self.lose(value)
        if offset is None:
            self.lose(*([address] if address else []))
            self.change(step)
        else:
            word = value if size == 4 and offset % 4 == 0 else None
            for place in range(offset & ~3, offset + size, 4):
                self.put(step, place, word)

    def load(self, step: Instruction) -> None:
        """LDR and its narrower kin."""
        to = step.operands[0]
        if step.target is not None and "pc" in step.operands[1]:
            self.put(step, to, self.literal(step.target))
            return
        access = self.access(step.operands[1:])
        value = self.loaded(access.address, step.name)
        self.move_along(step, access)
        if to in _GENERAL:
            self.put(step, to, value)
        elif value is not None:
            self.jumps[self.block, step.address] = value

    def literal(self, at: int) -> Value | None:
        """Return a constant between the instructions, a number or an address."""
        word = self.function.words.get(at)
        if word is None:
            return None
        symbol = self.function.symbols.get(at)
        if symbol is None:
            return Value(word)
        kind = "constant" if symbol in self.constant or symbol.startswith(".rodata") else "start"
        return plus(self.unknowns.value(kind, 0, symbol), Value(word))

    def loaded(self, address: Value | None, name: str = "ldr") -> Value | None:
        """Return what lies at an address."""
        offset = self.offset(address)
        if offset is not None and name == "ldr" and offset % 4 == 0:
            return self.get(offset)
        if address is None:
            return None
        kinds = [(self.unknowns.all[number].kind, times) for number, times in address.terms]
        # What lies in constant data is the same at all times.
        when = () if ("constant", 1) in kinds else (self.get(MEMORY),)
        return self.unknowns.value("load", 0, name, (address, *when))

    def load_two(self, step: Instruction) -> None:
        """LDRD."""
        access = self.access(step.operands[2:])
        address = access.address
        values = [self.loaded(plus(address, Value(4 * i)) if address else None) for i in range(2)]
        self.move_along(step, access)
        for register, value in zip(step.operands[:2], values, strict=True):
            self.put(step, register, value)

    def load_many(self, step: Instruction) -> None:
        """POP and LDM."""
        base = "sp" if step.name == "pop" else step.operands[0].rstrip("!")
        registers = names.listed(step.operands[-1])
        start = self.get(base)
        if step.name == "ldmdb":
            start = plus(start, Value(4 * len(registers)), -1)
        values = [self.loaded(plus(start, Value(4 * i))) for i in range(len(registers))]
        if step.name == "pop" or step.operands[0].endswith("!"):
            self.put(step, base, start if step.name == "ldmdb" else plus(start, Value(4 * len(registers))))
        for register, value in zip(registers, values, strict=True):
            if register in _GENERAL:
                self.put(step, register, value)

    def vector(self, step: Instruction) -> None:
        """Vector and floating-point instructions: what they do to general registers and to memory."""
        name, operands = step.name, step.operands
        kind = name.partition(".")[0]
        if kind in ("vpush", "vpop"):
            size = 8 * names.count_listed(operands[0])
            moved = plus(self.get("sp"), Value(size), -1 if kind == "vpush" else 1)
            if kind == "vpush":
                self.write(step, moved, None, size)
            self.put(step, "sp", moved)
            return
        if kind.startswith(("vldr", "vstr")):
            access = self.access(operands[1:])
            if kind.startswith("vstr"):
                self.write(step, access.address, None, 16)
            self.move_along(step, access)
            return
        if kind.startswith(("vstm", "vst2", "vst4")):
            self.change(step)
        for register in names.vector_written(step):
            self.put(step, register, None)
