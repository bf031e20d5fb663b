/* nrv_dense for processors with Helium, four units at a time. */
#ifndef NRV_MVE_DENSE_H
#define NRV_MVE_DENSE_H

#include "nrv_dense.h"

typedef struct {
    nrv_dense_t dense; /* without bias, multipliers and shifts if there are scales */
    int32_t raised;    /* bits that sums are shifted to the left by */
    /*
     * For every four units, beyond the last one any: their biases, multipliers m, offsets r and shifts s, with which
     * (r + ((sum << raised) * m >> 32)) >> -s, within int8, is the output. Null where there are none: then the shifts
     * and 64-bit multipliers are those of nrv_dense().
     */
    const int32_t *scales;
} nrv_mve_dense_t;

void nrv_mve_dense(const nrv_mve_dense_t *p, const int8_t *input, int8_t *output);

#endif
