"""The LSTM's arithmetic for every 16-bit argument, and the DSP kernel, against the reference."""

import ctypes
import subprocess
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge.firmware.bench.emulator import (
    BOARDS,
    COMPILER,
    HERE,
    available,
    layout_flags,
    run_tool,
    run_windows,
)
from quantize.c99 import emit
from quantize.c99.dsp.lstm_tables import exponentials
from quantize.c99.kernels import CORE, find_target
from quantize.c99.lowering.lower import lower
from quantize.c99.shared import find_compiler
from quantize.lstm.activations import sigmoid_table, tanh_table
from quantize.tflite_reader import read_model
from tests.conformance import compare, reference, run_sanitized
from tests.tflite_maker import Maker

TARGET, BOARD = "cortex-m4", "mps2-an386"
WARNINGS = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror")
CELL_BITS = range(7)
# What a window of an anchor model may take on emulated Cortex-M4, and a model beyond weights and biases.
INSTRUCTIONS = {"lstm": 650_000, "lstm2": 30_000}
BYTES, STACK_BYTES = 8192, 512
emulated = pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")

IN_C = """#include "nrv_lstm_cell.h"

void all_sigmoids(int32_t *to)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = nrv_sigmoid15(x);
    }
}

void all_tanhs(int32_t *to, int32_t bits)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = nrv_tanh15(x, bits);
    }
}
"""


def test_c_of_every_argument(tmp_path: Path) -> None:
    (tmp_path / "all.c").write_text(IN_C)
    includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
    flags = ["-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    command = [find_compiler(), *flags, *includes, str(tmp_path / "all.c"), "-o", str(tmp_path / "all.so")]
    subprocess.run(command, check=True)
    functions = ctypes.CDLL(str(tmp_path / "all.so"))
    values = np.zeros(1 << 16, np.int32)
    target = ctypes.c_void_p(values.ctypes.data)
    functions.all_sigmoids(target)
    assert np.array_equal(values, sigmoid_table().numpy())
    for bits in CELL_BITS:
        functions.all_tanhs(target, bits)
        assert np.array_equal(values, tanh_table(bits).numpy())


# Writes the sigmoid of every argument, the tanh with 3 integer bits, then with 0 to 6: in the upper 16 bits.
IN_ASSEMBLY = """#include "files.h"
#include "nrv_dsp_sigmoid.h"

static const uint16_t exponentials[] = {EXPONENTIALS};

typedef struct {
    int32_t x;
    const uint16_t *exponentials;
    const int32_t *sigmoid, *quarter;
} frame_t;

#define CHANGED "r1", "r2", "r3", "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "lr", "cc", "memory"
#define RUN(instructions) __asm__ volatile(instructions : "+r"(at) : : CHANGED)
#define LOAD "ldrd r2, r5, [r0]\\n\\tldr r6, [r0, #8]\\n\\tldm r6, {r6, r8, r9, r10, r11, r12, lr}\\n\\t"

static __attribute__((noinline)) uint32_t result(int32_t x, int which)
{
    frame_t frame = {x, exponentials + 1, nrv_dsp_sigmoid_constants, nrv_dsp_quarter_constants};
    register frame_t *at __asm__("r0") = &frame;
    if (which == 0) {
        RUN(LOAD NRV_DSP_SIGMOID("r0"));
    } else if (which == 1) {
        RUN(LOAD NRV_DSP_TANH("r0"));
    } else {
        frame.x = x * (1 << (which - 1));
        RUN("ldr r2, [r0]\\n\\t" NRV_DSP_FINE_TANH("r0", "[r0, #12]", "[r0, #8]"));
    }
    return (uint32_t)at;
}

int main(void)
{
    const int file = bench_open_to_write("all.bin");
    for (int which = 0; which < 9; which++) {
        for (int32_t x = INT16_MIN; x <= INT16_MAX; x++) {
            const uint32_t y = result(x, which);
            bench_write(file, &y, sizeof y);
        }
    }
    return 0;
}
"""


@emulated
def test_assembly_of_every_argument(tmp_path: Path) -> None:
    table = ", ".join(map(str, exponentials()))
    (tmp_path / "main.c").write_text(IN_ASSEMBLY.replace("EXPONENTIALS", table))
    sources = ["main.c", *(str(HERE / name) for name in ("startup.c", "files_semihosting.c"))]
    includes = [f"-I{folder}" for folder in (CORE, CORE / "kernels", HERE)]
    flags = ["-std=c99", "-O2", *BOARDS[BOARD].cflags, *includes, *layout_flags(BOARD)]
    run_tool([COMPILER, *flags, *sources, "-o", "a.elf"], tmp_path, "Building")
    run_tool(BOARDS[BOARD].emulation("a.elf"), tmp_path, "Writing all")
    values = np.fromfile(tmp_path / "all.bin", "<i4").reshape(-1, 1 << 16)
    wanted = [sigmoid_table(), tanh_table(3), *(tanh_table(bits) for bits in CELL_BITS)]
    for row, expected in zip(values, wanted, strict=True):
        assert np.array_equal(row >> 16, expected.numpy())
    # A sum of products takes tanh with all its bits.
    assert not np.any(values[1:] & 0xFFFF)


def lstm(
    units: int,
    inputs: int,
    steps: int = 7,
    *,
    batches: int = 1,
    cell_bits: int = 3,
    gate_scales: tuple[float, float, float, float] = (0.3, 0.2, 0.25, 0.15),
    bias: int = 3000,
    weights: tuple[int, int] = (-127, 127),
    clip: float = 0.0,
    zero: int = 5,
    fixed: tuple[int, int, int, int] | None = None,
) -> bytes:
    """One LSTM.

    Args:
        gate_scales: of a sum's step in steps of 2^-12; a third of that for recurrent sums.
        bias: the largest, and
        weights: the range, both at random.
        fixed: biases of the four gates in steps of 2^-12, not at random.
    """
    maker, rng = Maker(), np.random.default_rng(units * inputs + cell_bits)
    source = maker.input((batches, steps, inputs), 2.0**-6, zero)
    kernels, recurrent = (
        [
            maker.constant(
                rng.integers(weights[0], weights[1] + 1, (units, columns)).astype(np.int8),
                scale / part * 2.0**-12 / scale_of_input,
            )
            for scale in gate_scales
        ]
        for columns, scale_of_input, part in ((inputs, 2.0**-6, 1.0), (units, 2.0**-7, 3.0))
    )
    drawn = [rng.integers(-bias, bias + 1, units) for _ in gate_scales]
    if fixed is not None:
        drawn = [np.full(units, b / scale) for b, scale in zip(fixed, gate_scales, strict=True)]
    biases = [
        maker.constant(b.astype(np.int32), scale * 2.0**-12)
        for b, scale in zip(drawn, gate_scales, strict=True)
    ]
    states = [
        maker.state((batches, units), 2.0**-7, -zero),
        maker.state((batches, units), 2.0 ** (cell_bits - 15), 0, int16=True),
    ]
    intermediates = [maker.tensor((0,)) for _ in range(4)] + [maker.tensor((0,), 2.0**-7, -zero)]
    given = [source, *kernels, *recurrent, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
    output = maker.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        given,
        maker.tensor((batches, steps, units), 2.0**-7, -zero),
        intermediates=intermediates,
        fusedActivationFunction=schema.ActivationFunctionType.TANH,
        cellClip=clip,
    )
    return maker.finish(output)


@dataclass(frozen=True)
class Case:
    """A file and the kernel that is to carry it out."""

    kernel: str
    tflite: bytes


_ALL = (127, 127)
CASES = {
    "smallest": Case("dsp_lstm", lstm(1, 1, 1)),
    "odd_groups": Case("dsp_lstm", lstm(9, 17)),
    "even_groups": Case("dsp_lstm", lstm(13, 7, batches=2)),
    **{f"cell_of_{b}_bits": Case("dsp_lstm", lstm(6, 5, 20, cell_bits=b)) for b in CELL_BITS},
    "far": Case("dsp_lstm", lstm(8, 8, 30, bias=150_000, cell_bits=4)),
    "clipped": Case("dsp_lstm", lstm(7, 3, 30, bias=60_000, cell_bits=2, clip=0.5)),
    "clipped_to_nothing": Case("dsp_lstm", lstm(5, 3, bias=60_000, clip=1e-9)),
    "halves": Case("dsp_lstm", lstm(8, 4, gate_scales=(0.25, 0.25, 0.125, 0.25))),
    "raised": Case("dsp_lstm_raised", lstm(6, 6, 12, gate_scales=(1.7, 3.0, 0.9, 0.6), bias=900)),
    "half_raised": Case("dsp_lstm_raised", lstm(7, 5, 12, gate_scales=(0.5, 0.2, 40.0, 0.499), bias=500)),
    "raised_halves": Case("dsp_lstm_raised", lstm(8, 4, gate_scales=(0.5, 0.25, 1.0, 2.0))),
    # 257 times 127 times 128 is just below 2^22.
    "largest_sums": Case("dsp_lstm", lstm(1, 257, 3, weights=_ALL, bias=0, zero=0, gate_scales=(0.002,) * 4)),
    "sums_too_large": Case("lstm", lstm(1, 259, 3, weights=_ALL, bias=0, zero=0, gate_scales=(0.002,) * 4)),
    "bias_too_large": Case("lstm", lstm(4, 4, bias=20_000_000, gate_scales=(0.001,) * 4)),
    "weight_of_-128": Case("lstm", lstm(5, 6, weights=(-128, -120))),
}


def test_kernels() -> None:
    """What the kernel cannot carry out exactly is left to the generic one."""
    for name, case in CASES.items():
        program = find_target(TARGET).family.fit(lower(read_model(case.tflite)))
        assert [step.kernel for step in program.steps] == [case.kernel], name


def test_plain_c(tmp_path: Path) -> None:
    files = {name.replace("-", "_"): case.tflite for name, case in CASES.items()}
    compare(files, TARGET, tmp_path)
    run_sanitized(files, TARGET, tmp_path)


@emulated
@pytest.mark.parametrize("name", CASES)
def test_emulated(name: str, tmp_path: Path) -> None:
    report = emit(CASES[name].tflite, "net", tmp_path / "net", TARGET)
    size = prod(report.input_shapes[0])
    inputs = np.random.default_rng(size).integers(-128, 128, (3, size), np.int8)
    inputs[1], inputs[2] = -128, 127
    outputs = run_windows(tmp_path / "net", "net", inputs, BOARD).outputs
    assert np.array_equal(outputs, reference(CASES[name].tflite, list(inputs), keep=False))


@emulated
def test_time_is_bounded(tmp_path: Path) -> None:
    """Between all arguments near 0 and all on the longest ways lie 153 instructions a unit and step."""
    units, steps, wide = 32, 20, 8 << 12

    def measured(fixed: tuple[int, int, int, int], clip: float) -> int:
        tflite = lstm(units, 8, steps, weights=(0, 0), fixed=fixed, clip=clip)
        emit(tflite, "net", tmp_path / "net", TARGET)
        window = np.zeros((1, 8 * steps), np.int8)
        return run_windows(tmp_path / "net", "net", window, BOARD).instructions

    # The cell's limit is where twice its value, as tanh takes it, is between 4 and what tanh saturates at.
    differ = measured((wide, wide, 3 << 12, wide), 4.0) - measured((0, 0, 0, 0), 0.0)
    assert 0.9 * 153 * units * steps < differ <= 153 * units * steps


@emulated
@pytest.mark.parametrize("optimization", ["-O0", "-O2", "-Os"])
def test_no_warnings(optimization: str, tmp_path: Path) -> None:
    sources = [str(source) for source in sorted((CORE / "kernels").glob("nrv_dsp_lstm*.c"))]
    for board in ("mps2-an386", "microbit", "mps3-an547"):
        includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
        command = [COMPILER, *WARNINGS, optimization, *BOARDS[board].cflags, *includes, "-c", *sources]
        subprocess.run(command, check=True, cwd=tmp_path)


def vectors(folder: Path, name: str) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """All inputs and reference outputs of an anchor model, [windows, size]."""
    arrays = []
    for kind in ("in", "out"):
        found = [folder / f"{name}.{kind}{count}.npy" for count in ("", "20")]
        loaded = [np.load(path) for path in found if path.exists()]
        arrays.append(np.concatenate([array.reshape(-1, loaded[0].size) for array in loaded]))
    return arrays[0], arrays[1]


@emulated
@pytest.mark.parametrize("optimize", ["speed", "balanced"])
@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_anchors_within_limits(anchors: Path, name: str, optimize: str, tmp_path: Path) -> None:
    tflite = (anchors / f"{name}.tflite").read_bytes()
    report = emit(tflite, name, tmp_path / name, TARGET, optimize=optimize)
    inputs, expected = vectors(anchors, name)
    result = run_windows(tmp_path / name, name, inputs, BOARD)
    assert np.array_equal(result.outputs, expected)
    assert result.instructions <= INSTRUCTIONS[name]
    assert result.stack_bytes <= STACK_BYTES
    model = read_model(tflite)
    weighty = [o for o in model.operators if o.name in ("UNIDIRECTIONAL_SEQUENCE_LSTM", "FULLY_CONNECTED")]
    weights = [model.tensors[i].data for o in weighty for i in o.inputs if i >= 0]
    assert report.flash_bytes is not None
    assert report.flash_bytes - sum(data.nbytes for data in weights if data is not None) <= BYTES
