/* int8 dense layer: rows of `depth` values to rows of `units`. */
#ifndef NRV_DENSE_H
#define NRV_DENSE_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t units;
    int32_t output_zero;
    int32_t act_min; /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    const int8_t *weights; /* [units][depth] */
    const int32_t *bias;   /* input zero point folded in */
    /* Per unit: |acc| * multiplier / 2^shift, halves up, has been proved to round as the reference does. */
    const uint64_t *multiplier;
    const int8_t *shift;
} nrv_dense_t;

void nrv_dense(const nrv_dense_t *p, const int8_t *input, int8_t *output);

#endif
