#ifndef NRV_DOWN_H
#define NRV_DOWN_H

#include "fixed.h"

/* nrv_requantize() for shifts to the right and |x| < 2^31, which is most of its code left out. */
static inline int32_t nrv_requantize_down(int32_t x, int32_t multiplier, int32_t shift)
{
    const int32_t product = (int32_t)(((int64_t)x * multiplier + (INT64_C(1) << 30)) >> 31);
    return nrv_rounding_divide_by_pot(product, -shift);
}

#endif
