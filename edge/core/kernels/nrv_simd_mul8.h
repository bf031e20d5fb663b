/* nrv_mul for processors with vectors. */
#ifndef NRV_SIMD_MUL8_H
#define NRV_SIMD_MUL8_H

#include "nrv_mul.h"

void nrv_simd_mul8(const nrv_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
