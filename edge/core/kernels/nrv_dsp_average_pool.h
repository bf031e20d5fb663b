/* nrv_average_pool with the same results; at least four channels, at most 256 taps. */
#ifndef NRV_DSP_AVERAGE_POOL_H
#define NRV_DSP_AVERAGE_POOL_H

#include "nrv_pool.h"

void nrv_dsp_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
