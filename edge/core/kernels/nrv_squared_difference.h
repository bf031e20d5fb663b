/* int8 SQUARED_DIFFERENCE. */
#ifndef NRV_SQUARED_DIFFERENCE_H
#define NRV_SQUARED_DIFFERENCE_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs;
    int32_t zero[2];       /* zero points of the inputs */
    int32_t multiplier[2]; /* input scale / (2 * the larger input scale) */
    int32_t shift[2];
    int32_t output_multiplier; /* (2 * the larger input scale)^2 / (2^14 * output scale) */
    int32_t output_shift;
    int32_t output_zero;
} nrv_squared_difference_t;

/* output may be the same as an input that is not repeated. */
void nrv_squared_difference(const nrv_squared_difference_t *p, const int8_t *first, const int8_t *second,
                            int8_t *output);

#endif
