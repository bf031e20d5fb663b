"""The peer of the filter cascade: CMSIS-DSP's fixed-point biquads, on the host by the package `cmsisdsp`."""

from typing import Literal

import cmsisdsp
import numpy as np
from numpy.typing import NDArray

Form = Literal["32x64", "q31"]
"""`arm_biquad_cas_df1_32x64_q31`, the exact one, or `arm_biquad_cascade_df1_q31`, the fast one."""

HEADROOM_SHIFT = 6
"""24-bit counts raised by this lie within +-0.25 in Q31: CMSIS-DSP's condition for no overflow."""


def peer_coefficients(sos: NDArray[np.float64]) -> tuple[NDArray[np.int32], int]:
    """Quantise sections as CMSIS-DSP wants them.

    Args:
        sos: as scipy has it, float64 [sections, 6].

    Returns:
        (int32 [5 * sections]: b0, b1, b2, -a1, -a2 of each in Q31 after division by 2^postShift, postShift).
    """
    rows = np.column_stack([sos[:, :3], -sos[:, 4:]])
    post_shift = 0
    while np.abs(rows).max() * 2.0**31 / 2**post_shift > 2**31 - 1:
        post_shift += 1
    return np.round(rows.ravel() * 2.0 ** (31 - post_shift)).astype(np.int32), post_shift


def peer_cascade(
    sos: NDArray[np.float64],
    signal: NDArray[np.int64],
    form: Form = "32x64",
    shift: int = HEADROOM_SHIFT,
) -> NDArray[np.float64]:
    """Filter one channel from rest with CMSIS-DSP, in one block.

    Args:
        sos: as scipy designs it, float64 [sections, 6]; all gain where scipy puts it.
        signal: counts, integers [n]; n >= 1.
        form: which of the two functions.
        shift: bits by which counts are raised before the filter.

    Returns:
        float64 [n], in counts.
    """
    coefficients, post_shift = peer_coefficients(sos)
    stages = len(sos)
    raised = (np.asarray(signal, np.int64) << shift).astype(np.int32)
    if form == "32x64":
        instance = cmsisdsp.arm_biquad_cas_df1_32x64_ins_q31()
        state = np.zeros(4 * stages, np.int64)
        cmsisdsp.arm_biquad_cas_df1_32x64_init_q31(instance, stages, coefficients, state, post_shift)
        filtered = cmsisdsp.arm_biquad_cas_df1_32x64_q31(instance, raised)
    else:
        instance = cmsisdsp.arm_biquad_casd_df1_inst_q31()
        state = np.zeros(4 * stages, np.int32)
        cmsisdsp.arm_biquad_cascade_df1_init_q31(instance, stages, coefficients, state, post_shift)
        filtered = cmsisdsp.arm_biquad_cascade_df1_q31(instance, raised)
    return np.asarray(filtered, np.float64) / 2.0**shift
