"""Builds `edge._core`, the Python binding of the C core: `from edge._core import ffi, lib`.

The declarations are the core's own headers; there is no second copy of them. After a change to a C file:

    .venv/bin/python setup.py build_ext --inplace
"""

import os
import re
from pathlib import Path

from cffi import FFI

CORE = Path(__file__).parent
HEADERS = (
    "biquad.h",
    "stage.h",
    "quality.h",
    "gain.h",
    "features_math.h",
    "features_time.h",
    "features_ar.h",
    "features_spectrum.h",
    "feature_set.h",
    "feature_vector.h",
    "path.h",
    "calibration.h",
    "decision.h",
    "chain.h",
    "frame.h",
)
SOURCES = (
    "biquad.c",
    "biquad_avx2.c",
    "stage.c",
    "quality.c",
    "gain.c",
    "path.c",
    "calibration.c",
    "decision.c",
    "chain.c",
    "frame.c",
    "features_math.c",
    "features_time.c",
    "features_ar.c",
    "features_sine.c",
    "features_spectrum.c",
    "feature_set.c",
    "feature_vector.c",
)

# fixed.h has no symbols to link to; these give Python the same code.
EXTRA_DECLARATIONS = """
int8_t nrv_call_sat8(int32_t x);
int32_t nrv_call_requantize(int32_t acc, int32_t multiplier, int shift);
"""
EXTRA_SOURCE = """
static int8_t nrv_call_sat8(int32_t x) { return nrv_sat8(x); }
static int32_t nrv_call_requantize(int32_t acc, int32_t multiplier, int shift)
{ return nrv_requantize(acc, multiplier, shift); }
"""


def declarations(header: str) -> str:
    """Turn a header into what cffi reads: plain integer macros stay, every other preprocessor line goes."""
    header = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    header = re.sub(r"\\\n", " ", header)
    lines = []
    for line in header.splitlines():
        if not line.lstrip().startswith("#"):
            lines.append(line)
        elif re.fullmatch(r"#define \w+ (\d+|0x[0-9a-fA-F]+)\s*", line):
            lines.append(line.rstrip())
    return "\n".join(lines)


ffibuilder = FFI()
ffibuilder.cdef("\n".join(declarations((CORE / name).read_text()) for name in HEADERS) + EXTRA_DECLARATIONS)
ffibuilder.set_source(
    "edge._core",
    "\n".join(f'#include "{name}"' for name in ("fixed.h", *HEADERS)) + EXTRA_SOURCE,
    # Relative to the folder of setup.py, as setuptools wants them.
    sources=[os.path.relpath(CORE / name) for name in SOURCES],
    include_dirs=[os.path.relpath(CORE)],
    depends=[os.path.relpath(CORE / name) for name in ("fixed.h", *HEADERS)],
    extra_compile_args=["-std=c99", "-O3", "-Wall", "-Wextra"],
)
