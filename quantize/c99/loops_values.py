"""What registers and words of the stack hold, as sums of unknowns, from block to block of one function."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from quantize.c99.loops_flow import COPY, LOOP_ENDS, Flow
from quantize.c99.loops_thumb import INVERSE, Function, Instruction

_MASK: Final = 2**32 - 1
REGISTERS: Final = ("r0", "r1", "r2", "r3", "r4", "r5", "r6", "r7", "r8", "r9", "sl", "fp", "ip", "sp", "lr")
_GENERAL: Final = frozenset(REGISTERS)
# What a called function may leave changed (AAPCS).
_SCRATCH: Final = ("r0", "r1", "r2", "r3", "ip", "lr")

FLAGS: Final = "flags"
MEMORY: Final = "memory"  # a place: which state of all memory but known words of the stack
Place = str | int  # a register, FLAGS, or a word of the stack: bytes from the stack pointer on entry


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

    `kind`: "start" (of the function), "header" (of a loop: what `place` holds when a pass begins), "other" (made
    at a block in a way not followed), "load" (of the memory at `arguments[0]`), or an operation on `arguments`.
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


# First operand: the register written, depending on nothing but the others.
_PURE: Final = frozenset(
    """lsl lsls lsr lsrs asr asrs ror rors and ands orr orrs eor eors bic bics orn orns mvn mvns uxtb sxtb uxth sxth
    uxtab sxtab uxtah sxtah uxtb16 sxtb16 ubfx sbfx clz rbit rev rev16 revsh sdiv udiv smmul smmulr smulbb smulbt
    smultb smultt mul muls movw""".split()  # noqa: SIM905
)
# The same, but of the flags, the register's former content or products not followed.
_IMPURE: Final = frozenset(
    """adc adcs sbc sbcs sel bfi bfc movt smlad smladx smlsd smuad smuadx smusd smlabb smlabt smlatb smlatt smlawb
    smlawt smulwb smulwt smmla smmlar smmls smmlsr ssat usat ssat16 usat16 sxtab16 uxtab16 sadd16 ssub16 sadd8 ssub8
    uadd8 usub8 uadd16 usub16 shadd16 shsub16 uhadd8 uqsub8 uqadd8 qadd qsub qadd8 qsub8 qadd16 qsub16 pkhbt pkhtb
    csel csinc csinv csneg cset csetm cinc cinv cneg usad8 usada8 rrx rrxs mrs vmrs ldrex ldrexb""".split()  # noqa: SIM905
)
_TWO: Final = frozenset(
    """umull smull umlal smlal umaal smlalbb smlalbt smlaltb smlaltt smlald smlaldx smlsld ldrd lsll asrl lsrl
    lslll sqshll uqshll srshrl urshrl""".split()  # noqa: SIM905
)
_NONE: Final = frozenset("nop dsb dmb isb b bx cbz cbnz cmp cmn tst teq tbb tbh push vmsr yield wfi".split())  # noqa: SIM905
_FLAG_SETTING: Final = frozenset(
    "adds subs rsbs negs movs mvns ands orrs eors bics orns lsls lsrs asrs rors muls adcs sbcs rrxs".split()  # noqa: SIM905
)
# Vector instructions that write general registers name them first; these write their second one.
_VECTOR_STEPS: Final = ("vidup", "vddup", "viwdup", "vdwdup")
_NUMBER: Final = re.compile(r"#(-?\d+)")
_MEMORY: Final = re.compile(r"\[([^\]]*)\](!?)")


class Access(NamedTuple):
    """A memory operand: the address, and the register that moves along (empty: none) with what it holds then."""

    address: Value | None
    base: str = ""
    behind: Value | None = None


class Choice(NamedTuple):
    """What a place holds if a condition is fulfilled, and what if not."""

    condition: str
    done: Value
    left: Value


State = dict[Place, Value | Flags | None]


@dataclass
class States:
    """What each place holds at the end of each block of a function; `unknowns` explain the values.

    Attributes:
        entering: what a place that a loop changes holds on the way into it, by header and place.
        beginning: what places hold where a block begins, by its address; none that it has not got to yet.
        ending: where it ends.
        calls: which functions are called, or jumped to, with what in r0 to r3.
        escaped: bytes of the stack from which on memory may be written to in ways that are not followed.
    """

    unknowns: Unknowns = field(default_factory=Unknowns)
    entering: dict[tuple[int, Place], Value] = field(default_factory=dict)
    beginning: dict[int, State] = field(default_factory=dict)
    ending: dict[int, State] = field(default_factory=dict)
    calls: list[tuple[Instruction, tuple[Value, ...]]] = field(default_factory=list)
    escaped: set[int] = field(default_factory=set)


def evaluate(flow: Flow, function: Function, constant: Collection[str]) -> States:
    """Go through a function's blocks.

    A loop's header starts with unknowns for what the loop changes. Which places these are shows in rounds: the first
    takes it that loops change nothing, the last one finds nothing more that they do.

    Args:
        flow: the function's.
        function: what is to be evaluated.
        constant: symbols of constant data, and registers that hold an address in such data on entry.
    """
    changed: set[tuple[int, Place]] = set()
    escaped: set[int] = set()
    while True:
        round_ = _Evaluation(flow, function, constant, changed, escaped)
        states = round_.run()
        more = round_.changes()
        if more <= changed and states.escaped <= escaped:
            return states
        changed |= more
        escaped |= states.escaped


class _Evaluation:
    def __init__(
        self,
        flow: Flow,
        function: Function,
        constant: Collection[str],
        changed: Collection[tuple[int, Place]],
        escaped: Collection[int],
    ) -> None:
        self.flow = flow
        self.function = function
        self.own = {step.address for step in function.code}
        self.constant = constant
        self.changed: dict[int, list[Place]] = {}
        for header, place in changed:
            self.changed.setdefault(header, []).append(place)
        self.lowest = min(escaped, default=None)
        self.result = States()
        self.unknowns = self.result.unknowns
        self.block = 0
        self.state: State = {}
        self.choices: dict[Place, Choice] = {}  # made in this block, by flags that still hold
        self.made: dict[int, dict[Place, Choice]] = {}
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
            self.lose(value, self.get(place))
            value = self.other(step, place)
        else:
            self.choices.pop(place, None)
        self.state[place] = value

    def lose(self, *values: Value) -> None:
        """Note addresses on the stack of which it is not followed where they go."""
        for value in values:
            if any(term in self.stack.terms for term in value.terms):
                self.result.escaped.add(signed(value.constant))

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
        return Value(int(found[1]) & _MASK) if found else None

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
            return plus(Value(_MASK), arguments[0], -1)
        if name == "movw":
            return arguments[0]
        if name in ("mul", "muls"):
            arguments = tuple(sorted(arguments))
        self.lose(*arguments)
        return self.unknowns.value(
            name.removesuffix("s") if name in _FLAG_SETTING else name, 0, "", arguments
        )

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
        if name in ("bl", "blx") or (name == "b" and (step.symbol or step.target not in self.own)):
            self.call(step)
        elif name[0] == "v" and name not in ("vmrs",):
            self.vector(step)
        elif name in LOOP_ENDS:
            if len(operands) == 2:  # LETP takes off as many as there are lanes: the same on every pass
                self.state["lr"] = plus(self.get("lr"), Value(1), -1)
        elif name == "dls" or name.startswith(("wls", "dlstp")):
            self.put(step, operands[0], self.operand(operands[1]))
        elif name.startswith("str") or name in ("stm", "stmia", "stmdb"):
            self.store(step)
        elif name in ("pop", "ldm", "ldmia", "ldmdb"):
            self.load_many(step)
        elif name.startswith("ldr") and name not in ("ldrd", "ldrex", "ldrexb"):
            self.load(step)
        elif name == "push":
            self.push(step, 4 * _listed(operands[0]))
        else:
            self.compute(step)

    def compute(self, step: Instruction) -> None:
        """Arithmetic on registers, and whatever is not known."""
        name, operands = step.name, step.operands
        flags: Flags | None = None
        plain = name.removesuffix("s") if name in _FLAG_SETTING else name
        if name in _NONE:
            if name in ("cmp", "cmn", "tst", "teq"):
                self.state[FLAGS] = None if step.condition else self.compared(name, operands)
            return
        if plain in ("add", "addw", "sub", "subw", "rsb", "neg"):
            value, flags = self.sum(plain, operands)
            self.put(step, operands[0], value)
        elif plain in ("mla", "mls"):
            product = self.of("mul", operands[1:3])
            third = self.operand(operands[3])
            known = product is not None and third is not None
            self.put(step, operands[0], plus(third, product, 1 if plain == "mla" else -1) if known else None)  # type: ignore[arg-type]
        elif plain == "mov":
            self.put(step, operands[0], self.shifted(operands[1:]))
        elif plain == "adr":
            self.put(step, operands[0], None if step.target is None else Value(step.target))
        elif name in _PURE:
            # ANDS r3, r4 is ANDS r3, r3, r4.
            short = len(operands) == 2 and plain not in (
                "mvn",
                "uxtb",
                "sxtb",
                "uxth",
                "sxth",
                "clz",
                "rbit",
                "rev",
                "movw",
                "uxtb16",
                "sxtb16",
                "rev16",
                "revsh",
            )
            self.put(
                step, operands[0], self.of(name, [operands[0], *operands[1:]] if short else operands[1:])
            )
        elif name in _IMPURE:
            self.put(step, operands[0], None)
            if name in ("rsbs", "vmrs", "mrs"):
                self.state[FLAGS] = None
        elif name in _TWO:
            written = operands[:2]
            if name == "ldrd":
                self.load_two(step)
                return
            for register in written:
                self.put(step, register, None)
        else:  # not known: it may have changed every register that it names
            for register in re.findall(r"\b(?:r\d|sl|fp|ip|lr|sp)\b", ", ".join(operands)):
                self.put(step, register, None)
            self.state[FLAGS] = None
        if name in _FLAG_SETTING:
            if flags is None:
                result = self.state.get(operands[0])
                flags = Flags(result, Value(0), False) if isinstance(result, Value) else None
            self.state[FLAGS] = None if step.condition else flags

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

    def sum(self, name: str, operands: Sequence[str]) -> tuple[Value | None, Flags | None]:
        """Return what ADD, SUB and RSB give, and their flags."""
        if name == "neg":
            name, operands = "rsb", [*operands, "#0"]
        if len(operands) > 1 and operands[1] == "pc":  # ADR, as printed of ADD
            return None, None
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
        """A called function keeps r4 to r11 and what lies on the stack, but for what it was given the address of."""
        arguments = tuple(self.get(f"r{n}") for n in range(4))
        self.lose(*arguments)
        self.result.calls.append((step, arguments))
        for register in _SCRATCH:
            self.put(step, register, None)
        self.state[FLAGS] = None
        self.change(step)

    def change(self, step: Instruction) -> None:
        """Memory that is not a known word of the stack changes, and with it what of the stack has a known address."""
        self.state[MEMORY] = self.other(step, MEMORY)
        if self.lowest is not None:
            for place in [p for p in self.state if isinstance(p, int) and p >= self.lowest]:
                self.state[place] = self.held({MEMORY: self.state[MEMORY]}, place)

    def store(self, step: Instruction) -> None:
        """STR, STRB, STRH, STRD, STM."""
        name, operands = step.name, step.operands
        if name.startswith("stm"):
            count = _listed(operands[1])
            base = operands[0].rstrip("!")
            if base == "sp" and name == "stmdb":
                self.push(step, 4 * count)
                return
            self.write(step, self.get(base), None, 4 * count)
            if operands[0].endswith("!"):
                self.put(
                    step, base, plus(self.get(base), Value(4 * count & _MASK), -1 if name == "stmdb" else 1)
                )
            return
        values = [self.operand(text) for text in (operands[:2] if name == "strd" else operands[:1])]
        access = self.access(operands[len(values) :])
        for i, value in enumerate(values):
            address = None if access.address is None else plus(access.address, Value(4 * i))
            self.write(step, address, value, {"strb": 1, "strh": 2}.get(name, 4))
        self.move_along(step, access)

    def write(self, step: Instruction, address: Value | None, value: Value | None, size: int) -> None:
        """Store so many bytes; `value` is that of one word."""
        if value is not None:
            self.lose(value)
        offset = self.offset(address)
        if offset is None:
            self.lose(*([address] if address else []))
            self.change(step)
        else:
            word = value if size == 4 and offset % 4 == 0 else None
            for place in range(offset & ~3, offset + size, 4):
                self.put(step, place, word)

    def push(self, step: Instruction, size: int) -> None:
        """Move the stack pointer down and write below."""
        down = plus(self.get("sp"), Value(size), -1)
        self.write(step, down, None, size)
        self.put(step, "sp", down)

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
        registers = _registers(step.operands[-1])
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
            size = 8 * _listed(operands[0])
            if kind == "vpush":
                self.push(step, size)
            else:
                self.put(step, "sp", plus(self.get("sp"), Value(size)))
            return
        if kind.startswith(("vldr", "vstr")):
            access = self.access(operands[1:])
            if kind.startswith("vstr"):
                self.write(step, access.address, None, 16)
            self.move_along(step, access)
            return
        if kind.startswith(("vldm", "vstm", "vld2", "vld4", "vst2", "vst4")):
            if kind.startswith("vst"):
                self.change(step)
            written: Sequence[str] = operands
        elif kind.startswith(_VECTOR_STEPS):
            written = operands[1:2]
        else:
            written = operands[:2] if operands and operands[0] in _GENERAL else ()
        for register in re.findall(r"\b(?:r\d|sl|fp|ip|lr|sp)\b", ", ".join(written)):
            self.put(step, register, None)

    # Blocks.

    def run(self) -> States:
        """Go through all blocks once."""
        for address in self.flow.order:
            self.block = address
            self.state = self.enter(address)
            self.result.beginning[address] = dict(self.state)
            self.choices = {}
            for step in self.flow.blocks[address].code:
                flags = self.state.get(FLAGS)
                self.carry_out(step)
                if self.state.get(FLAGS) is not flags:
                    self.choices = {}
            self.result.ending[address] = self.state
            self.made[address] = self.choices
        return self.result

    def enter(self, address: int) -> State:
        """Return what places hold where a block begins."""
        ready = [self.along(b, address) for b in self.flow.before[address] if b in self.result.ending]
        state: State = dict(ready[0]) if ready else {"sp": self.stack}
        for place in {p for one in ready for p in one} if len(ready) > 1 else ():
            values = {self.held(one, place) for one in ready}
            if len(values) == 1:
                state[place] = values.pop()
            else:
                self.lose(*(value for value in values if isinstance(value, Value)))
                state[place] = None if place == FLAGS else self.unknowns.value("other", address, place)
        for place in self.changed.get(address, ()):
            entering = self.held(state, place)
            if isinstance(entering, Value):
                self.result.entering[address, place] = entering
                self.lose(entering)
            state[place] = None if place == FLAGS else self.unknowns.value("header", address, place)
        return state

    def changes(self) -> set[tuple[int, Place]]:
        """Return headers, and places that do not hold there what they do where the loop is done once more."""
        found = set()
        for loop in self.flow.loops:
            begun = self.result.beginning[loop.header]
            for latch in loop.latches:
                ended = self.along(latch, loop.header)
                places = ended.keys() | begun.keys()
                found |= {(loop.header, p) for p in places if self.held(begun, p) != self.held(ended, p)}
        return found

    def along(self, before: int, address: int) -> State:
        """Return what places hold on the way from one block to another."""
        state, last = self.result.ending[before], self.flow.blocks[before].code[-1]
        if last.name in LOOP_ENDS and last.target != address % COPY:
            state = {**state, "lr": self.unknowns.value("other", before, "lr behind")}
        if last.name == "b" and last.condition and len(self.flow.blocks[before].following) == 2:
            jumps = self.flow.blocks[before].following[0] == address
            taken = last.condition if jumps else INVERSE[last.condition]
            for place, (condition, done, left) in self.made[before].items():
                if condition in (taken, INVERSE[taken]):
                    state = {**state, place: done if condition == taken else left}
        return state


def _listed(text: str) -> int:
    """Return how many registers {r4-r7, lr} or {d8-d9} names."""
    total = 0
    for part in text.strip("{}^").split(","):
        first, _, last = part.strip().partition("-")
        total += 1 + (int(last[1:]) - int(first[1:]) if last else 0)
    return total


def _registers(text: str) -> list[str]:
    """Return the registers of {r4-r7, lr}."""
    names: list[str] = []
    for part in text.strip("{}^").split(","):
        first, _, last = part.strip().partition("-")
        names += [f"r{n}" for n in range(int(first[1:]), int(last[1:]) + 1)] if last else [first]
    return names
