/* nrv_lookup for processors with Helium, with the same parameters and results: sixteen values at a time. */
#ifndef NRV_MVE_LOOKUP_H
#define NRV_MVE_LOOKUP_H

#include "nrv_lookup.h"

void nrv_mve_lookup(const nrv_lookup_t *p, const int8_t *input, int8_t *output);

#endif
