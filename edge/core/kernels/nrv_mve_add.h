/*
 * nrv_add for processors with Helium, with the same parameters and results, four values at a time. Shifts are -1 to
 * -31, those of the inputs also 0 where the multiplier is 2^30: a half, which is exact.
 */
#ifndef NRV_MVE_ADD_H
#define NRV_MVE_ADD_H

#include "nrv_add.h"

void nrv_mve_add(const nrv_add_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
