"""The core compiles without a warning wherever it must, and the sanitizers find nothing in it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.core.build_binding import CORE, SOURCES, declarations
from tests.fuzz_core import FLAGS, build

COMPILERS = [
    ["gcc"],
    ["aarch64-linux-gnu-gcc"],
    ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m0"],
    ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4"],
    ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m55"],
]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("compiler", COMPILERS, ids=" ".join)
def test_compiles_without_a_warning_and_without_a_library(compiler: list[str], tmp_path: Path) -> None:
    if shutil.which(compiler[0]) is None:
        pytest.skip(f"{compiler[0]} is not installed")
    for name in SOURCES:
        target = tmp_path / name.replace(".c", ".o")
        built = run([*compiler, *FLAGS, "-c", str(CORE / name), "-o", str(target)])
        assert built.returncode == 0, built.stderr
        nm = compiler[0].replace("gcc", "nm")
        undefined = {line.split()[-1] for line in run([nm, "-u", str(target)]).stdout.splitlines()}
        runtime = {"memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_", "__cpu_model"}
        allowed = {s for s in undefined if s.startswith(("nrv_", "__aeabi_", "__gnu_thumb1_"))} | runtime
        assert undefined <= allowed


def test_the_multiply_accumulates_are_single_instructions_on_cortex_m4(tmp_path: Path) -> None:
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("arm-none-eabi-gcc is not installed")
    assembly = tmp_path / "biquad.s"
    command = ["arm-none-eabi-gcc", "-mthumb", "-mcpu=cortex-m4", *FLAGS, "-DNRV_PORTABLE", "-S"]
    built = run([*command, str(CORE / "biquad.c"), "-o", str(assembly)])
    assert built.returncode == 0, built.stderr
    # Five products and two of a_low: one begins each sum, the rest are added to it.
    assert assembly.read_text().count("\tsmlal\t") >= 5


@pytest.fixture(scope="module")
def fuzzer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    program = tmp_path_factory.mktemp("fuzz") / "fuzz_core"
    complaint = build(program)
    if "cannot find" in complaint:
        pytest.skip("gcc without its sanitizer libraries")
    assert not complaint
    return program


def test_sanitizers_and_reference_find_nothing(fuzzer: Path) -> None:
    ran = run([str(fuzzer), "1", "1000"])
    assert (ran.returncode, ran.stdout) == (0, "1000 rounds\n"), ran.stderr


def test_the_fuzzer_runs_by_time(fuzzer: Path) -> None:
    ran = run([str(fuzzer), "5000", "--seconds", "1"])
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout.split()[0]) > 0
    assert run([str(fuzzer)]).returncode == 2


def test_declarations_keep_plain_integers_only() -> None:
    header = (
        "#ifndef X\n#include <stdint.h>\n#define N 3\n#define F(a) \\\n  ((a) + 1)\n"
        "/* int no; */\nint yes(int a[N]);\n#endif\n"
    )
    assert declarations(header).split() == ["#define", "N", "3", "int", "yes(int", "a[N]);"]
