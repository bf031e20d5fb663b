/* int16 ADD. */
#ifndef NRV_ADD16_H
#define NRV_ADD16_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs;
    int32_t multiplier[2]; /* input scale / (2 * the larger input scale) */
    int32_t shift[2];
    int32_t output_multiplier; /* 2 * the larger input scale / (2^15 * output scale) */
    int32_t output_shift;
    int32_t act_min;
    int32_t act_max;
} nrv_add16_t;

/* All are int16 on their boundaries. */
void nrv_add16(const nrv_add16_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
