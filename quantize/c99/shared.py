"""Builds generated C into a shared library for `edge.engines.native`, once for each model and compiler."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from edge.engines.native import ABI_VERSION
from edge.errors import InnervateError
from edge.model_file import read_io
from edge.signal_path import SignalPath
from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.emitter import states_of, write_sources
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.program import Program
from quantize.c99.streaming.hops import saving_hop
from quantize.c99.streaming.stream import stream
from quantize.tflite_reader import read_model

# -O3 keeps sums in registers; the arithmetic is integer, so results cannot depend on it.
FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")
# This very machine's vectors, which read weights faster where those start on a cache line (GCC, x86-64). What
# a compiler does not know is left out; without vectors kernels are plain C.
NATIVE = (("-march=native", "-malign-data=cacheline"), ("-march=native",), ())
NAME = "model"


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "innervate" / "native"


def find_compiler() -> str:
    """Return the host's C compiler: $CC, else cc, gcc or clang.

    Raises:
        InnervateError: there is none.
    """
    for candidate in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        if candidate and shutil.which(candidate):
            return candidate
    raise InnervateError(
        "No C compiler found", "PATH", "Install one (Debian: apt install gcc) or set CC to it"
    )


def host_flags(compiler: str) -> tuple[tuple[str, ...], bytes]:
    """Return the flags that build for this machine, and what the compiler then knows of it and of itself."""
    for native in NATIVE:
        flags = (*FLAGS, *native)
        command = [compiler, *flags, "-dM", "-E", "-x", "c", os.devnull]
        run = subprocess.run(command, capture_output=True, check=False)
        if run.returncode == 0:
            break
    version = subprocess.run([compiler, "--version"], capture_output=True, check=False).stdout
    return flags, run.stdout + version


def _info(program: Program, has_steps: bool, context: int, hop: int) -> str:
    """Return the C text of what the engine has to know; see ABI_VERSION there."""
    tensors = program.model.tensors
    numbers = [str(ABI_VERSION), f"(int32_t)sizeof({NAME}_t)", str(int(has_steps)), str(context), str(hop)]
    for index in (program.model.inputs[0], program.model.outputs[0]):
        numbers += [str(len(tensors[index].shape)), *(str(extent) for extent in tensors[index].shape)]
    return (
        f'#include "{NAME}.h"\n\nextern const int32_t nrv_native_info[];\n'
        f"const int32_t nrv_native_info[] = {{{', '.join(numbers)}}};\n"
    )


def build_shared(tflite: bytes, path: SignalPath | None = None) -> Path:
    """Compile a `.tflite` file to a shared library that `NativeEngine` loads.

    Libraries are kept under ~/.cache/innervate/native ($XDG_CACHE_HOME is heeded), named by the SHA-256 of
    all sources, flags, the compiler and the processor; a second call finds the first one's.

    Args:
        tflite: the file's bytes.
        path: makes the windows that will come; where they overlap, the library computes what each adds to
            the one before, if that saves much. None for windows that have nothing to do with each other.

    Raises:
        InnervateError: no C compiler, or the file cannot be used.
    """
    compiler = find_compiler()
    family = find_target("host").family
    program = lower(read_model(tflite))
    states, context, streaming = states_of(tflite, program, NAME, "native engine"), 0, None
    hop = saving_hop(tflite, path, "host") if path and not states else None
    if hop:
        program, streaming = stream(program, hop, family, "native engine")
    else:
        program = family.fit(program)
    if len(program.model.inputs) != 1 or len(program.model.outputs) != 1:
        context = read_io(tflite, "native engine").context  # refuses what no engine can feed
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        placed = plan(arena_buffers(program))
        sources, _ = write_sources(program, NAME, folder, family, placed, states, streaming)
        values = streaming.size if streaming else 0
        (folder / "native_info.c").write_text(_info(program, states is not None, context, values))
        flags, machine = host_flags(compiler)
        digest = hashlib.sha256(repr((flags, machine)).encode())
        for file in sorted(folder.iterdir()):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
        library = _cache() / f"{digest.hexdigest()}.so"
        if not library.is_file():
            _compile([compiler, *flags], folder, [*sources, "native_info.c"], library)
    return library


def _compile(compiler: list[str], folder: Path, sources: list[str], library: Path) -> None:
    # Built beside its place and renamed, so that a library is whole or not there, whoever else builds it.
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=library.parent) as beside:
            part = Path(beside) / library.name
            command = [*compiler, f"-I{folder}", *(str(folder / s) for s in sources), "-o", str(part)]
            run = subprocess.run(command, capture_output=True, text=True, check=False)
            if run.returncode == 0:
                os.replace(part, library)  # noqa: PTH105
    except OSError as error:
        where = f"{library.parent}: {error.strerror}"
        raise InnervateError("Cannot keep compiled models", where, "Set XDG_CACHE_HOME to a folder") from None
    if run.returncode != 0:
        reason = run.stderr.strip().splitlines()
        raise InnervateError(
            f"The C compiler {compiler[0]} failed: {reason[0] if reason else run.returncode}",
            "native engine",
            "Set CC to a C99 compiler that can make shared libraries",
        )
