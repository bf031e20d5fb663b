/* nrv_max_pool with the same results; at least four channels. */
#ifndef NRV_DSP_MAX_POOL_H
#define NRV_DSP_MAX_POOL_H

#include "nrv_pool.h"

void nrv_dsp_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
