"""Thumb instructions as objdump prints them: what each is called, when it is carried out, where it goes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

_OPPOSITE: Final = {"eq": "ne", "cs": "cc", "mi": "pl", "vs": "vc", "hi": "ls", "ge": "lt", "gt": "le"}
INVERSE: Final = _OPPOSITE | {b: a for a, b in _OPPOSITE.items()}
# Hardware loops branch back themselves; WLS branches ahead where there is nothing to do.
LOOP_ENDS: Final = ("le", "letp")

_LINE: Final = re.compile(r"\s*([0-9a-f]+):\t(\S+)[ \t]*([^@\n]*)(?:@ ?\(?(?:adr \w+, )?([0-9a-f]+) <)?")
_RELOCATION: Final = re.compile(r"\s+([0-9a-f]+): R_ARM_\w+\s+(\S+)")
_FUNCTION: Final = re.compile(r"([0-9a-f]+) <([^>]+)>:")
_TARGET: Final = re.compile(r"([0-9a-f]+) <")
_PART: Final = re.compile(r"(?:\[[^\]]*\]!?|\{[^}]*\}\^?|[^,\[{]+)+")
_IT: Final = re.compile(r"it([te]{0,3})")
_TABLE_HELPER: Final = re.compile(r"__gnu_thumb1_case_([us])([qhs])i")
_BYTES: Final = {"q": 1, "h": 2, "s": 4, "tbb": 1, "tbh": 2}


class Instruction(NamedTuple):
    """One instruction: `movlt.w r3, r4` is name `mov`, condition `lt`, operands `r3` and `r4`.

    Attributes:
        address: in its section.
        name: without width and condition; vector instructions whole.
        condition: under which it is carried out; empty: always.
        operands: as printed.
        target: where a branch goes, or which constant is loaded; None where that is outside the section's
        text.
        symbol: what a relocation names; empty without one.
    """

    address: int
    name: str
    condition: str
    operands: tuple[str, ...]
    target: int | None
    symbol: str


@dataclass
class Function:
    """A function's instructions in order.

    Attributes:
        tables: where its jumps through tables may go, by the jump's address.
        words: constants between the instructions of its section, by address.
        symbols: what they are addresses relative to, where they are such.
    """

    name: str
    code: list[Instruction] = field(default_factory=list)
    tables: dict[int, frozenset[int]] = field(default_factory=dict)
    words: Mapping[int, int] = field(default_factory=dict)
    symbols: Mapping[int, str] = field(default_factory=dict)


def read_functions(text: str, table_words: Sequence[int] = ()) -> list[Function]:
    """Read one object's `objdump -dr --no-show-raw-insn`.

    `table_words`: addresses in the section of text that constants hold (the tables of `mov pc`).
    """
    functions: list[Function] = []
    relocations = {int(m[1], 16): m[2] for m in _RELOCATION.finditer(text)}
    data: dict[int, bytes] = {}
    conditions: list[str] = []
    for line in text.splitlines():
        if start := _FUNCTION.match(line):
            functions.append(Function(start[2]))
            continue
        found = _LINE.match(line)
        if found is None or not functions:
            continue
        address, printed, rest = int(found[1], 16), found[2], found[3].strip()
        if printed[0] == ".":
            width = {".byte": 1, ".short": 2, ".word": 4}.get(printed, 0)
            if width:
                data[address] = int(rest, 16).to_bytes(width, "little")
            continue
        name, condition = _named(printed, conditions)
        if block := _IT.fullmatch(name):
            conditions = [rest] + [rest if c == "t" else INVERSE[rest] for c in block[1]]
            continue
        symbol = relocations.get(address, "")
        goes = _TARGET.match(rest.rpartition(", ")[2]) if not symbol else None
        target = int(goes[1], 16) if goes else int(found[4], 16) if found[4] else None
        operands = tuple(part.strip() for part in _PART.findall(rest) if part.strip())
        functions[-1].code.append(Instruction(address, name, condition, operands, target, symbol))
    memory = {address + i: byte for address, word in data.items() for i, byte in enumerate(word)}
    words = {address: int.from_bytes(word, "little") for address, word in data.items() if len(word) == 4}
    for function in functions:
        function.words, function.symbols = words, relocations
        _read_tables(function, memory, table_words)
    return functions


def is_computed(step: Instruction) -> bool:
    """Whether an instruction jumps to an address that it works out, returns and calls apart."""
    if step.name in ("tbb", "tbh"):
        return True
    to_pc = step.name in ("mov", "ldr", "add") and step.operands[0] == "pc"
    # LDR from the stack's top is a return, as is a move from LR.
    return to_pc and step.operands[1] not in ("lr", "[sp]")


def _named(printed: str, conditions: list[str]) -> tuple[str, str]:
    """Return name and condition; takes one off `conditions`, those of an IT block."""
    name = printed if printed[0] == "v" else printed.removesuffix(".n").removesuffix(".w")
    if conditions:
        condition = conditions.pop(0)
        base, dot, rest = name.partition(".")
        return base.removesuffix(condition) + dot + rest, condition
    if name[0] == "b" and name[1:] in INVERSE:
        return "b", name[1:]
    return name, ""


def _read_tables(function: Function, memory: Mapping[int, int], table_words: Sequence[int]) -> None:
    """Fill in `tables`: the jumps of TBB and TBH, of GCC's helpers for Armv6-M, and of MOV to PC."""
    if not function.code:
        return
    first, last = function.code[0].address, function.code[-1].address
    for i, step in enumerate(function.code):
        helper = _TABLE_HELPER.fullmatch(step.symbol)
        if step.name == "mov" and is_computed(step):
            function.tables[step.address] = frozenset(a for a in table_words if first <= a <= last)
        if step.name == "ldr" and is_computed(step) and "lsl #2" in step.operands[1]:
            at = (step.address + 7) & ~3  # the table follows, of whole addresses
            while at in function.words and function.symbols.get(at) == ".text":
                table = function.tables.setdefault(step.address, frozenset())
                function.tables[step.address] = table | {function.words[at] & ~1}
                at += 4
        if step.name not in ("tbb", "tbh") and not helper:
            continue
        width = _BYTES[helper[2] if helper else step.name]
        at = start = step.address + 4  # the tables follow
        end = function.code[i + 1].address if i + 1 < len(function.code) else start
        targets = set()
        signed = helper is not None and helper[1] == "s"
        while at + width <= end and all(at + n in memory for n in range(width)):
            entry = bytes(memory[at + n] for n in range(width))
            targets.add(start + 2 * int.from_bytes(entry, "little", signed=signed))
            at += width
        function.tables[step.address] = frozenset(targets & {s.address for s in function.code})
