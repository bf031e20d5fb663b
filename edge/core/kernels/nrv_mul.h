/* int8 MUL. */
#ifndef NRV_MUL_H
#define NRV_MUL_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs;
    int32_t zero[2];    /* zero points of the inputs */
    int32_t multiplier; /* product of the input scales / output scale */
    int32_t shift;
    int32_t output_zero;
    int32_t act_min;
    int32_t act_max;
} nrv_mul_t;

/* output may be the same as an input that is not repeated. */
void nrv_mul(const nrv_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
