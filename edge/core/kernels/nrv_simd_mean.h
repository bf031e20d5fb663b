/* nrv_mean for processors with vectors: sixteen neighbours at a time. */
#ifndef NRV_SIMD_MEAN_H
#define NRV_SIMD_MEAN_H

#include "nrv_mean.h"

/* The sum, offset included, and half of 2^-shift fit int32 together. */
void nrv_simd_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output);

#endif
