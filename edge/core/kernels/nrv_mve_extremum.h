/* MAXIMUM and MINIMUM for processors with Helium, sixteen values at a time. */
#ifndef NRV_MVE_EXTREMUM_H
#define NRV_MVE_EXTREMUM_H

#include "nrv_extremum.h"

void nrv_mve_maximum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output);

void nrv_mve_minimum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
