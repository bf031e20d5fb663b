/* nrv_softmax for processors with vectors: rows of up to 511 values. */
#ifndef NRV_SIMD_SOFTMAX_H
#define NRV_SIMD_SOFTMAX_H

#include "nrv_softmax.h"

/* All 256 exponentials are given, 0 below diff_min. scratch: 4 bytes for each value of a row, filled up to sixteen. */
void nrv_simd_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
