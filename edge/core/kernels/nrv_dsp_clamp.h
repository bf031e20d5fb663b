#ifndef NRV_DSP_CLAMP_H
#define NRV_DSP_CLAMP_H

#include <stdint.h>

/* `count` values within low .. high, in place. */
void nrv_dsp_clamp(int8_t *values, int32_t count, int32_t low, int32_t high);

#endif
