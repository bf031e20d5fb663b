"""Machines that the kernels for vectors are built for, and how their programs run here."""

import platform
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

_ARM = "aarch64-linux-gnu-gcc"
_EMULATOR = "qemu-aarch64-static"


@dataclass(frozen=True)
class Machine:
    """A processor: flags, what of /proc/cpuinfo they need, compiler, and the emulator if it is another."""

    flags: tuple[str, ...]
    needs: tuple[str, ...] = ()
    compiler: str = "gcc"
    emulator: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The compiler and its flags, for a whole program."""
        return [self.compiler, "-std=c99", *self.flags, *(("-static",) if self.emulator else ())]

    def need(self) -> None:
        """Skip the test where this machine cannot be had."""
        tools = (self.compiler, *self.emulator[:1])
        if any(shutil.which(tool) is None for tool in tools):
            pytest.skip(f"needs {' and '.join(tools)}")
        if not set(self.needs) <= processor():
            pytest.skip(f"this processor has not {', '.join(self.needs)}")


@cache
def processor() -> frozenset[str]:
    """What this x86-64 processor can do; nothing of any other."""
    file = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not file.exists():
        return frozenset()
    lines = (line for line in file.read_text().splitlines() if line.startswith("flags"))
    return frozenset(next(lines, "").split())


NATIVE = {
    "plain": Machine(("-O1",)),
    "avx2": Machine(("-O2", "-mavx2"), ("avx2",)),
    "avx_vnni": Machine(("-O2", "-mavx2", "-mavxvnni"), ("avx2", "avx_vnni")),
    "avx512": Machine(
        ("-O2", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni"),
        ("avx512bw", "avx512dq", "avx512vl", "avx512_vnni"),
    ),
    "host": Machine(("-O3", "-march=native")),
}
EMULATED = {
    "cortex-a72": Machine(("-O3", "-mcpu=cortex-a72"), (), _ARM, (_EMULATOR, "-cpu", "cortex-a72")),
    "cortex-a76": Machine(("-O3", "-mcpu=cortex-a76"), (), _ARM, (_EMULATOR, "-cpu", "max")),
}
MACHINES = NATIVE | EMULATED
