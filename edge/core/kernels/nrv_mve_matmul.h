/*
 * nrv_matmul for processors with Helium, with the same parameters and results, four columns at a time. Rows of the
 * first operand lie in one piece (first_step[1] is 1); the shift is -1 to -31.
 */
#ifndef NRV_MVE_MATMUL_H
#define NRV_MVE_MATMUL_H

#include "nrv_matmul.h"

/* scratch: four columns, each filled up to a multiple of 16 bytes. */
void nrv_mve_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output, int8_t *scratch);

#endif
