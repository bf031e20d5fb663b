#ifndef NRV_CLAMP_H
#define NRV_CLAMP_H

#include <stdint.h>

/* x within a fused activation's range, which lies within int8. */
static inline int8_t nrv_clamp8(int32_t x, int32_t low, int32_t high)
{
    x = x < low ? low : x;
    return (int8_t)(x > high ? high : x);
}

#endif
