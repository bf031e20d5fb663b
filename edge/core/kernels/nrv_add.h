/* int8 ADD and SUB. */
#ifndef NRV_ADD_H
#define NRV_ADD_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs;
    int32_t sign;          /* of the second input: 1 or -1 */
    int32_t zero[2];       /* zero points of the inputs */
    int32_t multiplier[2]; /* input scale / (2 * the larger input scale) */
    int32_t shift[2];
    int32_t output_multiplier; /* 2 * the larger input scale / (2^20 * output scale) */
    int32_t output_shift;
    int32_t output_zero;
    int32_t act_min;
    int32_t act_max;
} nrv_add_t;

/* output may be the same as an input that is not repeated. */
void nrv_add(const nrv_add_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
