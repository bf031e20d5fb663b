/* nrv_matmul for Arm's DSP extension, with the same parameters and results. */
#ifndef NRV_DSP_MATMUL_H
#define NRV_DSP_MATMUL_H

#include "nrv_matmul.h"

/*
 * Steps along the sum of the first operand are 1, the shift is 1 to 23 to the right, sums stay below 2^30. scratch
 * holds four columns as int16: 32 bytes for every four taps begun, on a word.
 */
void nrv_dsp_matmul(const nrv_matmul_t *p, const int8_t *first, const int8_t *second, int8_t *output, int8_t *scratch);

#endif
