"""Asks Google's closed `edgetpu_compiler`, an x86-64 program, where it is installed; nothing needs it."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROGRAM = "edgetpu_compiler"
# It stops by itself after 180 s.
_LIMIT_S = 200.0
_MOST_LINES, _MOST_BYTES = 40, 1 << 16
_SUMMARY = re.compile(
    r"Edge TPU Compiler version|compiled|Compilation|[Oo]n-chip memory|Off-chip memory|Number of|Total number"
    r"|ERROR|Invalid model"
)
_COUNT = re.compile(r"Number of operations that will run on (Edge TPU|CPU): (\d+)")
_TOTAL = re.compile(r"Total number of operations: (\d+)")


@dataclass(frozen=True)
class CompilerAnswer:
    """What the compiler said; the counts are None where it did not say."""

    summary: list[str]
    on_tpu: int | None
    on_cpu: int | None


def ask(tflite: bytes, limit_s: float = _LIMIT_S) -> CompilerAnswer | None:
    """Run the compiler on a file; None where it is not installed.

    Args:
        tflite: the file's bytes.
        limit_s: after how many seconds it is ended.
    """
    program = shutil.which(PROGRAM)
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "model.tflite").write_bytes(tflite)
        log = Path(folder) / "log"
        with log.open("wb") as output:
            # A group of its own: the compiler starts a child that would outlive it.
            process = subprocess.Popen(
                [program, "-s", "-o", folder, str(Path(folder) / "model.tflite")],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                process.wait(limit_s)
                late = ""
            except subprocess.TimeoutExpired:
                late = f"{PROGRAM} was ended after {limit_s:g} s."
            finally:
                _end(process)
        with log.open("rb") as output:
            text = output.read(_MOST_BYTES).decode("utf-8", "replace")
    lines = ["".join(c if c.isprintable() else " " for c in line).strip() for line in text.splitlines()]
    summary = [line for line in lines if _SUMMARY.search(line)][:_MOST_LINES]
    if late or not summary:
        summary.append(late or f"{PROGRAM} said nothing, exit status {process.returncode}.")
    counts = {where: int(count) for where, count in _COUNT.findall(text)}
    total = _TOTAL.search(text)
    if not counts and total:  # it leaves both out where everything was mapped
        counts = {"Edge TPU": int(total.group(1)), "CPU": 0}
    return CompilerAnswer(summary, counts.get("Edge TPU"), counts.get("CPU"))


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
