/* int8 dense layer for processors with vectors: rows of `depth` values to rows of `units`, sixteen units at a time. */
#ifndef NRV_SIMD_DENSE_H
#define NRV_SIMD_DENSE_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t units;
    int32_t groups; /* of four values, the last one filled up */
    int32_t output_zero;
    int32_t act_min; /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    const int8_t *weights; /* of each sixteen units [groups][16][4]; the units that are missing are 0 */
    const int32_t *bias;   /* of each sixteen units: as in nrv_dense_t, then for flipped input */
    /* As in nrv_dense_t; where all fit int32 these are null, and `scales` has multipliers, shifts of each sixteen units. */
    const uint64_t *multiplier;
    const int8_t *shift;
    const int32_t *scales;
} nrv_simd_dense_t;

/* scratch: 4 * groups bytes for each row, as far as there are eight. */
void nrv_simd_dense(const nrv_simd_dense_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
