/* int8 MAXIMUM and MINIMUM of two tensors of one scale. */
#ifndef NRV_EXTREMUM_H
#define NRV_EXTREMUM_H

#include <stdint.h>

#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t pairs;
} nrv_extremum_t;

/* output may be the same as an input that is not repeated. */
void nrv_maximum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output);

void nrv_minimum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output);

#endif
