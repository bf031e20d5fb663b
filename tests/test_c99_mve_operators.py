"""Operators that are no convolutions by Helium's kernels, on the host and in the emulator."""

from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.forms import read_graph
from quantize.tflite_writer import write
from tests.attention_models import block, quantized
from tests.conformance import Ends, compare, reference
from tests.random_operators import OPERATORS, random_operators
from tests.tflite_maker import Maker

TARGET, BOARD = "cortex-m55", "mps3-an547"
KERNELS = {
    "ADD": "mve_add",
    "SUB": "mve_add",
    "MUL": "mve_mul",
    "BATCH_MATMUL": "mve_matmul",
    "SOFTMAX": "mve_softmax",
    "LOGISTIC": "mve_lookup",
    "MAXIMUM": "mve_maximum",
    "MINIMUM": "mve_minimum",
    "SQUARED_DIFFERENCE": "mve_squared_difference",
    "FULLY_CONNECTED": "mve_dense",
    "MEAN": "mve_mean",
}
FEW, MANY = 25, 400  # of each, in one file
emulated = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")


def many_exponentials(depth: int) -> bytes:
    """A softmax of so many values a row, 300 in all or more, which takes them from a table."""
    maker, shape = Maker(), (-(-300 // depth), depth)
    target = maker.tensor(shape, 1 / 256, -128)
    source = maker.input(shape, 0.04, 5)
    return maker.finish(maker.operator("SOFTMAX", [source], target, beta=1.0))


def product(rows: int, depth: int, columns: int, adjoint: bool) -> bytes:
    """A BATCH_MATMUL of two inputs with zero points."""
    maker = Maker()
    first = maker.input((2, rows, depth), 0.03, -128)
    second = maker.input((2, columns, depth) if adjoint else (2, depth, columns), 0.02, 77)
    target = maker.tensor((2, rows, columns), float(np.float32(0.05 * depth**0.5)), 9)
    return maker.finish(maker.operator("BATCH_MATMUL", [first, second], target, adjX=False, adjY=adjoint))


FILES = {name: random_operators(name, 0, FEW) for name in KERNELS}
FILES |= {f"exponentials_{depth}": many_exponentials(depth) for depth in (5, 50, 300)}
FILES |= {f"product_{depth}": product(3, depth, 7, depth % 2 == 0) for depth in (8, 16, 17, 50)}


def compare_emulated(tflite: bytes, folder: Path) -> set[str]:
    """Compare a file of any number of inputs and outputs; return the kernels that it takes."""
    inputs, outputs = Ends(tflite, True), Ends(tflite, False)
    report = emit(tflite, "net", folder / "net", TARGET)
    arguments = [
        f"{name} + {start}"
        for name, ends in (("input", inputs), ("output", outputs))
        for start in accumulate(ends.sizes[:-1], initial=0)
    ]
    lines = [
        '#include "net.h"',
        "typedef net_t all_t;",
        "#define all_reset net_reset",
        f"#define ALL_INPUT_SIZE {inputs.size}",
        f"#define ALL_OUTPUT_SIZE {outputs.size}",
        "static inline void all_run(net_t *m, const int8_t *input, int8_t *output)",
        f"{{ net_run(m, {', '.join(arguments)}); }}",
    ]
    (folder / "net" / "all.h").write_text("\n".join(lines) + "\n")
    windows = np.random.default_rng(0).integers(-128, 128, (4, inputs.size), np.int8)
    windows[2:] = [[-128], [127]]
    found = run_windows(folder / "net", "all", windows, BOARD).outputs
    wanted = np.array(reference(tflite, list(windows)))
    assert np.array_equal(found, wanted), f"{np.sum(found != wanted)} of {wanted.size} bytes"
    return {layer.kernel for layer in report.layers}


def test_operators(tmp_path: Path) -> None:
    compare({name: random_operators(name, 100, FEW) for name in OPERATORS} | FILES, TARGET, tmp_path)


@emulated
@pytest.mark.parametrize("name", FILES)
def test_emulated(name: str, tmp_path: Path) -> None:
    assert KERNELS.get(name, "mve_") in " ".join(compare_emulated(FILES[name], tmp_path))


@emulated
def test_attention(tmp_path: Path) -> None:
    """Four heads over 50 tokens of 32, nothing left to other kernels; 1.9 million by the DSP extension's."""
    tflite = write(read_graph(quantized(block())))
    assert all(kernel.startswith("mve_") for kernel in compare_emulated(tflite, tmp_path))
    window = np.random.default_rng(1).integers(-128, 128, (1, Ends(tflite, True).size), np.int8)
    assert run_windows(tmp_path / "net", "net", window, BOARD).instructions <= 430_000


@emulated
@pytest.mark.slow
@pytest.mark.parametrize("name", KERNELS)
def test_many_emulated(name: str, tmp_path: Path) -> None:
    for first in range(1000, 1000 + MANY, 100):
        compare_emulated(random_operators(name, first, 100), tmp_path / str(first))
