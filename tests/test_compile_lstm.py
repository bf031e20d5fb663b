"""The LSTM's sigmoid and tanh: every 16-bit argument against the reference arithmetic in Python integers."""

import ctypes
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from quantize.c99.kernels import CORE
from quantize.c99.lstm_tables import fine_tanh_tables, sigmoid_tables
from quantize.c99.shared import find_compiler
from quantize.lstm.activations import sigmoid_table, tanh_table

SOURCE = """#include "nrv_dsp_sigmoid.h"

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

void all_tabulated_sigmoids(int32_t *to, const nrv_dsp_sigmoid_t *tables)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = nrv_dsp_sigmoid15(tables, x);
    }
}

void all_tabulated_tanhs(int32_t *to, int32_t bits, const nrv_dsp_sigmoid_t *tables,
                         const nrv_dsp_curve_t *fine)
{
    for (int32_t x = -32768; x < 32768; x++) {
        *to++ = bits < 2 ? nrv_dsp_fine_tanh15(fine, x) : nrv_dsp_tanh15(tables, x, bits - 2);
    }
}
"""


def pointers(tables: Mapping[str, Any]) -> Iterator[int]:
    """Addresses of the arrays in a structure's order; they must outlive their use."""
    for value in tables.values():
        if isinstance(value, Mapping):
            yield from pointers(value)
        else:
            yield value.ctypes.data


def structure(tables: Mapping[str, Any]) -> ctypes.Array[ctypes.c_void_p]:
    """A structure of nothing but pointers."""
    addresses = list(pointers(tables))
    return (ctypes.c_void_p * len(addresses))(*addresses)


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
    functions.all_sigmoids(target)
    assert np.array_equal(values, sigmoid_table().numpy())
    for bits in range(7):
        functions.all_tanhs(target, bits)
        assert np.array_equal(values, tanh_table(bits).numpy())


def test_tables(functions: ctypes.CDLL) -> None:
    tables = structure(sigmoid_tables())
    values = np.zeros(1 << 16, np.int32)
    target = ctypes.c_void_p(values.ctypes.data)
    functions.all_tabulated_sigmoids(target, tables)
    assert np.array_equal(values, sigmoid_table().numpy())
    for bits in range(7):
        fine = structure(fine_tanh_tables(bits)) if bits < 2 else None
        functions.all_tabulated_tanhs(target, bits, tables, fine)
        assert np.array_equal(values, tanh_table(bits).numpy())
