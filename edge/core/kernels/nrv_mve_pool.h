/* int8 pooling for processors with Helium, NHWC: sixteen channels at a time, or the sums of four. */
#ifndef NRV_MVE_POOL_H
#define NRV_MVE_POOL_H

#include "nrv_pool.h"

enum { NRV_MVE_MAX_AVERAGED = 4080 /* taps whose sum nrv_mve_average_pool() divides exactly */ };

void nrv_mve_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

void nrv_mve_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
