/*
 * nrv_squared_difference for processors with Helium, with the same parameters and results, four values at a time.
 * Shifts as for nrv_mve_add().
 */
#ifndef NRV_MVE_SQUARED_DIFFERENCE_H
#define NRV_MVE_SQUARED_DIFFERENCE_H

#include "nrv_squared_difference.h"

void nrv_mve_squared_difference(const nrv_squared_difference_t *p, const int8_t *first, const int8_t *second,
                                int8_t *output);

#endif
