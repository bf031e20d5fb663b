/* int8 softmax for processors with Arm's DSP extension: each exponential once. */
#ifndef NRV_DSP_SOFTMAX_H
#define NRV_DSP_SOFTMAX_H

#include "nrv_softmax.h"

/*
 * nrv_softmax() with the same results. A table of exponentials has all 256 differences, 0 for those that do not count.
 * scratch: depth words.
 */
void nrv_dsp_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
