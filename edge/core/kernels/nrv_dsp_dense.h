/* int8 dense layer for processors with Arm's DSP extension: rows of `depth` values to rows of `units`. */
#ifndef NRV_DSP_DENSE_H
#define NRV_DSP_DENSE_H

#include <stdint.h>

typedef struct {
    int32_t rows;
    int32_t depth;
    int32_t units;
    int32_t raised; /* bits that sums are shifted to the left */
    int32_t act_min;
    int32_t act_max;
    /*
     * For every two units their biases and weights, as in nrv_dsp_matrix_t, then multiplier m, round r, shift s of
     * each: the output is (r + ((sum << raised) * m >> 32)) >> s.
     */
    const uint32_t *stream;
} nrv_dsp_dense_t;

/* scratch: a row as int16, filled up to four: 8 bytes for every four of `depth`. */
void nrv_dsp_dense(const nrv_dsp_dense_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
