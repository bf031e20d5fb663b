"""What is read back from object code: seeded faults are found, and generated code has none of them."""

import shutil
import subprocess
from pathlib import Path

import pytest

from quantize.c99 import emit
from quantize.c99.checks import checks
from quantize.c99.object_code import ObjectCode, read_objects
from quantize.c99.report import Check
from tests.random_graphs import random_graph, random_lstm

CROSS = "arm-none-eabi-"
needs_cross = pytest.mark.skipif(shutil.which(CROSS + "gcc") is None, reason="needs arm-none-eabi-gcc")
CPUS = ("cortex-m0", "cortex-m4")


def compiled(folder: Path, cpu: str, *sources: str) -> ObjectCode:
    for number, source in enumerate(sources):
        (folder / f"s{number}.c").write_text(source)
    command = [CROSS + "gcc", f"-mcpu={cpu}", "-mthumb", "-O1", "-fno-inline", "-c"]
    subprocess.run([*command, *(f"s{n}.c" for n in range(len(sources)))], check=True, cwd=folder)
    return read_objects(CROSS, sorted(folder.glob("*.o")))


def failed(code: ObjectCode) -> list[str]:
    return [check.what for check in checks([], None, code) if not check.passed]


@needs_cross
@pytest.mark.parametrize("cpu", CPUS)
def test_heap_is_found(cpu: str, tmp_path: Path) -> None:
    code = compiled(tmp_path, cpu, "#include <stdlib.h>\nvoid *f(unsigned n) { return malloc(n); }\n")
    assert code.undefined == {"malloc"}
    assert failed(code) == ["no heap, nothing of the C library but memcpy, memset and memmove"]


@needs_cross
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize(
    "sources",
    [
        ("int f(int n) { return n < 2 ? 1 : n * f(n - 1) + f(n - 2); }\n",),
        (
            "int g(int);\nint f(int n) { return 2 * g(n); }\n",
            "int f(int);\nint g(int n) { return 3 * f(n); }\n",
        ),
        ("int g(int);\nint f(int n) { return g(n); }\n", "int f(int);\nint g(int n) { return f(n); }\n"),
        (
            "static int g(int n);\nint f(int n) { return n ? g(n) + 1 : 0; }\n"
            "int g(int n) { return f(n - 1) * 3; }\n",
        ),
    ],
    ids=["itself", "two objects", "tail calls", "static"],
)
def test_recursion_is_found(cpu: str, sources: tuple[str, ...], tmp_path: Path) -> None:
    code = compiled(tmp_path, cpu, *sources)
    assert code.cycle
    assert "no recursion" in failed(code)


@needs_cross
@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("body", ["return g(n);", "return 1 + g(n);"], ids=["jump", "call"])
def test_call_through_a_pointer_is_found(cpu: str, body: str, tmp_path: Path) -> None:
    code = compiled(tmp_path, cpu, f"int f(int (*g)(int), int n) {{ {body} }}\n")
    assert code.indirect == 1
    assert failed(code) == ["no call through a pointer"]


@needs_cross
@pytest.mark.parametrize("cpu", CPUS)
def test_variables_are_found(cpu: str, tmp_path: Path) -> None:
    code = compiled(tmp_path, cpu, "static int n = 3;\nint m[4];\nint f(void) { return m[1] + n++; }\n")
    assert code.writable_bytes == 20
    assert failed(code) == ["no variable outside the caller's memory"]


@needs_cross
@pytest.mark.parametrize("cpu", CPUS)
def test_switches_returns_and_twin_names_are_no_faults(cpu: str, tmp_path: Path) -> None:
    cases = " ".join(f"case {i}: n += h(n, {i}); break;" for i in range(12))
    twin = (
        "static int h(int n, int k) {{ return n / k; }}\n"
        "int {0}(int n) {{ switch (n) {{ {1} }} return h(n, 3) - n; }}\n"
    )
    # h of one object calls what calls h of the other: a ring only to those who mix the two up.
    first = "int b(int);\nstatic int h(int n) { return b(n) + 1; }\nint a(int n) { return h(n) + 1; }\n"
    code = compiled(tmp_path, cpu, first, twin.format("b", cases))
    assert code.calls["a"] == {"s0:h"}
    assert code.calls["s0:h"] == {"b"}
    assert "s1:h" in code.calls["b"]
    assert failed(code) == []


@needs_cross
@pytest.mark.parametrize("target", ["generic", "cortex-m4"])
def test_generated_code_passes(target: str, tmp_path: Path) -> None:
    for model in (random_graph(5), random_lstm(8)):
        report = emit(model, "net", tmp_path / "net", target)
        assert all(check.passed for check in report.checks)
        assert [check.how for check in report.checks].count("object code") == 5


def test_without_a_compiler_what_is_proved_remains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    report = emit(random_graph(5), "net", tmp_path / "net")
    assert [check.how for check in report.checks] == ["proved", "construction"]
    bound = max(layer.accumulator_bound or 0 for layer in report.layers)
    assert f"{bound:,}" in report.checks[0].evidence
    assert isinstance(report.checks[0], Check)
