#ifndef NRV_CLAMP16_H
#define NRV_CLAMP16_H

#include <stdint.h>

/* x within a fused activation's range, which lies within int16. */
static inline int16_t nrv_clamp16(int64_t x, int32_t low, int32_t high)
{
    x = x < low ? low : x;
    return (int16_t)(x > high ? high : x);
}

#endif
