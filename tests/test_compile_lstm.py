"""The LSTM's sigmoid and tanh: every 16-bit argument against the reference arithmetic in Python integers."""

import ctypes
import subprocess

import numpy as np
import pytest

from quantize.c99.arithmetic import exp_of_last_quarter
from quantize.c99.kernels import CORE
from quantize.c99.shared import find_compiler
from quantize.lstm.activations import sigmoid_table, tanh_table

SOURCE = """#include "nrv_lstm_cell.h"

void all_sigmoids(const int16_t *last_quarter, int32_t *to)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = nrv_sigmoid15(x, last_quarter);
    }
}

void all_tanhs(const int16_t *last_quarter, int32_t *to, int32_t bits)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = nrv_tanh15(x, bits, last_quarter);
    }
}
"""


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("cell")
    (folder / "all.c").write_text(SOURCE)
    includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
    flags = ["-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    command = [find_compiler(), *flags, *includes, str(folder / "all.c"), "-o", str(folder / "all.so")]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(folder / "all.so"))


@pytest.mark.parametrize("tabulated", [False, True])
def test_sigmoid_and_tanh(functions: ctypes.CDLL, tabulated: bool) -> None:
    quarter = exp_of_last_quarter()
    table = ctypes.c_void_p(quarter.ctypes.data) if tabulated else None
    values = np.zeros(1 << 16, np.int32)
    target = ctypes.c_void_p(values.ctypes.data)
    functions.all_sigmoids(table, target)
    assert np.array_equal(values, sigmoid_table().numpy())
    for bits in range(7):
        functions.all_tanhs(table, target, bits)
        assert np.array_equal(values, tanh_table(bits).numpy())
