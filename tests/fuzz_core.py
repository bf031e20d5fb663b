"""Builds and runs the fuzzer of the C core: `python -m tests.fuzz_core --seconds 300`."""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge.core.build_binding import CORE, SOURCES

FLAGS = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
SANITIZERS = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
HERE = Path(__file__).parent / "c"


def build(program: Path) -> str:
    """Build the fuzzer with the address and undefined-behaviour sanitizers; return what the compiler says."""
    sources = [str(CORE / name) for name in SOURCES] + sorted(map(str, HERE.glob("*.c")))
    command = ["gcc", *FLAGS, *SANITIZERS, f"-I{CORE}", *sources, "-o", str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_core", description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument(
        "--seed", type=int, default=time.time_ns() // 10**9 * 10**6, help="of the first round"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="innervate-fuzz-") as folder:
        program = Path(folder) / "fuzz_core"
        complaint = build(program)
        if complaint:
            print(complaint, file=sys.stderr)
            return 2
        print(f"fuzz_core {options.seed} --seconds {options.seconds}", flush=True)
        command = [str(program), str(options.seed), "--seconds", str(options.seconds)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
