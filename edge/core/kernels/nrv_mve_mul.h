/* nrv_mul for processors with Helium, with the same parameters and results, four values at a time: shifts -1 to -31. */
#ifndef NRV_MVE_MUL_H
#define NRV_MVE_MUL_H

#include "nrv_mul.h"

void nrv_mve_mul(const nrv_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
