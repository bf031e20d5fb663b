/*
 * int8 MEAN for processors with Arm's DSP extension, over axes with at least four values within (inner >= 4). The shift
 * is 1 to 23 to the right, sums stay below 2^30.
 */
#ifndef NRV_DSP_MEAN_H
#define NRV_DSP_MEAN_H

#include "nrv_mean.h"

void nrv_dsp_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output);

#endif
