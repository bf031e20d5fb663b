/* int8 MEAN over adjoining axes: the input is seen as [outer][count][inner], the output is [outer][inner]. */
#ifndef NRV_MEAN_H
#define NRV_MEAN_H

#include <stdint.h>

typedef struct {
    int32_t outer;
    int32_t count;
    int32_t inner;
    int32_t offset;     /* -count * input zero point */
    int32_t multiplier; /* input scale / output scale / count */
    int32_t shift;
    int32_t output_zero;
} nrv_mean_t;

void nrv_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output);

#endif
