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
from quantize.c99.emitter import arena_buffers, write_sources
from quantize.c99.kernels import find_target
from quantize.c99.lowering import lower
from quantize.c99.shared import find_compiler
from quantize.tflite_reader import read_model

WINDOWS = 3  # random inputs a file, besides the lowest and the highest values
# One target of each kernel family: on the host, instructions that it lacks are carried out in plain C.
FAMILIES = ("generic", "cortex-m4")
Bytes = NDArray[np.int8]


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


def build(graphs: Mapping[str, bytes], target: str, folder: Path, *flags: str) -> tuple[Any, dict[str, int]]:
    """One library of many files, and the bytes of arena of each."""
    sources: set[str] = set()
    sizes = {}
    family = find_target(target).family
    for name, tflite in graphs.items():
        program = family.fit(lower(read_model(tflite, name)))
        placed = plan(arena_buffers(program))
        sources |= set(write_sources(program, name, folder, family, placed)[0])
        sizes[name] = placed.size
    library = folder / "graphs.so"
    command = [find_compiler(), "-std=c99", *flags, "-fPIC", "-shared", f"-I{folder}", "-o", str(library)]
    subprocess.run([*command, *(str(folder / s) for s in sorted(sources))], check=True)
    return ctypes.CDLL(str(library)), sizes


def compare(graphs: Mapping[str, bytes], target: str, folder: Path) -> None:
    """Fail where a file's outputs differ in any byte."""
    library, sizes = build(graphs, target, folder, "-O1")
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
