"""What compiled objects hold, read back with binutils: calls, symbols from elsewhere, variables."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FUNCTION: Final = re.compile(r"[0-9a-f]+ <([^>]+)>:")
_INSTRUCTION: Final = re.compile(r"\s*[0-9a-f]+:\t(\S+)\s*([^@\n]*)")
_RELOCATION: Final = re.compile(r"\s+[0-9a-f]+: R_ARM_THM_(?:CALL|JUMP\d+)\s+([^+\s]+)")
_BRANCH: Final = re.compile(r"[0-9a-f]+ <([^+>]+)(?:\+0x[0-9a-f]+)?>")
_WRITABLE: Final = re.compile(r"^\.(?:data|bss)\S*\s+(\d+)", re.MULTILINE)


@dataclass(frozen=True)
class ObjectCode:
    """Calls and symbols of some objects.

    Attributes:
        calls: which functions each function calls or jumps to; a local function is named OBJECT:FUNCTION.
        indirect: instructions that go to an address held in a register or in memory; returns, and the
            tables of a `switch`, which stay within their function, are none.
        instructions: all of them.
        undefined: symbols that no object defines.
        writable_bytes: of variables outside any function.
    """

    calls: Mapping[str, frozenset[str]]
    indirect: int
    instructions: int
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


def read_objects(prefix: str, objects: Sequence[Path]) -> ObjectCode:
    """Read Thumb objects with the binutils of a prefix, `arm-none-eabi-`.

    Raises:
        OSError, subprocess.CalledProcessError: the binutils are missing or do not take the objects.
    """

    def tool(name: str, *options: str) -> str:
        command = [prefix + name, *options, *map(str, objects)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    symbols = [re.split(r"[:\s]+", line) for line in tool("nm", "-A").splitlines()]
    local = {(Path(file).stem, rest[-1]) for file, *rest in symbols if rest[-2] == "t"}
    undefined = {rest[-1] for _, *rest in symbols if rest[-2] == "U"}
    listings = tool("objdump", "-dr", "--no-show-raw-insn").split("file format")[1:]
    calls: dict[str, frozenset[str]] = {}
    indirect = instructions = 0
    for path, text in zip(objects, listings, strict=True):
        listed = _Listing(text)
        own = {n: f"{path.stem}:{n}" if (path.stem, n) in local else n for n in listed.names}
        calls |= {own[n]: frozenset(own[callee] for callee in callees) for n, callees in listed.calls.items()}
        indirect += listed.indirect
        instructions += listed.instructions
    return ObjectCode(
        calls=calls,
        indirect=indirect,
        instructions=instructions,
        undefined=frozenset(undefined - {rest[-1] for _, *rest in symbols if rest[-2] != "U"}),
        writable_bytes=sum(int(size) for size in _WRITABLE.findall(tool("size", "-A"))),
    )


class _Listing:
    """One object's disassembly: `calls` by function, `indirect` branches, `instructions`."""

    def __init__(self, text: str) -> None:
        self.calls: dict[str, set[str]] = {}
        self.indirect = self.instructions = 0
        function = ""
        lines = text.splitlines()
        for line, following in zip(lines, [*lines[1:], ""], strict=True):
            if start := _FUNCTION.match(line):
                function = start[1]
                self.calls.setdefault(function, set())
            elif relocation := _RELOCATION.match(line):
                self.calls[function].add(relocation[1])
            elif (step := _INSTRUCTION.match(line)) and not step[1].startswith("."):  # .word: constants
                self.instructions += 1
                mnemonic, operands = step[1].partition(".")[0], step[2].strip()
                # Where a relocation follows, the address is not known yet.
                known = mnemonic.startswith("b") and not _RELOCATION.match(following)
                branch = _BRANCH.fullmatch(operands) if known else None
                # Loops branch within their function; a call of it is recursion.
                if branch and (branch[1] != function or mnemonic == "bl"):
                    self.calls[function].add(branch[1])
                self.indirect += _is_indirect(mnemonic, operands)

    @property
    def names(self) -> set[str]:
        """All functions, callers and called."""
        return self.calls.keys() | {callee for callees in self.calls.values() for callee in callees}


def _is_indirect(mnemonic: str, operands: str) -> bool:
    first, _, rest = operands.partition(",")
    if mnemonic.startswith(("bx", "blx")):
        return "<" not in operands and first != "lr"
    # GCC calls with BLX and BX; MOV to PC is a switch on Cortex-M0, LDR from [sp] a return.
    return mnemonic.startswith("ldr") and first == "pc" and not rest.strip().startswith("[sp]")
