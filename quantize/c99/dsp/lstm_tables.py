"""The exponentials of `nrv_dsp_sigmoid.h`, as gemmlowp's 16-bit arithmetic gives them."""

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_COUNT = 1024  # steps of 2^-12 in a quarter
_OF_ZERO = 32758  # any of 32,758 to 32,761 leads to a sigmoid of a half; e^0 itself, 32,767, does not


def _times(x: Integers, y: Integers | int) -> Integers:
    """Return round(x y / 2^15), halves upwards."""
    return (x * y + (1 << 14)) >> 15


def exponentials() -> NDArray[np.uint16]:
    """Return e^-v in steps of 2^-15 [1 + 1024] for v of 1 to 1024 steps of 2^-12, after what stands for 0.

    The Taylor polynomial about -1/8 of gemmlowp's `exp_on_interval_between_negative_one_quarter_and_0_excl`
    (fixedpoint.h). What it rounds halves away from zero is never negative.
    """
    eighth, third = 28918, 10923  # e^(-1/8), 1/3
    x = (1 << 12) - 8 * np.arange(1, _COUNT + 1)
    x2 = _times(x, x)
    sum_x4_x3 = ((_times(x2, x2) + 2) >> 2) + _times(x2, x)
    series = (_times(sum_x4_x3, third) + x2 + 1) >> 1
    return np.concatenate([[_OF_ZERO], eighth + _times(x + series, eighth)]).astype(np.uint16)
