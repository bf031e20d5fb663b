"""What one Thumb instruction after another does to registers, flags and the words of the stack."""

from collections.abc import Sequence
from typing import Final

from quantize.c99.loops import names
from quantize.c99.loops.places import GENERAL, Places
from quantize.c99.loops.thumb import LOOP_ENDS, Instruction
from quantize.c99.loops.values import MEMORY, Flags, Value, plus, scaled

# What a called function may leave changed (AAPCS).
SCRATCH: Final = frozenset({"r0", "r1", "r2", "r3", "ip", "lr"})


class Machine(Places):
    """Carries instructions out: what they do to `state`."""

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
        two = len(operands) == 2 or not (operands[2] in GENERAL or operands[2][0] == "#")
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
        if to in GENERAL:
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
            if register in GENERAL:
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
