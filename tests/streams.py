"""Compiles files for hops and compares what they give, push by push, with TFLite's reference kernels."""

import ctypes
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from quantize.c99.arena import plan
from quantize.c99.buffers import arena_buffers
from quantize.c99.emitter import write_sources
from quantize.c99.kernels import find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.shared import find_compiler
from quantize.c99.streaming.stream import Streaming, stream
from quantize.tflite_reader import read_model
from tests.conformance import Ends, main_text, reference, run_main, sanitizing
from tests.random_graphs import Graph, f32
from tests.tflite_maker import SAME, VALID

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

        # A run starts the stream anew, and so do pushes after a reset, as many as fill a window.
        filling = -(-source.columns // case.hop)
        ends_at = [(n, "run" if n in (0, PUSHES + 2) else "push") for n in range(len(windows))]
        ends_at += [(len(windows) - n, "push") for n in range(filling, 0, -1)]
        for call, (n, what) in enumerate(ends_at):
            stop = source.columns + n * case.hop
            if call == len(windows):
                getattr(loaded, f"{name}_reset")(ctypes.c_void_p(memory.ctypes.data))
            values = signal[:, stop - (source.columns if what == "run" else case.hop) : stop]
            outputs = [np.zeros(size, np.int8) for size in out.sizes]
            arrays = [memory, values.copy(), *(part.copy() for part in rest), *outputs]
            getattr(loaded, f"{name}_{what}")(*(ctypes.c_void_p(a.ctypes.data) for a in arrays))
            given = np.concatenate(outputs)
            full = call < len(windows) or call == len(ends_at) - 1
            if full and not np.array_equal(given, expected[n]):
                wrong = int(np.sum(given != expected[n]))
                layers = [o.name for o in read_model(case.tflite).operators]
                different.append(f"{name}, hop {case.hop}, call {call}: {wrong} of {given.size}: {layers}")
                break
    assert not different, "\n".join(different)
    return built


def rewritten(tflite: bytes, strides: tuple[int, ...], padding: int = VALID) -> bytes:
    """A file of one-row convolutions after each other with other strides and padding, otherwise the same."""
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite))
    graph = file.subgraphs[0]
    convolutions = [o for o in graph.operators if o.builtinOptionsType == schema.BuiltinOptions.Conv2DOptions]
    for operator, stride in zip(convolutions, strides, strict=True):
        operator.builtinOptions.padding, operator.builtinOptions.strideW = padding, stride
        source, weights, output = (
            graph.tensors[i] for i in (operator.inputs[0], operator.inputs[1], operator.outputs[0])
        )
        reach = weights.shape[2] if padding == VALID else 1
        output.shape = [*output.shape[:2], (source.shape[2] - reach) // stride + 1, output.shape[3]]
        output.shapeSignature = None
    builder = flatbuffers.Builder(1024)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


class Recording(Graph):
    """A chain of layers over a window of a recording, of which `axis` is time."""

    def __init__(self, seed: int) -> None:
        super().__init__(np.random.default_rng(seed))
        length, channels = self.integer(24, 90), self.integer(1, 6)
        across = 1 if self.rng.random() < 0.6 else self.integer(2, 5)
        self.axis = self.integer(1, 2)
        sides = (length, across) if self.axis == 1 else (across, length)
        self.maker.graph.tensors[self.at].shape = [1, *sides, channels]
        self.shape = (1, *sides, channels)
        self.length, self.samples = length, 1

    def window(self) -> tuple[int, int, int, int, int, int, int]:
        height, width, down, right, padding, *dilation = super().window()
        if self.rng.random() < 0.5:
            padding = VALID if self.shape[1] >= height and self.shape[2] >= width else padding
            reaches = [(n - 1) * d + 1 for n, d in zip((height, width), dilation, strict=True)]
            if any(r > n for r, n in zip(reaches, self.shape[1:3], strict=True)):
                padding = SAME
        strides = [down, right]
        if self.rng.random() < 0.5:
            strides[self.axis - 1] = 1
        self.samples *= strides[self.axis - 1]
        return height, width, strides[0], strides[1], padding, dilation[0], dilation[1]

    def lookup(self) -> None:
        before, name = self.at, str(self.rng.choice(["RELU", "TANH", "LOGISTIC"]))
        scale, zero = {"RELU": (self.scale, self.zero), "TANH": (1 / 128, 0), "LOGISTIC": (1 / 256, -128)}[
            name
        ]
        self.maker.operator(name, [before], self.output(self.shape, scale, zero))

    def scaled(self) -> None:
        """Each channel times a constant of its own, or a constant times each of them."""
        shape = (self.shape[3],) if self.rng.random() < 0.5 else (1, 1, 1, 1)
        constant = self.maker.constant(self.rng.integers(-128, 128, shape).astype(np.int8), 1 / 100)
        inputs = [self.at, constant] if self.rng.random() < 0.5 else [constant, self.at]
        scale = f32(self.scale * 2.0 ** self.rng.uniform(-1, 1))
        out = self.output(self.shape, scale, self.some_zero())
        self.maker.operator("MUL", inputs, out, fusedActivationFunction=self.activation())


def random_stream(seed: int) -> Case:
    """One to five layers over time, then perhaps a mean, dense layer, softmax; and a hop."""
    graph = Recording(seed)
    layers = [
        lambda: graph.convolution(False),
        lambda: graph.convolution(True),
        graph.pool,
        graph.pooled,
        graph.add,
        graph.lookup,
        graph.scaled,
        graph.pad,
    ]
    for _ in range(graph.integer(1, 5)):
        layers[int(graph.rng.choice(8, p=[0.25, 0.2, 0.15, 0.08, 0.1, 0.1, 0.1, 0.02]))]()
    for head, chance in ((graph.mean, 0.3), (graph.dense, 0.4), (graph.softmax, 0.3)):
        if graph.rng.random() < chance and len(graph.shape) >= 1:
            head()
    hop = graph.integer(1, graph.length - 1)
    if graph.samples < graph.length and graph.rng.random() < 0.7:
        hop = graph.samples * graph.integer(1, max(1, (graph.length - 1) // graph.samples // 2))
    return Case(graph.maker.finish(graph.at), hop)


def run_streams_sanitized(cases: Mapping[str, Case], target: str, folder: Path) -> None:
    """Run a window and pushes of each case, every array between guards; fail at undefined behaviour."""
    sources, built = write_all(cases, target, folder)
    fed, wanted, body = [], [], list[str]()
    for number, (name, case) in enumerate(cases.items()):
        ends, out = Ends(case.tflite, True), Ends(case.tflite, False)
        one, source = built[name], built[name].streaming.source
        signal = recording(one, ends.types[0], 2, number)
        windows = [signal[:, n * case.hop :][:, : source.columns].copy() for n in range(3)]
        pieces = [windows[0], *(window[:, -case.hop :].copy() for window in windows[1:])]
        wanted += reference(case.tflite, [w.reshape(-1).view(np.int8) for w in windows])
        body += ["{", f"{name}_t *m = filled(sizeof *m);", f"int8_t *out = filled({out.size});"]
        body.append(f"{name}_reset(m);")
        for what, piece in zip(("run", "push", "push"), pieces, strict=True):
            fed.append(piece.reshape(-1).view(np.int8))
            size = piece.nbytes
            body += ["{", f"int8_t *in = filled({size});", f"fread(in, 1, {size}, stdin);"]
            body += [f"{name}_{what}(m, in, out);", f"fwrite(out, 1, {out.size}, stdout);", "free(in);", "}"]
        body += ["free(out);", "free(m);", "}"]
    (folder / "main.c").write_text(main_text(list(cases), body))
    run_main(folder, sources, sanitizing(), np.concatenate(fed), np.concatenate(wanted))
