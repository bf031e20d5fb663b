"""What compiled objects hold, read back with binutils: calls, symbols from elsewhere, variables, loops."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from quantize.c99.loops.find import Unit, called, find_loops
from quantize.c99.loops.proof import Loop
from quantize.c99.loops.thumb import Instruction, read_functions

_WRITABLE: Final = re.compile(r"^\.(?:data|bss)\S*\s+(\d+)", re.MULTILINE)
_ROW: Final = re.compile(r"^ ([0-9a-f]+) ((?:[0-9a-f]{2,8} ){1,4})", re.MULTILINE)
_TABLE_ENTRY: Final = re.compile(r"^([0-9a-f]{8}) R_ARM_ABS32\s+\.text$", re.MULTILINE)


@dataclass(frozen=True)
class ObjectCode:
    """Calls and symbols of some objects.

    Attributes:
        calls: which functions each function calls or jumps to; a local function is named OBJECT:FUNCTION.
        indirect: instructions that go to an address held in a register or in memory; returns, and the
            tables of a `switch`, which stay within their function, are none.
        instructions: all of them.
        loops: of the functions that are called, with what is known of their ends.
        undefined: symbols that no object defines.
        writable_bytes: of variables outside any function.
    """

    calls: Mapping[str, frozenset[str]]
    indirect: int
    instructions: int
    loops: Sequence[Loop]
    undefined: frozenset[str]
    writable_bytes: int

    @property
    def cycle(self) -> tuple[str, ...]:
        """Functions that call each other in a ring; empty where there is none."""
        done: set[str] = set()

        def search(name: str, above: tuple[str, ...]) -> tuple[str, ...]:
            if name in above:
                return above[above.index(name) :]
            if name in done:
                return ()
            done.add(name)
            rings = (search(callee, (*above, name)) for callee in sorted(self.calls.get(name, ())))
            return next((ring for ring in rings if ring), ())

        rings = (search(name, ()) for name in sorted(self.calls))
        return next((ring for ring in rings if ring), ())


def read_objects(prefix: str, objects: Sequence[Path], entry: str = "") -> ObjectCode:
    """Read Thumb objects with the binutils of a prefix, `arm-none-eabi-`.

    `entry`: the name of an object: only the loops that its functions lead to are looked at.

    Raises:
        OSError, subprocess.CalledProcessError: the binutils are missing or do not take the objects.
    """

    def tool(name: str, *options: str) -> str:
        command = [prefix + name, *options, *map(str, objects)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    symbols = [re.split(r"[:\s]+", line) for line in tool("nm", "-A").splitlines()]
    local = {(Path(file).stem, rest[-1]) for file, *rest in symbols if rest[-2] == "t"}
    undefined = {rest[-1] for _, *rest in symbols if rest[-2] == "U"}
    # Helium's instructions are printed as such only for an architecture that is named; others' are the same.
    listings = tool("objdump", "-dr", "--no-show-raw-insn", "-m", "armv8.1-m.main").split("file format")[1:]
    units = []
    for path, text in zip(objects, listings, strict=True):
        constant = {rest[-1] for file, *rest in symbols if rest[-2] in "rR" and Path(file).stem == path.stem}
        names = {name for stem, name in local if stem == path.stem}
        table = _table_words(prefix, path) if "\tmov\tpc, r" in text else ()
        units.append(Unit(path.stem, read_functions(text, table), names, constant))
    functions = [function for unit in units for function in unit.functions]
    loops = find_loops(units, entry)  # also finds where computed jumps go
    return ObjectCode(
        calls=called(units),
        indirect=sum(
            _is_indirect(step) and not f.tables.get(step.address) for f in functions for step in f.code
        ),
        instructions=sum(len(f.code) for f in functions),
        loops=loops,
        undefined=frozenset(undefined - {rest[-1] for _, *rest in symbols if rest[-2] != "U"}),
        writable_bytes=sum(int(size) for size in _WRITABLE.findall(tool("size", "-A"))),
    )


def _table_words(prefix: str, path: Path) -> list[int]:
    """Return the addresses in .text that constants hold: where a `switch` goes on Armv6-M."""
    command = [f"{prefix}objdump", "-rs", "-j", ".rodata", str(path)]
    # It fails where there is no such data.
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    rows = {int(m[1], 16): bytes.fromhex(m[2].replace(" ", "")) for m in _ROW.finditer(text)}
    memory = {at + i: byte for at, row in rows.items() for i, byte in enumerate(row)}
    places = [int(m[1], 16) for m in _TABLE_ENTRY.finditer(text)]
    return [int.from_bytes(bytes(memory[at + i] for i in range(4)), "little") & ~1 for at in places]


def _is_indirect(step: Instruction) -> bool:
    if step.name.startswith(("bx", "blx")):
        return step.target is None and step.operands[0] != "lr"
    # GCC calls with BLX and BX; MOV to PC is a switch on Cortex-M0, LDR from [sp] a return.
    return step.name == "ldr" and step.operands[0] == "pc" and step.operands[1] != "[sp]"
