"""Loops of compiled code: those that end are proved to, those that need not end are not."""

import shutil
import subprocess
from pathlib import Path

import pytest

from edge.errors import InnervateError
from quantize.c99 import emit
from quantize.c99.checks import checks
from quantize.c99.kernels import CORE, TARGETS, Family
from quantize.c99.loops.proof import Assumption, Loop
from quantize.c99.object_code import ObjectCode, read_objects
from tests.random_graphs import random_graph, random_lstm

CROSS = "arm-none-eabi-"
pytestmark = pytest.mark.skipif(shutil.which(CROSS + "gcc") is None, reason="needs arm-none-eabi-gcc")
CPUS = {
    "cortex-m0": ("-mcpu=cortex-m0",),
    "cortex-m4": ("-mcpu=cortex-m4",),
    "cortex-m55": ("-mcpu=cortex-m55", "-mfloat-abi=hard"),
}
# Into a row of instructions, as far before its end as a mask allows; the address is kept on the stack.
JUMP = ("and r2, r0, #3", "lsls r2, r2, #1", ".p2align 2", "adr r1, 2f")
KEPT = (
    "orr r1, r1, #1",
    "sub sp, #8",
    "str r1, [sp, #4]",
    "1: ldr.w pc, [sp, #4]",
    *["adds r3, #1"] * 3,
    "2:",
)
BACK = ("bne 1b", "bx lr")
HEAD = "int g(const void *); void k(int *);\n"

ENDS = {
    "up": "int f(const int *x, int n) { int s = 0; for (int i = 0; i < n; i++) s += x[i]; return s; }",
    "down": "int f(const short *x, int n) { int s = 0; for (; n > 0; n--) s += *x++; return s; }",
    "in fours": "void f(const char *x, int n) { for (; n >= 4; n -= 4, x += 4) g(x); }",
    "to an address": "int f(const int *x, const int *y) { int s = 0; for (; x < y; x++) s += *x; return s; }",
    "to the end of an array": "void f(int *x, int n) { for (int *end = x + n; x != end; x++) *x = g(x); }",
    "until shifted out": "int f(unsigned x) { int n = 0; for (; x != 0; x >>= 1) n += g(&n); return n; }",
    "until shifted out, left": "int f(unsigned x) { int n = 0; for (; x; x <<= 3) n += g(0); return n; }",
    "by three": "void f(const char *x, int n) { for (int i = 1; i < n; i += 3) g(x); }",
    "a constant number": "void f(const char *x) { for (int i = 0; i < 100; i++) g(x + i); }",
    "doubling": "void f(const char *x) { for (int i = 1; i < 1000; i *= 2) g(x); }",
    "nested": """int f(const int *x, int n, int m) { int s = 0;
        for (int i = 0; i < n; i++) for (int j = 0; j < m; j++) s += x[i * m + j] * j; return s; }""",
    "left early": "int f(const int *x, int n) { int i = 0; for (; i < n; i++) if (x[i]) break; return i; }",
    "continued": """int f(const int *x, int n) { int s = 0;
        for (int i = 0; i < n; i++) { if (x[i] < 0) continue; s += g(x); } return s; }""",
    "threefold, with registers to spare": """void f(const char *x, int a, int b, int c, int d, int e) {
        for (int i = 0; i < a; i++) for (int j = 0; j < b; j++) for (int l = 0; l < c; l++)
            if (g(x + i * d + j * e + l) > i + j * l) g(x - e); }""",
    "tested at the end": "void f(const char *x, int n) { int i = 0; do g(x + i); while (++i < n); }",
    "both ends": """int f(const char *x, int n) {
        for (int i = 0, j = n; i < j; i++, j--) if (x[i] != x[j]) return 0; return 1; }""",
    "a switch inside": """int f(const char *x, int n) { int s = 0; for (int i = 0; i < n; i++) switch (x[i]) {
        case 0: s += g(x); break; case 1: s -= g(x); break; case 2: s ^= 5; break; case 3: s *= g(x); break;
        case 4: s = 9; break; case 5: s += 3; break; case 6: s = -s; break; default: s++; } return s; }""",
}

NEED_NOT_END = {
    "a string": "int f(const char *p) { while (*p) p += 2; return g(p); }",
    "a list": """typedef struct l { struct l *next; int v; } l;
        int f(const l *p) { int s = 0; for (; p; p = p->next) s += p->v; return s; }""",
    "for ever": "void f(const char *x) { for (;;) g(x); }",
    "a flag": "void f(volatile int *flag) { while (*flag) {} }",
    "a flag elsewhere": "extern int stop; void f(const char *x) { while (!stop) g(x); }",
    "set back": "void f(const char *x, int n) { for (int i = 0; i < n; i++) if (g(x)) i = 0; }",
    "on one path only": "void f(const char *x, int n) { for (int i = 0; i < n;) if (g(x)) i++; }",
    "tested on one path only": """void f(const char *x, int n) {
        int i = 0; again: i++; if (g(x)) goto again; if (i < n) goto again; }""",
    "steps from data": "void f(const char *x, int n) { for (int i = 0; i < n; i += x[i]) g(x); }",
    "a step that may be 0": "void f(const char *x, int n, int m) { for (int i = 0; i < n; i += m) g(x); }",
    "there and back": "void f(const char *x, int n) { for (int i = 0; i < n;) i += g(x) ? 1 : -1; }",
    "past the end": "void f(const char *x, int n) { for (int i = 0; i != n; i += 2) g(x); }",
    "past a constant": "void f(const char *x) { for (unsigned i = 0; i != 7; i += 2) g(x); }",
    "the limit moves": "void f(const char *x, int n) { for (int i = 0; i < n; i++) n += g(x); }",
    "the limit may be written": "void f(int *n) { for (int i = 0; i < *n; i++) g(n); }",
    "the limit is written": "void f(int *n, int *x) { for (int i = 0; i < *n; i++) *x += 2; }",
    "others have the counter": "void f(int n) { for (int i = 0; i < n; i++) k(&i); }",
    "others have the counter's array": "void f(int n) { int a[2]; for (a[1] = 0; a[1] < n; a[1]++) k(a); }",
    "the counter's address is kept": """void h(int **);
        void f(int n) { int i; int *p = &i; h(&p); for (i = 0; i < n; i++) g(0); }""",
    "nobody knows": """int f(unsigned x) { int n = 0;
        for (; x != 1; n++) x = x & 1 ? 3 * x + 1 : x >> 1; return n; }""",
    "until a bit is set": "int f(unsigned x) { int n = 0; for (; !(x >> 31); x <<= 1) n++; return n; }",
    "a sign is never shifted out": "int f(int x) { int n = 0; for (; x != 0; x >>= 1) n += g(0); return n; }",
    "the inner one": "void f(const char *x, int n) { for (int i = 0; i < n; i++) while (g(x)) {} }",
    "the outer one": "void f(const char *x, int n) { while (g(x)) for (int i = 0; i < n; i++) g(x + i); }",
}


def compiled(folder: Path, cpu: str, level: str, source: str) -> ObjectCode:
    (folder / "f.c").write_text(HEAD + source + "\n")
    command = [CROSS + "gcc", *CPUS[cpu], "-mthumb", level, "-c", "f.c"]
    subprocess.run(command, check=True, cwd=folder)
    return read_objects(CROSS, [folder / "f.o"])


def loops_of(folder: Path, cpu: str, source: str) -> dict[str, list[Loop]]:
    """By level of optimization."""
    return {level: list(compiled(folder, cpu, level, source).loops) for level in ("-O1", "-O2", "-Os")}


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("source", ENDS.values(), ids=ENDS.keys())
def test_loops_that_end_are_proved_to(cpu: str, source: str, tmp_path: Path) -> None:
    for level, loops in loops_of(tmp_path, cpu, source).items():
        assert loops, level
        assert not [loop for loop in loops if loop.reason], level


@pytest.mark.parametrize("cpu", CPUS)
@pytest.mark.parametrize("source", NEED_NOT_END.values(), ids=NEED_NOT_END.keys())
def test_loops_that_need_not_end_are_not_proved_to(cpu: str, source: str, tmp_path: Path) -> None:
    for level, loops in loops_of(tmp_path, cpu, source).items():
        assert [loop for loop in loops if loop.reason], level


@pytest.mark.parametrize("cpu", CPUS)
def test_constant_data_is_told_from_memory(cpu: str, tmp_path: Path) -> None:
    """A limit that is read anew on each pass is fixed where all callers keep it in flash, and only there."""
    loop = "static __attribute__((noinline)) void h(const int *n) { for (int i = 0; i < *n; i++) g(n); }\n"
    flash = "static const int ten[] = {10, 11};\n"
    fixed = loop + flash + "void f(void) { h(ten); h(ten + 1); }"
    assert not any(one.reason for one in compiled(tmp_path, cpu, "-O2", fixed).loops)
    loose = loop + flash + "extern int other; void f(void) { h(ten); h(&other); }"
    assert [one.function for one in compiled(tmp_path, cpu, "-O2", loose).loops if one.reason] == ["f:h"]


@pytest.mark.parametrize("cpu", CPUS)
def test_what_is_assumed_is_said(cpu: str, tmp_path: Path) -> None:
    """A step of 3 up to what is not known may pass the largest number; one of 1, or to a constant, cannot."""
    source = "void f(const char *x, int n) { for (int i = 1; i < n; i += 3) g(x); }"
    assert compiled(tmp_path, cpu, "-Os", source).loops[0].assumptions == {Assumption.RANGE}
    for sure in (source.replace("n; i += 3", "n; i++"), source.replace("i < n", "i < 1000")):
        assert not compiled(tmp_path, cpu, "-Os", sure).loops[0].assumptions


def assembled(folder: Path, *lines: str) -> ObjectCode:
    head = "\n\t".join((".syntax unified", ".thumb", ".global f", ".type f, %function"))
    (folder / "f.s").write_text("\t" + head + "\nf:\n" + "\n".join(lines) + "\n")
    subprocess.run([CROSS + "gcc", "-mcpu=cortex-m55", "-mthumb", "-c", "f.s"], check=True, cwd=folder)
    return read_objects(CROSS, [folder / "f.o"])


@pytest.mark.parametrize(
    ("ends", "lines"),
    [
        (True, ("dls lr, r0", "1: adds r1, #1", "le lr, 1b", "bx lr")),
        (False, ("dls lr, r0", "1: adds r1, #1", "le 1b", "bx lr")),
        (False, ("dls lr, r0", "1: add lr, lr, #1", "le lr, 1b", "bx lr")),
        (False, ("dls lr, r0", "1: movs r2, #9", "mov lr, r2", "le lr, 1b", "bx lr")),
        (True, ("wlstp.8 lr, r0, 2f", "1: vldrb.8 q0, [r1], #16", "letp lr, 1b", "2: bx lr")),
        # Entered in the middle.
        (
            True,
            (
                "lsrs r1, r0, #1",
                "bcs 2f",
                "1: adds r2, #1",
                "2: adds r2, #1",
                "subs r0, #1",
                "bne 1b",
                "bx lr",
            ),
        ),
        (
            False,
            (
                "lsrs r1, r0, #1",
                "bcs 2f",
                "1: adds r0, #1",
                "2: adds r2, #1",
                "subs r0, #1",
                "bne 1b",
                "bx lr",
            ),
        ),
        # Done under a condition only.
        (False, ("1: cmp r1, #3", "it gt", "subgt r0, #1", "cmp r0, #0", "bne 1b", "bx lr")),
        (True, ("1: cmp r1, #3", "it gt", "movgt r1, r2", "subs r0, #1", "bne 1b", "bx lr")),
        # To an address that is worked out.
        (False, ("1: adds r1, #1", "subs r0, #1", "beq 2f", "mov pc, r2", "2: bx lr")),
        (True, (*JUMP, "subs r1, r1, r2", *KEPT, "subs r0, #1", *BACK)),
        (False, (*JUMP, "subs r1, r1, r2", *KEPT, "subs r0, #1", "adds r0, #1", *BACK)),
        (False, (*JUMP, "subs r1, r1, r0", *KEPT, "subs r0, #1", *BACK)),
    ],
)
def test_assembly(ends: bool, lines: tuple[str, ...], tmp_path: Path) -> None:
    loops = assembled(tmp_path, *lines).loops
    assert loops
    assert all(not loop.reason for loop in loops) == ends


def every_kernel(folder: Path, family: Family, flags: tuple[str, ...]) -> ObjectCode:
    """All kernels of a family, called with parameters in flash."""
    files = sorted({file for kernel in family.kernels.values() for file in kernel.files})
    for file in files:
        shutil.copyfile(CORE / file, folder / Path(file).name)
    functions = sorted({kernel.function for kernel in family.kernels.values()})
    declared = "".join(f"void {name}();\n" for name in functions)
    calls = "".join(f"    {name}(flash, a, a, a, a, a);\n" for name in functions)
    text = f"{declared}static const int flash[99] = {{1}};\nvoid all(char *a)\n{{\n{calls}}}\n"
    (folder / "all.c").write_text(text)
    sources = ["all.c", *(Path(file).name for file in files if file.endswith(".c"))]
    subprocess.run([CROSS + "gcc", "-std=c99", *flags, "-I.", "-c", *sources], check=True, cwd=folder)
    return read_objects(CROSS, sorted(folder.glob("*.o")), "all")


@pytest.mark.parametrize("level", ["-O2", "-Os"])
@pytest.mark.parametrize("target", ["generic", "cortex-m4", "cortex-m7", "cortex-m33", "cortex-m55"])
def test_every_kernel_ends(target: str, level: str, tmp_path: Path) -> None:
    chosen = TARGETS[target]
    machine = tuple(flag for flag in chosen.cflags if flag.startswith("-m"))
    code = every_kernel(tmp_path, chosen.family, (level, *(machine or ("-mcpu=cortex-m4", "-mthumb"))))
    assert len(code.loops) > 100
    assert [(loop.function, hex(loop.address), loop.reason) for loop in code.loops if loop.reason] == []


@pytest.mark.parametrize("level", ["-O2", "-Os"])
def test_every_portable_kernel_ends_on_cortex_m0(level: str, tmp_path: Path) -> None:
    flags = (level, "-mcpu=cortex-m0", "-mthumb")
    assert not [
        loop for loop in every_kernel(tmp_path, TARGETS["generic"].family, flags).loops if loop.reason
    ]


def test_a_loop_planted_in_a_kernel_is_found(tmp_path: Path) -> None:
    report = emit(random_graph(5), "net", tmp_path / "net")
    folder = tmp_path / "net"
    clean = report.checks
    assert [check.passed for check in clean if check.what == "every loop ends"] == [True]
    kernel = next(folder.glob("nrv_*.c"))
    text = kernel.read_text()
    at = text.index("{\n", text.index(f"\nvoid {kernel.stem}(")) + 2
    kernel.write_text(text[:at] + "    while (*(const volatile int8_t *)input != 0) {\n    }\n" + text[at:])
    flags = ["-std=c99", "-O2", "-mcpu=cortex-m4", "-mthumb", f"-I{folder}"]
    sources = [str(folder / source) for source in report.sources]
    subprocess.run([CROSS + "gcc", *flags, "-c", *sources], check=True, cwd=tmp_path)
    code = read_objects(CROSS, sorted(tmp_path.glob("*.o")), "net")
    found = [check for check in checks([], None, code) if not check.passed]
    assert [check.what for check in found] == ["every loop ends"]
    assert kernel.stem in found[0].evidence


def test_states_of_an_lstm_are_no_trouble(tmp_path: Path) -> None:
    for target in ("generic", "cortex-m4"):
        report = emit(random_lstm(3), "net", tmp_path / target, target)
        assert all(check.passed for check in report.checks), InnervateError(target)
