/* nrv_softmax for processors with Helium, with the same parameters and results: four values at a time. */
#ifndef NRV_MVE_SOFTMAX_H
#define NRV_MVE_SOFTMAX_H

#include "nrv_softmax.h"

void nrv_mve_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output);

#endif
