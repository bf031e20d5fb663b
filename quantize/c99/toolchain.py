"""Compilers: finding them, measuring what they make of generated code."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from quantize.c99.loops.library import library_frames
from quantize.c99.object_code import ObjectCode, read_objects
from quantize.c99.report import Build

# The compiler whose figures a report gives where it is at hand, and the processor of targets that name none;
# the host is second best.
_CROSS = "arm-none-eabi-gcc"
_LINUX = "aarch64-linux-gnu-gcc"  # for a Raspberry Pi
_HOST = "gcc"
_PROCESSOR = ("-mcpu=cortex-m4", "-mthumb")
_SECTIONS = re.compile(r"^\S*\.(text|rodata)\S*\s+(\d+)", re.MULTILINE)


def _version(compiler: str) -> str:
    run = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return run.stdout.splitlines()[0] if run.stdout else compiler


def _compiler(cflags: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the compiler of a target built with so many flags, and with which ones."""
    if "-march=native" in cflags:
        return _HOST, cflags
    if any(flag.startswith("-mcpu=cortex-a") for flag in cflags):
        return _LINUX, cflags
    if shutil.which(_CROSS) is None:
        return _HOST, tuple(flag for flag in cflags if not flag.startswith("-m"))
    return _CROSS, cflags if any(flag.startswith("-mcpu") for flag in cflags) else (*cflags, *_PROCESSOR)


def measure(
    folder: Path, sources: list[str], entries: Sequence[str], constant_bytes: int, cflags: tuple[str, ...]
) -> tuple[Build | None, ObjectCode | None]:
    """Compile sources aside; read off code size, worst-case stack and, of Arm's code, what it calls.

    `entries`: the functions that users call.

    Nothing is known where no GCC is at hand, of the code nothing where it is for Linux.
    """
    compiler, cflags = _compiler(cflags)
    size = compiler.removesuffix("gcc") + "size"
    if shutil.which(compiler) is None or shutil.which(size) is None:
        return None, None
    flags = ["-std=c99", *cflags]
    folder = folder.resolve()  # the compiler runs elsewhere
    with tempfile.TemporaryDirectory() as aside:
        files = [str(folder / s) for s in sources]
        command = [compiler, *flags, "-fcallgraph-info=su", f"-I{folder}", "-c", *files]
        if subprocess.run(command, cwd=aside, capture_output=True, check=False).returncode != 0:
            return None, None
        objects = sorted(Path(aside).glob("*.o"))
        listing = subprocess.run(
            [size, "-A", *map(str, objects)], capture_output=True, text=True, check=True
        ).stdout
        texts = [p.read_text() for p in sorted(Path(aside).glob("*.ci"))]
        prefix, own = _CROSS.removesuffix("gcc"), Path(sources[0]).stem  # the model's own source comes first
        code = read_objects(prefix, objects, own) if compiler == _CROSS else None
        called = _foreign(CallGraph(texts), entries) if compiler == _CROSS else []
        graph = CallGraph(texts, library_frames(prefix, flags, called))
    total = sum(int(m.group(2)) for m in _SECTIONS.finditer(listing))
    stacks = [graph.worst_stack(entry) for entry in entries]
    known = [stack for stack in stacks if stack is not None]
    deepest = max(known) if len(known) == len(stacks) else None
    build = Build(_version(compiler), flags, total - constant_bytes, deepest, _foreign(graph, entries))
    return build, code


def _foreign(graph: "CallGraph", entries: Sequence[str]) -> list[str]:
    return sorted({name for entry in entries for name in graph.foreign(entry)})


class CallGraph:
    """Who calls whom with which stack frame, from GCC's -fcallgraph-info=su output, a text a source file."""

    def __init__(self, texts: list[str], library: Mapping[str, int] | None = None) -> None:
        """Take the compiler's texts, and frames of functions that they do not define."""
        self._frames: dict[str, int | None] = dict(library or {})  # None: not known at compile time
        self._calls: dict[str, set[str]] = {}
        for text in texts:
            for title, label in re.findall(r'node: \{ title: "([^"]+)" label: "([^"]*)"', text):
                stack = re.search(r"(\d+) bytes \(([^)]*)\)", label)
                if stack:
                    self._frames[title] = int(stack.group(1)) if "static" in stack.group(2) else None
            for caller, callee in re.findall(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"', text):
                self._calls.setdefault(caller, set()).add(callee)

    def worst_stack(self, entry: str, above: tuple[str, ...] = ()) -> int | None:
        """Return the deepest chain of frames from a function; None if one is unknown or calls form a cycle.

        Functions without a frame here count as 0; see `foreign`.
        """
        frame = self._frames.get(entry, 0)
        if frame is None or entry in above:
            return None
        deepest = 0
        for callee in self._calls.get(entry, ()):
            below = self.worst_stack(callee, (*above, entry))
            if below is None:
                return None
            deepest = max(deepest, below)
        return frame + deepest

    def foreign(self, entry: str) -> list[str]:
        """Return the functions that `entry` reaches and whose frames are not known."""
        reached, ahead = {entry}, [entry]
        while ahead:
            new = self._calls.get(ahead.pop(), set()) - reached
            reached |= new
            ahead += new
        return sorted(reached - self._frames.keys())
