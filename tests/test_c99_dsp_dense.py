"""Dense layers of the DSP kernels: one 32-bit product in place of LiteRT's float64 one."""

from fractions import Fraction
from math import floor, prod
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.firmware.bench.emulator import available, run_windows
from quantize.c99 import emit
from quantize.c99.arithmetic import Multiplier, single_rounding_multiplier
from quantize.c99.dsp.dense import scale_within
from tests.conformance import compare, reference
from tests.random_draw import f32
from tests.tflite_maker import Maker

TARGET = "cortex-m4"


def dense(rows: int, depth: int, units: int, scale: float, seed: int) -> bytes:
    """One scale a tensor, a sum's scale; weights and biases as training leaves them."""
    maker, rng = Maker(), np.random.default_rng(seed)
    source = maker.input((rows, depth), 0.5, int(rng.integers(-128, 128)))
    data = rng.normal(0, 40, (units, depth)).clip(-127, 127).astype(np.int8)
    weights = maker.constant(data, 0.25)
    bias = maker.constant(rng.integers(-9999, 9999, units, np.int32), 0.125)
    target = maker.tensor((rows, units), f32(0.125 / scale), int(rng.integers(-128, 128)))
    return maker.finish(maker.operator("FULLY_CONNECTED", [source, weights, bias], target))


@settings(deadline=None, max_examples=150)
@given(
    st.integers(6, 23),
    st.floats(-7.0, 3.0),
    st.booleans(),
    st.integers(-128, 127),
    st.data(),
)
def test_scale_within(bits: int, steps: float, power: bool, zero: int, data: st.DataObject) -> None:
    """Against exact fractions; a power of two makes ties."""
    bound = (1 << bits) - 1
    scale = 2.0 ** (floor(steps) + 7 - bits if power else steps + 7 - bits)
    multiplier = single_rounding_multiplier(scale, bound)
    assert multiplier is not None
    raised = 30 - bound.bit_length()
    found = scale_within(multiplier, bound, zero, raised)
    assert found is not None
    m, r, s = found
    assert 0 < m < 1 << 31
    assert abs(r) < 1 << 30
    near = [round((level + 0.5) / scale) + off for level in range(-256, 257, 5) for off in (-1, 0, 1)]
    sums = [acc for acc in near if abs(acc) <= bound]
    sums += [*data.draw(st.lists(st.integers(-bound, bound), max_size=30)), bound, -bound, 0]
    for acc in sums:
        exact = abs(acc) * Fraction(scale)
        rounded = floor(exact + Fraction(1, 2)) * (1 if acc >= 0 else -1)
        got = (r + ((acc << raised) * m >> 32)) >> s
        assert min(max(got, -128), 127) == min(max(rounded + zero, -128), 127)


def test_none() -> None:
    """Sums with more bits than the product: nothing fits; too large a scale: no shift is left."""
    multiplier = single_rounding_multiplier(2.0**-21 * 0.9, (1 << 29) - 1)
    assert multiplier is not None
    assert scale_within(multiplier, (1 << 29) - 1, 3, 1) is None
    assert scale_within(Multiplier(1 << 40, 8), 15, 0, 26) is None


SHAPES = [(1, 1, 1), (3, 7, 5), (1, 40, 33), (2, 64, 6), (5, 3, 2), (1, 300, 4)]
SCALES = [2.0**-14, 0.00037, 0.0625, 1.0, 3.7]


def test_reference(tmp_path: Path) -> None:
    cases = [(*shape, scale) for shape in SHAPES for scale in SCALES]
    files = {f"dense_{n}": dense(*case, seed=n) for n, case in enumerate(cases)}
    compare(files, TARGET, tmp_path)


@pytest.mark.skipif(not available(), reason="needs arm-none-eabi-gcc and qemu-system-arm")
@pytest.mark.parametrize(("shape", "scale"), list(zip(SHAPES, [0.004, *SCALES], strict=True)))
def test_emulated(shape: tuple[int, int, int], scale: float, tmp_path: Path) -> None:
    tflite = dense(*shape, scale, seed=1)
    report = emit(tflite, "net", tmp_path / "net", TARGET)
    assert [layer.kernel for layer in report.layers] == ["dsp_dense"]
    inputs = np.random.default_rng(2).integers(-128, 128, (4, prod(report.input_shapes[0])), np.int8)
    outputs = run_windows(tmp_path / "net", "net", inputs).outputs
    assert np.array_equal(outputs, reference(tflite, list(inputs)))
