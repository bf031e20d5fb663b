"""Compiles files for hops and compares what they give, push by push, with TFLite's reference kernels."""

import ctypes
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.emitter import write_sources
from quantize.c99.kernels import find_target
from quantize.c99.lowering import lower
from quantize.c99.shared import find_compiler
from quantize.c99.streaming import Streaming, stream
from quantize.tflite_reader import read_model
from tests.conformance import Ends, reference

PUSHES = 4  # half of what follows the first window
Bytes = NDArray[np.int8]


@dataclass(frozen=True)
class Case:
    """A file and the samples of a hop."""

    tflite: bytes
    hop: int


@dataclass(frozen=True)
class Built:
    """A streamed program within a library."""

    streaming: Streaming
    arena: int  # bytes


def write_all(cases: Mapping[str, Case], target: str, folder: Path) -> tuple[list[str], dict[str, Built]]:
    """Write the sources of all cases into one folder; return what to compile, and what each is."""
    sources: set[str] = set()
    built = {}
    family = find_target(target).family
    for name, case in cases.items():
        program, streaming = stream(lower(read_model(case.tflite, name)), case.hop, family, name)
        placed = plan(arena_buffers(program))
        sources |= set(write_sources(program, name, folder, family, placed, streaming=streaming)[0])
        built[name] = Built(streaming, placed.size)
    return [str(folder / s) for s in sorted(sources)], built


def recording(built: Built, item: np.dtype[Any], windows: int, seed: int) -> NDArray[Any]:
    """Random values [outer, columns, inner] with room for a window and so many hops."""
    source = built.streaming.source
    columns = source.columns + windows * built.streaming.hop
    ends = np.iinfo(item)
    shape = (source.outer, columns, source.inner)
    return np.random.default_rng(seed).integers(ends.min, ends.max + 1, shape, item)


def compare_streams(cases: Mapping[str, Case], target: str, folder: Path) -> dict[str, Built]:
    """Fail where any output of a run or push differs from the reference's of the same window."""
    sources, built = write_all(cases, target, folder)
    library = folder / "streams.so"
    command = [find_compiler(), "-std=c99", "-O1", "-fPIC", "-shared", f"-I{folder}", "-o", str(library)]
    subprocess.run([*command, *sources], check=True)
    loaded: Any = ctypes.CDLL(str(library))
    different = []
    for number, (name, case) in enumerate(cases.items()):
        ends, out = Ends(case.tflite, True), Ends(case.tflite, False)
        one, source = built[name], built[name].streaming.source
        signal = recording(one, ends.types[0], 2 * PUSHES, number)
        rng = np.random.default_rng(number)
        rest = [rng.integers(-128, 128, size, np.int8) for size in ends.sizes[1:]]
        windows = [signal[:, n * case.hop :][:, : source.columns] for n in range(2 * PUSHES + 1)]
        fed = [np.concatenate([w.reshape(-1).view(np.int8), *rest]) for w in windows]
        expected = reference(case.tflite, fed)
        memory = np.full(one.arena // 8 + 1, 0xA5A5A5A5A5A5A5A5, np.uint64)
        getattr(loaded, f"{name}_reset")(ctypes.c_void_p(memory.ctypes.data))

        # A run in the middle starts the stream anew.
        for n, window in enumerate(windows):
            whole = n in (0, PUSHES + 2)
            values = window if whole else window[:, -case.hop :]
            outputs = [np.zeros(size, np.int8) for size in out.sizes]
            arrays = [memory, values.copy(), *(part.copy() for part in rest), *outputs]
            call = getattr(loaded, f"{name}_{'run' if whole else 'push'}")
            call(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
            given = np.concatenate(outputs)
            if not np.array_equal(given, expected[n]):
                wrong = int(np.sum(given != expected[n]))
                layers = [o.name for o in read_model(case.tflite).operators]
                different.append(f"{name}, hop {case.hop}, window {n}: {wrong} of {given.size}: {layers}")
                break
    assert not different, "\n".join(different)
    return built
