/* int8 pooling for processors with vectors, NHWC: sixteen channels at a time. */
#ifndef NRV_SIMD_POOL_H
#define NRV_SIMD_POOL_H

#include "nrv_pool.h"

void nrv_simd_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

void nrv_simd_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
