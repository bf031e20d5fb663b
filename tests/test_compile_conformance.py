"""Generated C against the TFLite reference kernels, on random graphs: not one differing integer."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray

from quantize.c99.arena import plan
from quantize.c99.emitter import arena_buffers, write_sources
from quantize.c99.kernels import family
from quantize.c99.lowering import lower
from quantize.c99.shared import find_compiler
from quantize.tflite_reader import read_model
from tests.random_graphs import random_graph

BATCH = 100  # graphs in one library
WINDOWS = 3  # inputs a graph


def reference(tflite: bytes, inputs: list[NDArray[np.int8]]) -> list[NDArray[np.int8]]:
    interpreter = Interpreter(
        model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF, num_threads=1
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    outputs = []
    for values in inputs:
        interpreter.set_tensor(source["index"], values.reshape(source["shape"]))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"]).reshape(-1))
    return outputs


def build(
    graphs: dict[str, bytes], folder: Path, *flags: str
) -> tuple[ctypes.CDLL, dict[str, tuple[int, int, int]]]:
    """One library of many models, and (input size, output size, arena bytes) of each."""
    sources: set[str] = set()
    sizes = {}
    for name, tflite in graphs.items():
        program = lower(read_model(tflite, name))
        placed = plan(arena_buffers(program))
        sources |= set(write_sources(program, name, folder, family("generic"), placed)[0])
        tensors = program.model.tensors
        sizes[name] = (
            tensors[program.model.inputs[0]].size,
            tensors[program.model.outputs[0]].size,
            placed.size,
        )
    library = folder / "graphs.so"
    command = [find_compiler(), "-std=c99", *flags, "-fPIC", "-shared", f"-I{folder}", "-o", str(library)]
    subprocess.run([*command, *(str(folder / s) for s in sorted(sources))], check=True)
    return ctypes.CDLL(str(library)), sizes


def compare(seeds: range, folder: Path) -> None:
    graphs = {f"graph_{seed}": random_graph(seed) for seed in seeds}
    library, sizes = build(graphs, folder, "-O1")
    different = []
    for (name, tflite), seed in zip(graphs.items(), seeds, strict=True):
        input_size, output_size, arena_size = sizes[name]
        rng = np.random.default_rng(seed)
        inputs = [rng.integers(-128, 128, input_size, np.int8) for _ in range(WINDOWS)]
        state = np.full(arena_size // 8 + 1, 0xA5A5A5A5A5A5A5A5, np.uint64)
        for values, expected in zip(inputs, reference(tflite, inputs), strict=True):
            output = np.zeros(output_size, np.int8)
            getattr(library, f"{name}_run")(
                *(ctypes.c_void_p(a.ctypes.data) for a in (state, values, output))
            )
            if not np.array_equal(output, expected):
                names = [o.name for o in read_model(tflite).operators]
                worst = np.abs(output.astype(int) - expected).max()
                different.append(
                    f"{name}: {np.sum(output != expected)} of {output_size}, up to {worst}: {names}"
                )
                break
    assert not different, "\n".join(different)


@pytest.mark.parametrize("first", range(0, 300, BATCH))
def test_random_graphs(first: int, tmp_path: Path) -> None:
    compare(range(first, first + BATCH), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 6000, BATCH))
def test_many_random_graphs(first: int, tmp_path: Path) -> None:
    compare(range(first, first + BATCH), tmp_path)
