"""Compares generated C with TFLite's reference kernels: many files in one library, byte for byte."""

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.emitter import write_sources
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.shared import find_compiler
from quantize.c99.streaming.stream import stream
from quantize.tflite_reader import read_model

WINDOWS = 3  # random inputs a file, besides the lowest and the highest values
# One target of each kernel family: on the host, instructions that it lacks are carried out in plain C.
FAMILIES = ("generic", "cortex-m4")
Bytes = NDArray[np.int8]
_MAIN = """#include <stdio.h>
#include <stdlib.h>
#include <string.h>
static void *filled(size_t size) { return memset(malloc(size), 0xA5, size); }""".splitlines()


class Ends:
    """The inputs or outputs of a file, whose bytes are handled as one array, one after the other."""

    def __init__(self, tflite: bytes, inputs: bool) -> None:
        model = read_model(tflite)
        tensors = [model.tensors[i] for i in (model.inputs if inputs else model.outputs)]
        self.types = [np.dtype(tensor.dtype.lower()) for tensor in tensors]
        self.sizes = [tensor.size * kind.itemsize for tensor, kind in zip(tensors, self.types, strict=True)]
        self.size = sum(self.sizes)

    def split(self, values: Bytes) -> list[Bytes]:
        return np.split(values, np.cumsum(self.sizes)[:-1])


def reference(tflite: bytes, inputs: list[Bytes], keep: bool = True) -> list[Bytes]:
    """Outputs for one input after the other; states are kept between them, or start anew."""
    interpreter = Interpreter(
        model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    sources, targets = interpreter.get_input_details(), interpreter.get_output_details()
    ends = Ends(tflite, True)
    outputs = []
    for values in inputs:
        for source, part in zip(sources, ends.split(values), strict=True):
            interpreter.set_tensor(source["index"], part.view(source["dtype"]).reshape(source["shape"]))
        interpreter.invoke()
        if not keep:
            interpreter.reset_all_variables()
        parts = [interpreter.get_tensor(t["index"]).reshape(-1).view(np.int8) for t in targets]
        outputs.append(np.concatenate(parts))
    return outputs


def write_all(
    graphs: Mapping[str, bytes], target: str, folder: Path, hop: int | None = None
) -> tuple[list[str], dict[str, int]]:
    """Write the sources of many files into one folder; return what to compile and the bytes of each arena.

    `hop`: samples that each of them takes in a push; None for whole windows only.
    """
    sources: set[str] = set()
    sizes = {}
    family = find_target(target).family
    for name, tflite in graphs.items():
        program, streaming = lower(read_model(tflite, name)), None
        if hop is None:
            program = family.fit(program)
        else:
            program, streaming = stream(program, hop, family, name)
        placed = plan(arena_buffers(program))
        sources |= set(write_sources(program, name, folder, family, placed, streaming=streaming)[0])
        sizes[name] = placed.size
    return [str(folder / s) for s in sorted(sources)], sizes


def build(graphs: Mapping[str, bytes], target: str, folder: Path, *flags: str) -> tuple[Any, dict[str, int]]:
    """One library of many files, and the bytes of arena of each."""
    sources, sizes = write_all(graphs, target, folder)
    library = folder / "graphs.so"
    command = [find_compiler(), "-std=c99", *flags, "-fPIC", "-shared", f"-I{folder}", "-o", str(library)]
    subprocess.run([*command, *sources], check=True)
    return ctypes.CDLL(str(library)), sizes


def run_sanitized(graphs: Mapping[str, bytes], target: str, folder: Path, *flags: str) -> None:
    """Run each file once with every array between guards; fail at undefined behaviour or another result."""
    run_program(graphs, target, folder, sanitizing(*flags))


def sanitizing(*flags: str) -> list[str]:
    """Return the host's compiler with its sanitizers."""
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return [find_compiler(), "-std=c99", "-O1", *flags, "-g", "-w", *sanitizers]


def run_program(
    graphs: Mapping[str, bytes], target: str, folder: Path, compiler: list[str], *emulator: str
) -> None:
    """Run each file once in a program of its own; fail where it gives another result."""
    sources, _ = write_all(graphs, target, folder)
    fed, wanted, body = [], [], list[str]()
    for number, (name, tflite) in enumerate(graphs.items()):
        ends, out = Ends(tflite, True), Ends(tflite, False)
        values = np.random.default_rng(number).integers(-128, 128, ends.size, np.int8)
        fed.append(values)
        wanted += reference(tflite, [values])
        inputs, outputs = (
            [f"{role}{k}" for k in range(len(e.sizes))] for role, e in (("in", ends), ("out", out))
        )
        arrays = [*zip(inputs, ends.sizes, strict=True), *zip(outputs, out.sizes, strict=True)]
        body += ["{", f"{name}_t *m = filled(sizeof *m);"]
        body += [f"void *{array} = filled({size});" for array, size in arrays]
        body += [f"fread({array}, 1, {size}, stdin);" for array, size in arrays[: len(inputs)]]
        body += [f"{name}_reset(m);", f"{name}_run(m, {', '.join(inputs + outputs)});"]
        body += [f"fwrite({array}, 1, {size}, stdout);" for array, size in arrays[len(inputs) :]]
        body += [*(f"free({array});" for array, _ in arrays), "free(m);", "}"]
    (folder / "main.c").write_text(main_text(list(graphs), body))
    run_main(folder, sources, compiler, np.concatenate(fed), np.concatenate(wanted), *emulator)


def main_text(names: list[str], body: list[str]) -> str:
    """Return a main function of statements on models."""
    includes = [f'#include "{name}.h"' for name in names]
    return "\n".join([*_MAIN, *includes, "int main(void)", "{", *body, "}"]) + "\n"


def run_main(
    folder: Path, sources: list[str], compiler: list[str], given: Bytes, wanted: Bytes, *emulator: str
) -> None:
    """Build main.c with `sources` and run it; fail unless it turns what is given into what is wanted."""
    program = str(folder / "program")
    command = [*compiler, f"-I{folder}", *sources, str(folder / "main.c"), "-o", program]
    subprocess.run(command, check=True)
    run = subprocess.run(
        [*emulator, program], input=given.tobytes(), capture_output=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stderr.decode()
    assert run.stdout == wanted.tobytes()


def compare(graphs: Mapping[str, bytes], target: str, folder: Path, *flags: str) -> None:
    """Fail where a file's outputs differ in any byte, built with `flags` or, without any, in plain C."""
    library, sizes = build(graphs, target, folder, *(flags or ("-O1",)))
    different = []
    for number, (name, tflite) in enumerate(graphs.items()):
        ends, out = Ends(tflite, True), Ends(tflite, False)
        rng = np.random.default_rng(number)
        inputs = [rng.integers(-128, 128, ends.size, np.int8) for _ in range(WINDOWS)]
        inputs += [np.full(ends.size, value, np.int8) for value in (-128, 127)]
        state = np.full(sizes[name] // 8 + 1, 0xA5A5A5A5A5A5A5A5, np.uint64)
        getattr(library, f"{name}_reset")(ctypes.c_void_p(state.ctypes.data))
        for values, expected in zip(inputs, reference(tflite, inputs), strict=True):
            # Each array on a boundary of its own, as int16 needs it.
            outputs = [np.zeros(size, np.int8) for size in out.sizes]
            arrays: list[NDArray[Any]] = [state, *(part.copy() for part in ends.split(values)), *outputs]
            getattr(library, f"{name}_run")(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
            wrong = [
                f"output {k + 1}, {np.sum(mine != theirs)} of {mine.size} bytes, up to "
                f"{np.abs(mine.astype(int) - theirs).max()}"
                for k, (mine, theirs) in enumerate(zip(outputs, out.split(expected), strict=True))
                if not np.array_equal(mine, theirs)
            ]
            if wrong:
                names = [o.name for o in read_model(tflite).operators][:8]
                different.append(f"{name}: {'; '.join(wrong)}: {names}")
                break
    assert not different, "\n".join(different)
