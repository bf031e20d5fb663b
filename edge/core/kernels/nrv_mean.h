/*
 * int8 MEAN: the input is seen as [outer][count][middle][second_count][inner], the output is
 * [outer][middle][inner].
 */
#ifndef NRV_MEAN_H
#define NRV_MEAN_H

#include <stdint.h>

typedef struct {
    int32_t outer;
    int32_t count;
    int32_t middle;       /* 1 where the axes adjoin */
    int32_t second_count; /* then 1 as well */
    int32_t inner;
    int32_t offset;     /* -both counts * input zero point */
    int32_t multiplier; /* input scale / output scale / both counts */
    int32_t shift;
    int32_t output_zero;
} nrv_mean_t;

void nrv_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output);

#endif
