#ifndef NRV_SCALE_H
#define NRV_SCALE_H

#include <stdint.h>

/* acc * multiplier / 2^shift, rounded once, halves away from zero. */
static inline int32_t nrv_scale_once(int32_t acc, uint64_t multiplier, int32_t shift)
{
    const uint64_t magnitude = acc < 0 ? (uint64_t)(-(int64_t)acc) : (uint64_t)acc;
    const int32_t value = (int32_t)((magnitude * multiplier + (UINT64_C(1) << (shift - 1))) >> shift);
    return acc < 0 ? -value : value;
}

#endif
