"""The LSTM's sigmoid and tanh: every 16-bit argument against the reference arithmetic in Python integers."""

import ctypes
import subprocess

import numpy as np
import pytest

from quantize.c99.kernels import CORE
from quantize.c99.lstm_tables import sigmoid_tables
from quantize.c99.shared import find_compiler
from quantize.lstm.activations import sigmoid_table, tanh_table

SOURCE = """#include "nrv_dsp_sigmoid.h"

void all_sigmoids(const nrv_dsp_sigmoid_t *tables, int32_t *to)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = tables ? nrv_dsp_sigmoid15(tables, x) : nrv_sigmoid15(x);
    }
}

void all_tanhs(const nrv_dsp_sigmoid_t *tables, int32_t *to, int32_t bits)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = tables ? nrv_dsp_tanh15(tables, x, bits - 2) : nrv_tanh15(x, bits);
    }
}
"""


class Tables(ctypes.Structure):
    """An `nrv_dsp_sigmoid_t`."""

    _fields_ = [(name, ctypes.c_void_p) for name in sigmoid_tables()]


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("cell")
    (folder / "all.c").write_text(SOURCE)
    includes = [f"-I{CORE}", f"-I{CORE / 'kernels'}"]
    flags = ["-std=c99", "-O1", "-fsanitize=undefined", "-fno-sanitize-recover=all", "-fPIC", "-shared"]
    command = [find_compiler(), *flags, *includes, str(folder / "all.c"), "-o", str(folder / "all.so")]
    subprocess.run(command, check=True)
    return ctypes.CDLL(str(folder / "all.so"))


def test_arithmetic(functions: ctypes.CDLL) -> None:
    values = np.zeros(1 << 16, np.int32)
    target = ctypes.c_void_p(values.ctypes.data)
    functions.all_sigmoids(None, target)
    assert np.array_equal(values, sigmoid_table().numpy())
    for bits in range(7):
        functions.all_tanhs(None, target, bits)
        assert np.array_equal(values, tanh_table(bits).numpy())


def test_tables(functions: ctypes.CDLL) -> None:
    arrays = [np.ascontiguousarray(array) for array in sigmoid_tables().values()]
    tables = ctypes.byref(Tables(*(array.ctypes.data for array in arrays)))
    values = np.zeros(1 << 16, np.int32)
    target = ctypes.c_void_p(values.ctypes.data)
    functions.all_sigmoids(tables, target)
    assert np.array_equal(values, sigmoid_table().numpy())
    for bits in range(2, 7):
        functions.all_tanhs(tables, target, bits)
        assert np.array_equal(values, tanh_table(bits).numpy())
