"""Fuzzes everything that reads `.tflite` files: `python -m tests.fuzz_tflite --seconds 600`.

Damaged files go through the reader, `inspect`, every target and the compiler's lowering. Each must end in
an answer or in one InnervateError of one printable line, within a time. What does not is kept, and the exit
status is 1.
"""

import argparse
import json
import os
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.random import Generator

from edge.errors import InnervateError
from quantize.c99.lowering.lower import lower
from quantize.inspect import inspect
from quantize.targets import check, edgetpu_compiler, targets
from quantize.tflite_reader import read_file, read_model
from tests import target_models
from tests.random_graphs import random_graph
from tests.random_operators import OPERATORS, random_operators
from tests.test_target_rules import PAIRS
from tests.test_targets import while_file

# One file may take this long on a busy machine; a sound one of the seeds takes a hundredth of it.
LIMIT_S = 10
_WORDS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_INTEGERS = (-(2**31), -(2**15), -129, -128, -2, -1, 0, 1, 2, 3, 7, 9, 127, 128, 255, 2**15, 2**20, 2**31 - 1)
_REALS = (0.0, -0.0, -1.0, 1e-45, 1e-38, 1e-6, 0.5, 1.0, 3e38, float("inf"), float("-inf"), float("nan"))
_MOST_BYTES = 1 << 20


def seeds(folder: Path | None = None) -> list[bytes]:
    """Files to start from: of the tests, and the real ones of a folder."""
    files = [random_graph(seed) for seed in range(12)]
    files += [random_operators(name, seed, 1) for name in OPERATORS for seed in range(3)]
    files += [file for _, good, bad, _ in PAIRS for file in (good, bad) if len(file) < 1 << 16]
    files += [while_file(), target_models.chain("RELU", "EXP", "SOFTMAX")]
    files += [
        path.read_bytes() for path in sorted((Path(__file__).parent / "data" / "keras").glob("*.tflite"))
    ]
    if folder is not None and folder.is_dir():
        files += [path.read_bytes() for path in sorted(folder.glob("*.tflite"))]
    return files


class _TooSlowError(Exception):
    """A file took longer than it may."""


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise _TooSlowError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _readers() -> list[tuple[str, Callable[[bytes], object]]]:
    def for_target(name: str) -> tuple[str, Callable[[bytes], object]]:
        return name, lambda data: _table(data, name)

    return [
        ("reader", read_file),
        ("inspect", lambda data: json.dumps(inspect(data).to_json())),
        ("compiler", lambda data: lower(read_model(data))),
        *map(for_target, targets()),
    ]


def _table(data: bytes, target: str) -> str:
    report = check(data, target)
    assert report.fits or report.file or not all(operator.fits for operator in report.operators), report
    assert all(cell.isprintable() for row in report.rows for cell in row), report.rows
    return json.dumps(report.to_json())


def harmful(data: bytes, readers: list[tuple[str, Callable[[bytes], object]]]) -> str:
    """What went wrong with a file, empty if nothing did."""
    for name, read in readers:
        try:
            with _limited(LIMIT_S):
                read(data)
        except InnervateError as error:
            if not str(error).isprintable():
                return f"{name}: {str(error)!r}"
            if name == "reader":
                return ""  # all others read the file in this way first
        except Exception:
            return f"{name}: {traceback.format_exc()}"
    return ""


def flipped(data: bytes, rng: Generator) -> bytes:
    """Some bits turned."""
    changed = bytearray(data)
    for position in rng.integers(0, len(data), int(rng.integers(1, 4))):
        changed[position] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def truncated(data: bytes, rng: Generator) -> bytes:
    """The end missing, or a piece in the middle, or something after it."""
    start, end = sorted(int(n) for n in rng.integers(0, len(data) + 1, 2))
    return [data[:start], data[:start] + data[end:], data + data[start:end][:4096]][int(rng.integers(3))]


def spliced(data: bytes, rng: Generator) -> bytes:
    """Telling integers written over some words: most words of a flatbuffer are offsets, lengths, numbers."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.choice([1, 2, 4, 8]))
        position = int(rng.integers(0, max(1, len(data) - width))) // width * width
        word = int(rng.choice([*_WORDS, len(data), position, int(rng.integers(0, len(data) + 1))]))
        changed[position : position + width] = struct.pack("<Q", word)[:width]
    return bytes(changed[: len(data)])


def _objects(of: Any) -> Iterator[tuple[Any, str]]:
    """Every field of every table of a file, as (object, name)."""
    ahead = [of]
    while ahead:
        at = ahead.pop()
        for name, value in vars(at).items():
            yield at, name
            parts = value if isinstance(value, list) else [value]
            ahead += [part for part in parts if hasattr(part, "Pack")]


def _changed(value: Any, rng: Generator) -> Any:
    if value is None or rng.random() < 0.05:
        return None if value is not None else [int(rng.choice(_INTEGERS))]
    if isinstance(value, bool | np.bool_):
        return not value
    if isinstance(value, int | np.integer):
        return int(value) + int(rng.choice([-1, 1])) if rng.random() < 0.5 else int(rng.choice(_INTEGERS))
    if isinstance(value, float | np.floating):
        return float(rng.choice(_REALS))
    if isinstance(value, bytes):
        return rng.bytes(int(rng.integers(0, 40)))
    if isinstance(value, list | np.ndarray) and len(value):
        items = list(value)
        at = int(rng.integers(len(items)))
        match int(rng.integers(5)):
            case 0:
                del items[at]
            case 1:
                items.insert(at, items[int(rng.integers(len(items)))])
            case 2:
                items = items[:at]
            case 3:
                other = int(rng.integers(len(items)))
                items[at], items[other] = items[other], items[at]
            case _:
                items[at] = items[at] if hasattr(items[at], "Pack") else _changed(items[at], rng)
        return items
    return value


def edited(data: bytes, rng: Generator) -> bytes:
    """Some fields of a sound file changed, and the file written anew: every offset is right again."""
    for _ in range(4):  # one in three has a value that its field cannot hold
        model = schema.ModelT.InitFromPackedBuf(data)
        for _ in range(int(rng.choice([1, 1, 2]))):
            fields = list(_objects(model))
            at, name = fields[int(rng.integers(len(fields)))]
            setattr(at, name, _changed(getattr(at, name), rng))
        builder = flatbuffers.Builder(1024)
        try:
            builder.Finish(model.Pack(builder), b"TFL3")
        except Exception:
            continue
        return bytes(builder.Output())
    return flipped(data, rng)


_MUTATIONS = (flipped, truncated, spliced, edited, edited)


def run(
    seconds: float, seed: int, files: list[bytes], keep: Path | None = None, most_faults: int = 10
) -> tuple[int, list[str]]:
    """Fuzz for a while; return how many files were tried and what went wrong."""
    edgetpu_compiler.PROGRAM = "no such program"  # it is not ours to fuzz
    rng, readers = np.random.default_rng(seed), _readers()
    end, tried, faults = time.monotonic() + seconds, 0, list[str]()
    while time.monotonic() < end and len(faults) < most_faults:
        source = files[int(rng.integers(len(files)))]
        data = source
        for _ in range(1 if rng.random() < 0.8 else 2):
            mutate = _MUTATIONS[int(rng.integers(len(_MUTATIONS)))]
            try:
                data = mutate(data, rng)[:_MOST_BYTES] or source
            except Exception:  # the second change met a file that the schema's own classes cannot read
                break
        tried += 1
        fault = harmful(data, readers)
        if fault:
            faults.append(fault)
            if keep is not None:
                (keep / f"fault_{seed}_{tried}.tflite").write_bytes(data)
    return tried, faults


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    anchors = Path(__file__).parents[2] / "shared" / "anchors" / "models"
    parser.add_argument("--models", type=Path, default=anchors, help="folder of real .tflite files")
    parser.add_argument("--keep", type=Path, default=Path(), help="folder for files that did harm")
    given = parser.parse_args()
    tried, faults = run(given.seconds, given.seed, seeds(given.models), given.keep)
    for fault in faults:
        print(fault, file=sys.stderr)
    print(f"seed {given.seed}: {tried:,} files, {len(faults)} did harm")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
