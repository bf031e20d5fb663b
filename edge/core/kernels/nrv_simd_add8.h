/* nrv_add for processors with vectors. */
#ifndef NRV_SIMD_ADD8_H
#define NRV_SIMD_ADD8_H

#include "nrv_add.h"

void nrv_simd_add8(const nrv_add_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
