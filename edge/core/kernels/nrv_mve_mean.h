/* nrv_mean for processors with Helium, over axes that adjoin; the shift is -1 to -31. */
#ifndef NRV_MVE_MEAN_H
#define NRV_MVE_MEAN_H

#include "nrv_mean.h"

void nrv_mve_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output);

#endif
