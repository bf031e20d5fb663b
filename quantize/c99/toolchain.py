"""Compilers: finding them, measuring what they make of generated code."""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from quantize.c99.report import Build

# The processor whose figures a report gives where its compiler is at hand; the host is second best.
_CROSS = ("arm-none-eabi-gcc", ("-mcpu=cortex-m4", "-mthumb"))
_SECTIONS = re.compile(r"^\S*\.(text|rodata)\S*\s+(\d+)", re.MULTILINE)


def _version(compiler: str) -> str:
    run = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return run.stdout.splitlines()[0] if run.stdout else compiler


def measure(
    folder: Path, sources: list[str], entry: str, constant_bytes: int, cflags: tuple[str, ...]
) -> Build | None:
    """Compile sources aside and read off code size and worst-case stack; None where no GCC is at hand."""
    compiler, machine = _CROSS if shutil.which(_CROSS[0]) else ("gcc", ())
    size = compiler.removesuffix("gcc") + "size"
    if shutil.which(compiler) is None or shutil.which(size) is None:
        return None
    flags = ["-std=c99", *cflags, *machine]
    with tempfile.TemporaryDirectory() as aside:
        files = [str(folder / s) for s in sources]
        command = [compiler, *flags, "-fcallgraph-info=su", f"-I{folder}", "-c", *files]
        if subprocess.run(command, cwd=aside, capture_output=True, check=False).returncode != 0:
            return None
        objects = sorted(Path(aside).glob("*.o"))
        listing = subprocess.run(
            [size, "-A", *map(str, objects)], capture_output=True, text=True, check=True
        ).stdout
        graphs = [p.read_text() for p in sorted(Path(aside).glob("*.ci"))]
    total = sum(int(m.group(2)) for m in _SECTIONS.finditer(listing))
    return Build(_version(compiler), flags, total - constant_bytes, worst_stack(graphs, entry))


def worst_stack(graphs: list[str], entry: str) -> int | None:
    """Return the deepest chain of stack frames from a function, from GCC's -fcallgraph-info=su output.

    None if a frame is not known at compile time or the calls form a cycle. Functions without a graph (those
    of the C library) count as 0.
    """
    frames: dict[str, int] = {}
    calls: dict[str, set[str]] = {}
    for graph in graphs:
        for title, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', graph):
            stack = re.search(r"(\d+) bytes \(([^)]*)\)", label)
            if stack:
                if "static" not in stack.group(2):
                    return None
                frames[title] = int(stack.group(1))
        for caller, callee in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', graph):
            calls.setdefault(caller, set()).add(callee)

    def depth(function: str, above: tuple[str, ...]) -> int | None:
        if function in above:
            return None
        below = [depth(callee, (*above, function)) for callee in sorted(calls.get(function, ()))]
        if None in below:
            return None
        return frames.get(function, 0) + max((d for d in below if d is not None), default=0)

    return depth(entry, ()) if entry in frames else None
