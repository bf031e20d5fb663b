/* int8 BATCH_MATMUL for processors with vectors: sixteen columns at a time. */
#ifndef NRV_SIMD_MATMUL_H
#define NRV_SIMD_MATMUL_H

#include "nrv_matmul.h"

/*
 * One of each operand's steps is 1. scratch: 4 bytes for every two of depth, of all rows, all columns of whole blocks of
 * sixteen, and one; and 64 bytes.
 */
void nrv_simd_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output,
                     int8_t *scratch);

#endif
