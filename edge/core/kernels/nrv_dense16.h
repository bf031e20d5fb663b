/* Dense layer of int16 activations and int8 weights: rows of `depth` values to rows of `units`. */
#ifndef NRV_DENSE16_H
#define NRV_DENSE16_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t units;
    int32_t act_min; /* fused activation and int16 range, as quantized outputs */
    int32_t act_max;
    const int8_t *weights; /* [units][depth] */
    const int64_t *bias;
    /* Per unit, the scale that sums are multiplied by: (scale_high * 2^27 + scale_low) / 2^shift, a double's 53 bits. */
    const uint32_t *scale_high;
    const uint32_t *scale_low;
    const int8_t *shift;
} nrv_dense16_t;

/* input and output are int16 on their boundaries; |sums| stay below 2^36. */
void nrv_dense16(const nrv_dense16_t *p, const int8_t *input, int8_t *output);

#endif
