/* int8 pooling for processors with Arm's DSP extension, NHWC, at least four channels, of which four go at a time. */
#ifndef NRV_DSP_POOL_H
#define NRV_DSP_POOL_H

#include "nrv_pool.h"

/* At most 256 taps. */
void nrv_dsp_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

void nrv_dsp_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
