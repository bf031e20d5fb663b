"""Kernels for hosts with vectors, each built for several: not one integer differs from the reference."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from edge.engines.native import NativeEngine
from quantize.c99 import build_shared
from quantize.c99.arithmetic import single_rounding_multiplier
from quantize.c99.kernels import CORE
from quantize.c99.lowering.lower import lower
from quantize.c99.simd.fit import fit
from quantize.c99.simd.matrix import short_scale
from quantize.tflite_reader import read_model
from tests.conformance import compare, reference, run_program, run_sanitized
from tests.random_graphs import random_graph, random_lstm
from tests.random_networks import random_network
from tests.random_operators import OPERATORS, random_operators
from tests.test_compile_mve import RELU, layer
from tests.tflite_maker import SAME, VALID, Maker
from tests.vectors import EMULATED, MACHINES, NATIVE, Machine

TARGET = "host"
MANY = 30  # graphs, networks and operators of each sort natively
WARNINGS = ("-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
FEW = 12  # of each sort in the emulator


def dense(rows: int, depth: int, units: int, lowest: int = -127) -> bytes:
    """One FULLY_CONNECTED; its scale is a power of two, so that many sums lie halfway between two outputs."""
    maker, rng = Maker(), np.random.default_rng(depth)
    source = maker.input((rows, depth), 0.5, -3)
    weights = rng.integers(lowest, 128, (units, depth)).astype(np.int8)
    weights[0, 0] = lowest
    bias = maker.constant(rng.integers(-999, 999, units).astype(np.int32), 0.25)
    target = maker.tensor((rows, units), 2.0 ** np.ceil(np.log2(74 * np.sqrt(depth))), 5)
    return maker.finish(
        maker.operator("FULLY_CONNECTED", [source, maker.constant(weights, 0.5), bias], target)
    )


LAYERS = {
    "one_tap": layer((1, 9, 1), (1, 1), 3),
    "one_window": layer((1, 4, 9), (1, 4), 5),
    "one_block": layer((1, 40, 8), (1, 5), 16),
    "block_and_one": layer((1, 23, 6), (1, 3), 17),
    "two_blocks": layer((1, 17, 4), (1, 7), 32, options=(2, 1, SAME, RELU)),
    "three_blocks": layer((5, 7, 3), (3, 2), 41, options=(1, 1, SAME, 0)),
    "pointwise": layer((5, 5, 64), (1, 1), 64),
    "strided": layer((9, 8, 3), (3, 2), 6, options=(2, 1, SAME, 0)),
    "strided_beyond": layer((7, 31, 2), (1, 1), 18, options=(3, 1, VALID, 0)),
    "dilated": layer((7, 9, 5), (2, 3), 2, options=(1, 2, VALID, RELU)),
    "dilated_padded": layer((1, 50, 1), (1, 8), 12, options=(1, 4, SAME, 0)),
    "one_channel": layer((3, 40, 1), (1, 24), 7, options=(1, 1, SAME, 0)),
    "pooled_by_two": layer((1, 23, 4), (1, 5), 9, pool=2),
    "pooled_by_four": layer((1, 42, 3), (1, 3), 20, options=(1, 1, SAME, RELU), pool=4),
    "pooled_rows": layer((3, 13, 2), (2, 2), 33, pool=2),
    "dense": dense(1, 64, 8),
    "dense_wide": dense(1, 67, 130),
    "dense_rows": dense(19, 33, 21),
    "dense_of_one": dense(5, 1, 1),
}
LOWEST = {"dense_lowest": dense(3, 20, 4, -128)}


def test_short_scales_give_the_same_outputs() -> None:
    """At every sum where either steps up, and its neighbours; in between both are flat."""
    found, rng = 0, np.random.default_rng(0)
    for _ in range(60):
        bound = int(2 ** rng.uniform(8, 30))
        multiplier = single_rounding_multiplier(float(2 ** rng.uniform(-16, 1)), bound)
        assert multiplier is not None
        short = short_scale(multiplier.value, multiplier.shift, bound)
        if short is None:
            continue
        found += 1
        pairs = [(multiplier.value, multiplier.shift), short]
        steps = {((2 * level - 1) << s - 1) // m for m, s in pairs for level in range(1, 256)}
        for acc in {min(max(step + d, 0), bound) for step in steps for d in (-1, 0, 1, 2)}:
            first, second = (min((acc * m + (1 << s - 1)) >> s, 255) for m, s in pairs)
            assert first == second, (acc, pairs)
    assert found >= 50
    assert short_scale(0, 40, 100) is None


def random_files(first: int, count: int) -> dict[str, bytes]:
    """Graphs, networks and states of every sort, and every operator by itself."""
    files = {f"graph_{seed}": random_graph(seed) for seed in range(first, first + count)}
    files |= {f"network_{seed}": random_network(seed) for seed in range(first, first + count)}
    files |= {f"lstm_{seed}": random_lstm(seed) for seed in range(first, first + count // 3)}
    return files | {name: random_operators(name, first, count) for name in OPERATORS}


@pytest.mark.parametrize("name", NATIVE)
def test_native(name: str, tmp_path: Path) -> None:
    NATIVE[name].need()
    compare(random_files(0, MANY) | LAYERS | LOWEST, TARGET, tmp_path, *NATIVE[name].flags)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 2000, 100))
@pytest.mark.parametrize("name", NATIVE)
def test_native_often(name: str, first: int, tmp_path: Path) -> None:
    NATIVE[name].need()
    compare(random_files(first, 100), TARGET, tmp_path, *NATIVE[name].flags)


@pytest.mark.parametrize("name", EMULATED)
def test_emulated(name: str, tmp_path: Path) -> None:
    machine = EMULATED[name]
    machine.need()
    run_program(random_files(0, FEW) | LAYERS, name, tmp_path, [*machine.command, "-w"], *machine.emulator)


@pytest.mark.parametrize("name", MACHINES)
def test_anchors(name: str, anchors: Path, tmp_path: Path) -> None:
    machine = MACHINES[name]
    machine.need()
    files = {file.stem: file.read_bytes() for file in sorted(anchors.glob("*.tflite"))}
    run_program(files, TARGET, tmp_path, [*machine.command, "-w"], *machine.emulator)


@pytest.mark.parametrize("name", ["plain", "avx2", "avx512"])
def test_sanitizers(name: str, tmp_path: Path) -> None:
    """No undefined behaviour and no access outside any array."""
    NATIVE[name].need()
    files = {f"graph_{seed}": random_graph(seed) for seed in range(200, 260)}
    run_sanitized(files | LAYERS, TARGET, tmp_path, *NATIVE[name].flags)


def compile_all(machine: Machine, *options: str) -> None:
    machine.need()
    sources = [str(source) for source in sorted((CORE / "kernels").glob("nrv_simd_*.c"))]
    includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
    subprocess.run([machine.compiler, *options, *WARNINGS, *machine.flags, *includes, *sources], check=True)


@pytest.mark.parametrize("name", MACHINES)
def test_no_warnings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    compile_all(MACHINES[name], "-std=c99", "-c")


@pytest.mark.parametrize("name", NATIVE)
def test_no_warnings_as_cpp(name: str) -> None:
    """Syntax alone: GCC 12 warns of its own headers where it optimizes C++."""
    compile_all(NATIVE[name], "-x", "c++", "-std=c++17", "-fsyntax-only")


@pytest.mark.parametrize(("files", "generic"), [(LAYERS, False), (LOWEST, True)])
def test_kernels_are_those_of_the_family(files: dict[str, bytes], generic: bool) -> None:
    """But for a weight of -128, whose products with -128 would not fit where pairs are added."""
    kernels = {step.kernel for tflite in files.values() for step in fit(lower(read_model(tflite))).steps}
    assert kernels == ({"dense"} if generic else {"simd_conv2d", "simd_dense"})


def test_a_library_is_for_the_processor_it_was_built_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache that came along with a home folder is not used on another machine."""
    NATIVE["avx2"].need()
    compiler = tmp_path / "compiler"
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    libraries = set()
    for flag in ("-mno-avx512f", "-mno-avx2", "-mno-avx512f"):
        compiler.write_text(f'#!/bin/sh\nexec gcc "$@" {flag}\n')
        compiler.chmod(0o755)
        libraries.add(build_shared(LAYERS["one_block"]))
    assert len(libraries) == 2


def test_a_compiler_that_does_not_know_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "compiler"
    compiler.write_text('#!/bin/sh\ncase "$*" in *march=native*) exit 1;; esac\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    window = np.random.default_rng(0).integers(-128, 128, (1, 1, 40, 8), np.int8)
    tflite = LAYERS["one_block"]
    outputs = NativeEngine(build_shared(tflite)).run(window)
    assert np.array_equal(outputs, reference(tflite, [window.reshape(-1)])[0])
