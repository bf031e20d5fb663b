"""Kernel families and targets: which function, parameter structure and files carry out a step, and where."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge.errors import InnervateError
from quantize.c99.dsp import fit as dsp
from quantize.c99.mve import fit as mve
from quantize.c99.program import Program
from quantize.c99.simd import fit as simd
from quantize.c99.stripes import striped

CORE = Path(__file__).parents[2] / "edge" / "core"


@dataclass(frozen=True)
class Kernel:
    """A C function, the structure of its parameters, and the files (under edge/core) that it needs."""

    function: str
    structure: str
    header: str
    files: tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """Kernels for one sort of processor; `fit` exchanges steps for those of the family's own kernels.

    `block`: windows that convolutions multiply at once.
    """

    kernels: dict[str, Kernel]
    fit: Callable[[Program], Program] = striped
    block: int = 1


@dataclass(frozen=True)
class Target:
    """A processor: its kernels, and the flags that build them for it."""

    family: Family
    cflags: tuple[str, ...]


_WINDOWED = ("kernels/nrv_window.h", "kernels/nrv_clamp.h", "fixed.h")
_FLAT = ("kernels/nrv_clamp.h", "fixed.h")
_WIDE_WINDOWED = ("kernels/nrv_clamp16.h", "kernels/nrv_window.h")
_PAIRS = ("kernels/nrv_pairs.h", "kernels/nrv_down.h", *_FLAT)
_DSP = ("kernels/nrv_dsp.h", "kernels/nrv_clamp.h")
_DSP_COLUMN = ("kernels/nrv_dsp_column.h", *_DSP)
_DSP_CLAMP = ("kernels/nrv_dsp_clamp.h", "kernels/nrv_dsp_clamp.c", *_DSP)
_DSP_MATRIX = (
    "kernels/nrv_dsp_matrix.h",
    "kernels/nrv_dsp_matrix.c",
    "kernels/nrv_dsp_four.h",
    "kernels/nrv_dsp_column.h",
    *_DSP_CLAMP,
)
_SOFTMAX = ("kernels/nrv_softmax_parts.h", *_FLAT)
_MVE_MATRIX = ("kernels/nrv_mve_matrix.h", "kernels/nrv_mve.h", *_FLAT)
_MVE_EXTREMUM = ("kernels/nrv_extremum.h", "kernels/nrv_pairs.h", "kernels/nrv_mve.h")
_MVE_DENSE = ("kernels/nrv_dense.h", "kernels/nrv_scale.h", "kernels/nrv_clamp.h", "kernels/nrv_mve.h")
_MVE_LSTM = (
    "kernels/nrv_lstm.h",
    "kernels/nrv_lstm_cell.h",
    "kernels/nrv_mve_sigmoid.h",
    "kernels/nrv_mve.h",
    *_FLAT,
)
_MVE_MEAN = ("kernels/nrv_mean.h", "kernels/nrv_mve.h", "fixed.h")
_MVE_MATMUL = ("kernels/nrv_matmul.h", "kernels/nrv_pairs.h", "kernels/nrv_mve.h", "fixed.h")
_MVE_PAIRS = ("kernels/nrv_mve_pairs.h", "kernels/nrv_mve.h", *_PAIRS)
_MVE_POOL = ("kernels/nrv_pool.h", "kernels/nrv_window.h", "kernels/nrv_mve.h", "kernels/nrv_clamp.h")
_SIMD = (
    *(f"kernels/nrv_simd{name}.h" for name in ("", "_avx2", "_avx512", "_neon", "_plain")),
    "kernels/nrv_scale.h",
    *_FLAT,
)
_SIMD_MATRIX = ("kernels/nrv_simd_matrix.h", *_SIMD)
_SIMD_COLUMNS = ("kernels/nrv_simd_columns.h", *_SIMD)
_SIMD_BYTES = ("kernels/nrv_simd_bytes.h", *_SIMD)
_SIMD_LSTM = (
    "kernels/nrv_lstm.h",
    "kernels/nrv_lstm_cell.h",
    "kernels/nrv_simd_short.h",
    "kernels/nrv_simd_sigmoid.h",
    *_SIMD,
)
_SIMD_MATMUL = (
    "kernels/nrv_matmul.h",
    "kernels/nrv_pairs.h",
    "kernels/nrv_simd_short.h",
    *_SIMD_BYTES,
)
_SIMD_PAIRS = ("kernels/nrv_pairs.h", "kernels/nrv_simd_pairs.h", *_SIMD_BYTES)
_SIMD_SOFTMAX = ("kernels/nrv_softmax.h", "kernels/nrv_softmax_parts.h", *_SIMD_PAIRS)
_SIMD_POOL = ("kernels/nrv_pool.h", "kernels/nrv_window.h", *_SIMD_BYTES)
_DSP_LSTM = (
    "kernels/nrv_dsp_lstm_steps.h",
    "kernels/nrv_dsp_sigmoid.h",
    "kernels/nrv_lstm.h",
    "kernels/nrv_lstm_cell.h",
    "fixed.h",
    *_DSP,
)
_DSP_PRODUCT = (
    "kernels/nrv_dsp_conv2d.h",
    "kernels/nrv_dsp_conv2d.c",
    "kernels/nrv_window.h",
    "kernels/nrv_pairs.h",
    *_DSP_MATRIX,
)
_DSP_SOFTMAX = ("kernels/nrv_softmax.h", "kernels/nrv_softmax_parts.h", "fixed.h", *_DSP)
_DSP_MATMUL = ("kernels/nrv_matmul.h", "kernels/nrv_pairs.h", "kernels/nrv_dsp.h")
_DSP_POOL = ("kernels/nrv_dsp_pool.h", "kernels/nrv_pool.h", "kernels/nrv_window.h", *_DSP_CLAMP)


def _kernel(function: str, source: str, needs: tuple[str, ...], structure: str = "") -> Kernel:
    files = (f"kernels/nrv_{source}.h", f"kernels/nrv_{source}.c", *needs)
    return Kernel(f"nrv_{function}", structure or f"nrv_{function}_t", f"nrv_{source}.h", files)


GENERIC = Family(
    {
        "add": _kernel("add", "add", _PAIRS),
        "add16": _kernel("add16", "add16", ("kernels/nrv_clamp16.h", *_PAIRS)),
        "average_pool": _kernel("average_pool", "pool", _WINDOWED, "nrv_pool_t"),
        "concat": _kernel("concat", "concat", ()),
        "conv16": _kernel("conv16", "conv16", _WIDE_WINDOWED),
        "conv2d": _kernel("conv2d", "conv2d", _WINDOWED),
        "dense16": _kernel("dense16", "dense16", ("kernels/nrv_clamp16.h",)),
        "dense": _kernel("dense", "dense", ("kernels/nrv_clamp.h", "kernels/nrv_scale.h")),
        "depthwise": _kernel("depthwise", "depthwise", _WINDOWED),
        "lookup": _kernel("lookup", "lookup", ()),
        "lstm": _kernel("lstm", "lstm", ("kernels/nrv_lstm_cell.h", *_FLAT)),
        "matmul": _kernel("matmul", "matmul", _PAIRS),
        "max_pool": _kernel("max_pool", "pool", _WINDOWED, "nrv_pool_t"),
        "maximum": _kernel("maximum", "extremum", ("kernels/nrv_pairs.h",), "nrv_extremum_t"),
        "mean": _kernel("mean", "mean", _FLAT),
        "minimum": _kernel("minimum", "extremum", ("kernels/nrv_pairs.h",), "nrv_extremum_t"),
        "mul": _kernel("mul", "mul", _PAIRS),
        "narrow16": _kernel("narrow16", "rescale16", ("kernels/nrv_clamp16.h", *_FLAT), "nrv_rescale16_t"),
        "pad": _kernel("pad", "pad", ()),
        "pool16": _kernel("pool16", "pool16", _WIDE_WINDOWED),
        "put": _kernel("put", "slide", (), "nrv_slide_t"),
        "rearrange": _kernel("rearrange", "rearrange", ()),
        "slide": _kernel("slide", "slide", ()),
        "take": _kernel("take", "slide", (), "nrv_slide_t"),
        "softmax": _kernel("softmax", "softmax", _SOFTMAX),
        "squared_difference": _kernel("squared_difference", "squared_difference", _PAIRS),
        "widen16": _kernel("widen16", "rescale16", ("kernels/nrv_clamp16.h", *_FLAT), "nrv_rescale16_t"),
    },
)

# Arm's DSP extension: Armv7E-M and Armv8-M Mainline.
DSP = Family(
    {
        **GENERIC.kernels,
        "dsp_add": _kernel("dsp_add", "dsp_add", ("kernels/nrv_pairs.h", *_DSP_CLAMP)),
        "dsp_mul": _kernel("dsp_mul", "dsp_mul", ("kernels/nrv_pairs.h", *_DSP_CLAMP)),
        "dsp_conv2d": _kernel("dsp_conv2d", "dsp_conv2d", ("kernels/nrv_window.h", *_DSP_MATRIX)),
        "dsp_average_pool": _kernel("dsp_average_pool", "dsp_average_pool", _DSP_POOL, "nrv_pool_t"),
        "dsp_dense": _kernel("dsp_dense", "dsp_dense", ("kernels/nrv_dsp_column.h", *_DSP_CLAMP)),
        "dsp_lstm": _kernel("dsp_lstm", "dsp_lstm", _DSP_LSTM),
        "dsp_lstm_raised": _kernel(
            "dsp_lstm_raised", "dsp_lstm_raised", ("kernels/nrv_dsp_lstm.h", *_DSP_LSTM), "nrv_dsp_lstm_t"
        ),
        "dsp_matmul": _kernel("dsp_matmul", "dsp_matmul", _DSP_MATMUL, "nrv_matmul_t"),
        "dsp_product": _kernel("dsp_product", "dsp_product", _DSP_PRODUCT),
        "dsp_softmax": _kernel("dsp_softmax", "dsp_softmax", _DSP_SOFTMAX, "nrv_softmax_t"),
        "dsp_max_pool": _kernel("dsp_max_pool", "dsp_max_pool", _DSP_POOL, "nrv_pool_t"),
        "dsp_mean": _kernel("dsp_mean", "dsp_mean", ("kernels/nrv_mean.h", *_DSP), "nrv_mean_t"),
        "dsp_planes": _kernel("dsp_planes", "dsp_planes", _DSP_CLAMP),
        "dsp_depthwise": _kernel("dsp_depthwise", "dsp_depthwise", ("kernels/nrv_window.h", *_DSP)),
    },
    dsp.fit,
    block=4,
)

# Helium, vectors of integers: Armv8.1-M, which has the DSP extension as well.
MVE = Family(
    {
        **DSP.kernels,
        "mve_conv2d": _kernel("mve_conv2d", "mve_conv2d", ("kernels/nrv_window.h", *_MVE_MATRIX)),
        "mve_add": _kernel("mve_add", "mve_add", ("kernels/nrv_add.h", *_MVE_PAIRS), "nrv_add_t"),
        "mve_average_pool": _kernel("mve_average_pool", "mve_pool", _MVE_POOL, "nrv_pool_t"),
        "mve_dense": _kernel("mve_dense", "mve_dense", _MVE_DENSE),
        "mve_depthwise": _kernel("mve_depthwise", "mve_depthwise", ("kernels/nrv_window.h", *_MVE_MATRIX)),
        "mve_lookup": _kernel(
            "mve_lookup", "mve_lookup", ("kernels/nrv_lookup.h", "kernels/nrv_mve.h"), "nrv_lookup_t"
        ),
        "mve_lstm": _kernel("mve_lstm", "mve_lstm", _MVE_LSTM, "nrv_lstm_t"),
        "mve_matmul": _kernel("mve_matmul", "mve_matmul", _MVE_MATMUL, "nrv_matmul_t"),
        "mve_max_pool": _kernel("mve_max_pool", "mve_pool", _MVE_POOL, "nrv_pool_t"),
        "mve_maximum": _kernel("mve_maximum", "mve_extremum", _MVE_EXTREMUM, "nrv_extremum_t"),
        "mve_mean": _kernel("mve_mean", "mve_mean", _MVE_MEAN, "nrv_mean_t"),
        "mve_minimum": _kernel("mve_minimum", "mve_extremum", _MVE_EXTREMUM, "nrv_extremum_t"),
        "mve_mul": _kernel("mve_mul", "mve_mul", ("kernels/nrv_mul.h", *_MVE_PAIRS), "nrv_mul_t"),
        "mve_softmax": _kernel(
            "mve_softmax",
            "mve_softmax",
            ("kernels/nrv_softmax.h", "kernels/nrv_mve.h", *_SOFTMAX),
            "nrv_softmax_t",
        ),
        "mve_squared_difference": _kernel(
            "mve_squared_difference",
            "mve_squared_difference",
            ("kernels/nrv_squared_difference.h", *_MVE_PAIRS),
            "nrv_squared_difference_t",
        ),
    },
    mve.fit,
    block=4,
)

# Vectors of integers: x86-64 with AVX2 or AVX-512, 64-bit Arm with NEON; plain C elsewhere.
SIMD = Family(
    {
        **GENERIC.kernels,
        "simd_conv2d": _kernel("simd_conv2d", "simd_conv2d", ("kernels/nrv_window.h", *_SIMD_MATRIX)),
        "simd_dense": _kernel("simd_dense", "simd_dense", _SIMD_MATRIX),
        "simd_add8": _kernel("simd_add8", "simd_add8", ("kernels/nrv_add.h", *_SIMD_PAIRS), "nrv_add_t"),
        "simd_average_pool": _kernel("simd_average_pool", "simd_pool", _SIMD_POOL, "nrv_pool_t"),
        "simd_lstm": _kernel("simd_lstm", "simd_lstm", _SIMD_LSTM),
        "simd_matmul": _kernel("simd_matmul", "simd_matmul", _SIMD_MATMUL, "nrv_matmul_t"),
        "simd_max_pool": _kernel("simd_max_pool", "simd_pool", _SIMD_POOL, "nrv_pool_t"),
        "simd_mean": _kernel("simd_mean", "simd_mean", ("kernels/nrv_mean.h", *_SIMD_BYTES), "nrv_mean_t"),
        "simd_mul8": _kernel("simd_mul8", "simd_mul8", ("kernels/nrv_mul.h", *_SIMD_PAIRS), "nrv_mul_t"),
        "simd_softmax": _kernel("simd_softmax", "simd_softmax", _SIMD_SOFTMAX, "nrv_softmax_t"),
        "simd_depthwise": _kernel(
            "simd_depthwise", "simd_depthwise", ("kernels/nrv_window.h", *_SIMD_COLUMNS)
        ),
    },
    simd.fit,
)

TARGETS = {
    "generic": Target(GENERIC, ("-O2",)),
    "cortex-m4": Target(DSP, ("-O2", "-mcpu=cortex-m4", "-mthumb")),
    "cortex-m7": Target(DSP, ("-O2", "-mcpu=cortex-m7", "-mthumb")),
    "cortex-m33": Target(DSP, ("-O2", "-mcpu=cortex-m33", "-mthumb")),
    "cortex-m55": Target(MVE, ("-O2", "-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard")),
    "cortex-a72": Target(SIMD, ("-O3", "-mcpu=cortex-a72")),
    "cortex-a76": Target(SIMD, ("-O3", "-mcpu=cortex-a76")),
    "host": Target(SIMD, ("-O3", "-march=native")),
}


# Ways to build for a target: whether with its own kernels, and GCC's flag where it is not the target's own:
# on Cortex-M -O3 makes code larger, not faster; vectors want it.
WAYS = {"speed": (True, ""), "balanced": (True, "-Os"), "size": (False, "-Os")}


def find_target(name: str, way: str = "speed") -> Target:
    """Return a target by its name, built one of the `WAYS`.

    Raises:
        InnervateError: there is no such target or way.
    """
    if name not in TARGETS:
        raise InnervateError(f"Unknown target '{name}'", "", f"Known targets: {', '.join(TARGETS)}")
    if way not in WAYS:
        raise InnervateError(f"Cannot optimize for '{way}'", "", f"Choose one of {', '.join(WAYS)}")
    target, (own, flag) = TARGETS[name], WAYS[way]
    cflags = tuple(flag if flag and f.startswith("-O") else f for f in target.cflags)
    return Target(target.family if own else GENERIC, cflags)
