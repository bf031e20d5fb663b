"""What the compiler writes: whole folders, the same every time, clean under every warning."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edge.engines.native import NativeEngine
from edge.errors import InnervateError
from quantize.c99 import Report, build_shared, emit
from quantize.c99.arena import Buffer, plan
from quantize.c99.kernels import CORE, TARGETS
from quantize.c99.toolchain import CallGraph
from quantize.tflite_writer import write
from tests.conformance import write_all
from tests.random_graphs import random_graph, random_lstm
from tests.random_operators import OPERATORS, random_operators
from tests.test_c99_dsp_planes import chain
from tests.tflite_maker import Maker
from tests.tiny_bundle import HOP, tiny_graph

WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
# Cortex-M0 and M55 are no targets of the DSP kernels, but whatever is compiled has to compile there.
COMPILERS = {
    "gcc": (),
    "clang": (),
    "arm-none-eabi-gcc": ("-mcpu=cortex-m4", "-mthumb"),
    "arm-none-eabi-gcc m0": ("-mcpu=cortex-m0", "-mthumb"),
    "arm-none-eabi-gcc m7": ("-mcpu=cortex-m7", "-mthumb"),
    "arm-none-eabi-gcc m55": ("-mcpu=cortex-m55", "-mthumb"),
}


def names(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if not f.is_dir())


def two_inputs_two_outputs() -> bytes:
    """ADD of two inputs; the sum reshaped is one output, an input passed through the other."""
    maker = Maker()
    first, second = maker.input((1, 6), 0.5, 1), maker.input((1, 6), 0.25, -2)
    total = maker.operator("ADD", [first, second], maker.tensor((1, 6), 0.75, 0))
    shape = maker.constant(np.array([2, 3], np.int32))
    shaped = maker.operator("RESHAPE", [total, shape], maker.tensor((2, 3), 0.75, 0))
    passed = maker.operator("RESHAPE", [second, shape], maker.tensor((2, 3), 0.25, -2))
    return maker.finish(shaped, passed)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sources that hold every kernel, each once."""
    folder = tmp_path_factory.mktemp("sample")
    models = {f"g{seed}": random_graph(seed) for seed in (*range(8), 13, 24)}
    models |= {"lstm": random_lstm(8), "raised": random_lstm(2), "planes": chain(322)}
    models["two"] = two_inputs_two_outputs()
    models |= {name.lower(): random_operators(name, 0, 4) for name in OPERATORS}
    sources: dict[str, Path] = {}
    for target in ("generic", "cortex-m4", "cortex-m55", "host"):
        out = folder / target
        out.mkdir()
        named = {f"{name}_{target[-2:]}": tflite for name, tflite in models.items()}
        sources |= {Path(s).name: Path(s) for s in write_all(named, target, out)[0]}
        streamed = {f"stream_{target[-2:]}": write(tiny_graph())}
        sources |= {Path(s).name: Path(s) for s in write_all(streamed, target, out, HOP)[0]}
    kernels = {name for name in sources if name.startswith("nrv_")}
    assert kernels == {f.name for f in (CORE / "kernels").glob("*.c")}, "the sample misses a kernel"
    return list(sources.values())


@pytest.mark.parametrize("optimization", ["-O0", "-O2"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_no_warnings(compiler: str, optimization: str, sample: list[Path], tmp_path: Path) -> None:
    command = [*compiler.split()[:1], *WARNINGS, optimization, *COMPILERS[compiler], "-c"]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    includes = sorted({f"-I{source.parent}" for source in sample})
    subprocess.run([*command, *includes, *map(str, sample)], check=True, cwd=tmp_path)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_no_warnings_as_cpp(compiler: str, sample: list[Path]) -> None:
    """Who renames the files or includes them in others' code gets C++17 as clean as C99."""
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    includes = sorted({f"-I{source.parent}" for source in sample})
    flags = ["-x", "c++", "-std=c++17", *WARNINGS[1:], "-fsyntax-only"]
    subprocess.run([compiler, *flags, *includes, *map(str, sample)], check=True)


def test_structures_are_initialized_member_by_member(tmp_path: Path) -> None:
    """Arrays and nested structures that are not given take no values of the members after them."""
    from quantize.c99.structures import structures

    (tmp_path / "a.h").write_text(
        "typedef struct {\n    int32_t a, b[4]; /* ; { */\n    const int8_t *w;\n} inner_t;\n"
        "typedef struct {\n    inner_t inner;\n    uint32_t *p, n;\n} outer_t;\n"
    )
    found = structures(tmp_path)
    assert list(found["inner_t"].items()) == [("a", "int32_t"), ("b", "int32_t[]"), ("w", "int8_t*")]
    assert list(found["outer_t"].items()) == [("inner", "inner_t"), ("p", "uint32_t*"), ("n", "uint32_t")]


def test_header_serves_cpp(tmp_path: Path) -> None:
    if shutil.which("g++") is None:
        pytest.skip("g++ is not installed")
    emit(random_graph(3), "net", tmp_path / "net")
    (tmp_path / "use.cpp").write_text(
        '#include "net.h"\nnet_t n; int8_t i[NET_INPUT_SIZE], o[NET_OUTPUT_SIZE];\n'
        "float scale = NET_INPUT_SCALE + NET_OUTPUT_SCALE; int zero = NET_INPUT_ZERO_POINT;\n"
        "void f() { net_reset(&n); net_run(&n, i, o); }\n"
    )
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror", "-fsyntax-only"]
    subprocess.run(["g++", *flags, f"-I{tmp_path / 'net'}", str(tmp_path / "use.cpp")], check=True)


def test_no_heap_recursion_or_unbounded_stack(tmp_path: Path) -> None:
    """The object code of every kernel calls nothing but each other, memcpy, memmove and memset."""
    source = sorted((CORE / "kernels").glob("*.c"))
    subprocess.run(
        ["gcc", "-std=c99", "-O2", f"-I{CORE}", f"-I{CORE / 'kernels'}", "-c", *map(str, source)],
        check=True,
        cwd=tmp_path,
    )
    listing = subprocess.run(
        ["nm", *map(str, tmp_path.glob("*.o"))], capture_output=True, text=True, check=True
    ).stdout
    words = [line.split()[-2:] for line in listing.splitlines() if len(line.split()) > 1]
    undefined = {name for kind, name in words if kind == "U"} - {name for kind, name in words if kind == "T"}
    assert undefined <= {"memcpy", "memmove", "memset", "__stack_chk_fail"}


def test_deterministic(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        emit(random_graph(5), "net", tmp_path / folder)
    assert names(tmp_path / "a") == names(tmp_path / "b")
    for name in names(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_folder_and_report(tmp_path: Path) -> None:
    report = emit(random_graph(5), "net", tmp_path / "net")
    assert isinstance(report, Report)
    written = json.loads((tmp_path / "net" / "report.json").read_text())
    assert written["arena_bytes"] == report.arena_bytes
    assert written["sources"] == report.sources
    assert {"net.c", "net.h", "CMakeLists.txt", "report.json", "fixed.h"} <= set(names(tmp_path / "net"))
    for layer in report.layers:
        assert layer.accumulator_bound is None or layer.accumulator_bound < 2**31
    assert [entry.name for entry in tmp_path.iterdir()] == ["net"]


def test_replaces_its_own_folder_only(tmp_path: Path) -> None:
    emit(random_graph(5), "net", tmp_path / "net")
    emit(random_graph(6), "other", tmp_path / "net")
    assert "net.c" not in names(tmp_path / "net")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("")
    with pytest.raises(InnervateError, match="Not overwriting"):
        emit(random_graph(5), "net", tmp_path / "papers")
    assert names(tmp_path / "papers") == ["thesis.tex"]


def test_nothing_is_left_of_a_refused_file(tmp_path: Path) -> None:
    with pytest.raises(InnervateError):
        emit(random_graph(5)[:-40], "net", tmp_path / "net")
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["", "9lives", "a-b", "int", "nrv_conv2d", "NRV_X", "über", "a" * 64, "../x", "fixed"]
)
def test_names_that_are_no_c_identifiers(name: str, tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="cannot name a C type"):
        emit(random_graph(5), name, tmp_path / "net")


def test_unknown_target(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match=f"Known targets: {', '.join(TARGETS)}"):
        emit(random_graph(5), "net", tmp_path / "net", target="z80")


def test_reshapes_alone(tmp_path: Path) -> None:
    maker = Maker()
    source, shape = maker.input((1, 4), 0.5, 1), maker.constant(np.array([2, 2], np.int32))
    tflite = maker.finish(maker.operator("RESHAPE", [source, shape], maker.tensor((2, 2), 0.5, 1)))
    window = np.array([1, -128, 127, 0], np.int8)
    assert np.array_equal(NativeEngine(build_shared(tflite)).run(window), window)
    assert emit(tflite, "net", tmp_path / "net").macs == 0


def test_several_inputs_and_outputs(tmp_path: Path) -> None:
    import ctypes

    tflite = two_inputs_two_outputs()
    report = emit(tflite, "two", tmp_path / "two")
    sources = [str(tmp_path / "two" / s) for s in report.sources]
    library = tmp_path / "two.so"
    subprocess.run(
        ["gcc", "-fPIC", "-shared", f"-I{tmp_path / 'two'}", *sources, "-o", str(library)], check=True
    )
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-128, 128, 6, np.int8) for _ in range(2)]
    outputs = [np.zeros(6, np.int8) for _ in range(2)]
    state = np.zeros(report.arena_bytes + 8, np.int8)
    run = ctypes.CDLL(str(library)).two_run
    run(*(ctypes.c_void_p(a.ctypes.data) for a in (state, *inputs, *outputs)))
    interpreter = Interpreter(model_content=tflite, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    for details, values in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], values.reshape(1, 6))
    interpreter.invoke()
    for details, values in zip(interpreter.get_output_details(), outputs, strict=True):
        assert np.array_equal(interpreter.get_tensor(details["index"]).reshape(-1), values)
    with pytest.raises(InnervateError, match="2 inputs and 2 outputs that do not pair by name"):
        build_shared(tflite)


def test_shared_library_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = build_shared(random_graph(5))
    stamp = first.stat().st_mtime_ns
    assert build_shared(random_graph(5)) == first
    assert first.stat().st_mtime_ns == stamp
    assert build_shared(random_graph(6)) != first
    assert first.is_relative_to(tmp_path)


def test_no_compiler_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(InnervateError, match="No C compiler found"):
        build_shared(random_graph(5))
    assert emit(random_graph(5), "net", tmp_path / "net").build is None


def test_engine_refuses_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InnervateError, match="no such model library"):
        NativeEngine(tmp_path / "none.so")
    (tmp_path / "text.so").write_text("not a library")
    with pytest.raises(InnervateError, match="Not a model library"):
        NativeEngine(tmp_path / "text.so")
    (tmp_path / "other.c").write_text("int f(void) { return 1; }\n")
    subprocess.run(["gcc", "-shared", "-fPIC", "other.c", "-o", "other.so"], check=True, cwd=tmp_path)
    with pytest.raises(InnervateError, match="Not a model library"):
        NativeEngine(tmp_path / "other.so")


def test_engine_checks_windows() -> None:
    engine = NativeEngine(build_shared(random_graph(5)))
    size = int(np.prod(engine.input_shape))
    assert engine.run(np.zeros(size, np.int8)).shape == (engine.output_size,)
    with pytest.raises(InnervateError, match="is no int8 input of"):
        engine.run(np.zeros(size + 1, np.int8))
    with pytest.raises(InnervateError, match="float32"):
        engine.run(np.zeros(size, np.float32))


def test_engines_do_not_share_state() -> None:
    library = build_shared(random_graph(5))
    engines = [NativeEngine(library) for _ in range(2)]
    windows = np.random.default_rng(1).integers(-128, 128, (2, int(np.prod(engines[0].input_shape))), np.int8)
    alone = [engines[0].run(w) for w in windows]
    assert np.array_equal(engines[1].run(windows[0]), alone[0])
    assert np.array_equal(engines[0].run(windows[1]), alone[1])


def test_arena_buffers_never_collide() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(1, 12))
        first = rng.integers(0, 10, count)
        buffers = [
            Buffer(f"b{i}", int(rng.integers(1, 200)), int(f), int(f + rng.integers(0, 4)))
            for i, f in enumerate(first)
        ]
        placed = plan(buffers)
        # The oracle: a byte map of each step.
        for step in range(14):
            used = np.zeros(placed.size, int)
            for p in placed.placements:
                if p.buffer.first <= step <= p.buffer.last:
                    used[p.offset : p.offset + p.buffer.size] += 1
                    assert p.offset % 4 == 0
                    assert p.offset + p.buffer.size <= placed.size
            assert used.max(initial=0) <= 1
        assert placed.bound <= placed.size


def test_arena_outputs_over_their_inputs() -> None:
    """A chain of layers, each output allowed over its input from some distance on."""
    rng = np.random.default_rng(1)
    overlaps = 0
    for _ in range(200):
        buffers = [Buffer("b0", int(rng.integers(1, 200)), 0, 1)]
        for i in range(1, int(rng.integers(2, 8))):
            over = {f"b{i - 1}": int(rng.integers(-40, 80))} if rng.random() < 0.8 else {}
            buffers.append(Buffer(f"b{i}", int(rng.integers(1, 200)), i, i + 1, over))
            if rng.random() < 0.5:
                buffers.append(Buffer(f"s{i}", int(rng.integers(1, 50)), i, i))
        placed = plan(buffers)
        at = {p.buffer.name: p for p in placed.placements}
        for p in placed.placements:
            for q in placed.placements:
                apart = p.offset + p.buffer.size <= q.offset or q.offset + q.buffer.size <= p.offset
                together = p.buffer.first <= q.buffer.last and q.buffer.first <= p.buffer.last
                if p is q or apart or not together:
                    continue
                overlaps += 1
                upper, lower = (p, q) if q.buffer.name in p.buffer.over else (q, p)
                lead = upper.buffer.over[lower.buffer.name]
                assert at[lower.buffer.name].offset - upper.offset >= lead
        assert placed.bound <= placed.size <= sum(p.end - p.offset for p in placed.placements)
    assert overlaps > 100


def test_worst_stack_of_a_known_call_graph() -> None:
    graph = (
        'node: { title: "run" label: "run\\nx.c:1:1\\n16 bytes (static)" }\n'
        'node: { title: "a.c:leaf" label: "leaf\\nx.c:2:1\\n40 bytes (static)" }\n'
        'node: { title: "mid" label: "mid\\nx.c:3:1\\n8 bytes (static)" }\n'
        'edge: { sourcename: "run" targetname: "mid" label: "" }\n'
        'edge: { sourcename: "mid" targetname: "a.c:leaf" label: "" }\n'
        'edge: { sourcename: "run" targetname: "memcpy" label: "" }\n'
    )
    assert CallGraph([graph]).worst_stack("run") == 64
    assert CallGraph([graph]).foreign("run") == ["memcpy"]
    cycle = 'edge: { sourcename: "a.c:leaf" targetname: "run" label: "" }\n'
    assert CallGraph([graph, cycle]).worst_stack("run") is None
    assert CallGraph([graph.replace("8 bytes (static)", "8 bytes (dynamic)")]).worst_stack("run") is None
