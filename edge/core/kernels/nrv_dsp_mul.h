/* int8 MUL for processors with Arm's DSP extension. */
#ifndef NRV_DSP_MUL_H
#define NRV_DSP_MUL_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs;
    int32_t twice_zero; /* of the first operand */
    int32_t zero;       /* of the second */
    int32_t multiplier;
    int32_t round; /* half of the last shift's step, and the output's zero point */
    int32_t shift; /* to the right, less 1 */
    int32_t act_min;
    int32_t act_max;
} nrv_dsp_mul_t;

/* output may be the same as an input that is not repeated. */
void nrv_dsp_mul(const nrv_dsp_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
