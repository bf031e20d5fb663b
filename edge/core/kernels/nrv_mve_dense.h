/* nrv_dense for processors with Helium, with the same parameters and results. */
#ifndef NRV_MVE_DENSE_H
#define NRV_MVE_DENSE_H

#include "nrv_dense.h"

void nrv_mve_dense(const nrv_dense_t *p, const int8_t *input, int8_t *output);

#endif
