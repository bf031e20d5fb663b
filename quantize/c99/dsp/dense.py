"""Dense layers of the DSP kernels: outputs rounded once, as LiteRT does, by one 32-bit product."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from quantize.c99.arithmetic import INT8_MAX, INT8_MIN, Multiplier
from quantize.c99.dsp.parts import GROUP, interleaved, words
from quantize.c99.overlap import lead_of_rows
from quantize.c99.program import Step

_MAX_SHIFT = 22  # of a zero point that still fits int32


def _first_sum(scale: Multiplier, level: int) -> int:
    """Return the lowest sum whose scaled value, halves rounded away from zero, is at least `level`."""
    if level <= 0:
        return 1 - _first_sum(scale, 1 - level)
    return -(((1 << scale.shift - 1) - (level << scale.shift)) // scale.value)


def scale_within(scale: Multiplier, bound: int, zero_point: int, raised: int) -> tuple[int, int, int] | None:
    """Find how one high product scales sums as two 64-bit steps do.

    Args:
        scale: value / 2^shift, positive, rounded once, halves away from zero.
        bound: of the sums' magnitude; below 2^(31 - raised).
        zero_point: of the output.
        raised: how far sums are shifted to the left before.

    Returns:
        (m, r, s) so that (r + ((sum << raised) * m >> 32)) >> s, within int8, is zero_point + sum * scale
        within int8 for every sum within the bound; or None if there are none: sums beyond 2^23.
    """
    if scale.value == 0:
        return 0, 2 * zero_point + 1, 1
    shift = min(raised + scale.shift - scale.value.bit_length() - 1, _MAX_SHIFT)
    if shift < 1:
        return None
    half = 1 << shift - 1
    least, most = 1, (1 << 31) - 1
    for level in range(INT8_MIN + 1 - zero_point, INT8_MAX + 1 - zero_point):
        # The first sum that reaches the level does so, the one before it does not.
        first = min(max(_first_sum(scale, level), -bound), bound + 1)
        needed = ((level << shift) - half) << 32
        if first <= bound:
            least, most = _kept(first << raised, needed, least, most, above=True)
        if first > -bound:
            least, most = _kept((first - 1) << raised, needed, least, most, above=False)
    if least > most:
        return None
    return (least + most) // 2, (zero_point << shift) + half, shift


def _kept(value: int, needed: int, least: int, most: int, above: bool) -> tuple[int, int]:
    """Return the limits of m within which value * m >= needed, or, not above, value * m < needed."""
    if value == 0:
        return (least, most) if (needed <= 0) == above else (1, 0)
    if not above:
        value, needed = -value, 1 - needed
    if value > 0:
        return max(least, -(-needed // value)), most
    return least, min(most, needed // value)


def dense(step: Step) -> Step:
    """Return a FULLY_CONNECTED for `nrv_dsp_dense`, where its outputs can be scaled by it."""
    p = dict(step.parameters)
    weights: NDArray[np.int8] = p["weights"]  # type: ignore[assignment]
    bias: NDArray[np.int32] = p["bias"]  # type: ignore[assignment]
    multipliers, shifts = np.asarray(p["multiplier"]), np.asarray(p["shift"])
    units, depth = weights.shape
    assert step.accumulator_bound is not None
    assert isinstance(p["output_zero"], int)
    assert isinstance(p["rows"], int)
    raised = 30 - step.accumulator_bound.bit_length()
    if raised < 0:
        return step
    bounds = np.abs(bias.astype(np.int64)) + 128 * np.abs(weights.astype(np.int64)).sum(axis=1)
    scaled = [
        scale_within(Multiplier(int(value), int(shift)), int(bound), p["output_zero"], raised)
        for value, shift, bound in zip(multipliers, shifts, bounds, strict=True)
    ]
    if None in scaled:
        return step
    odd = units % 2
    scales = np.pad(np.array(scaled, np.int32), ((0, odd), (0, 0))).reshape(-1, 6)
    taps = interleaved(weights).reshape(len(scales), -1)
    stream = np.concatenate([words(np.pad(bias, (0, odd)).reshape(-1, 2)), taps, words(scales)], axis=1)
    return replace(
        step,
        kernel="dsp_dense",
        parameters={
            **{name: p[name] for name in ("rows", "depth", "units", "act_min", "act_max")},
            "raised": raised,
            "stream": stream,
        },
        takes_scratch=True,
        scratch=-(-depth // GROUP) * 2 * GROUP,
        lead=lead_of_rows(p["rows"], depth, units),
    )
