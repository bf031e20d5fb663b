/*
 * int8 BATCH_MATMUL for processors with Arm's DSP extension, the second operand with zero point 0: its columns become
 * the units of a matrix, with which the first one's rows are convolved.
 */
#ifndef NRV_DSP_PRODUCT_H
#define NRV_DSP_PRODUCT_H

#include <stdint.h>

#include "nrv_dsp_conv2d.h"
#include "nrv_pairs.h"

typedef struct {
    nrv_pairs_t batches;    /* as in nrv_matmul_t */
    nrv_dsp_conv2d_t rows;  /* one row of windows: those of the first operand; its stream is not used */
    int32_t depth;          /* taps of a row */
    int32_t second_step[2]; /* as in nrv_matmul_t */
    int32_t first_zero;     /* zero point of the first operand */
    int32_t multiplier;     /* and shift, as in nrv_dsp_matrix_t */
    int32_t shift;
    int32_t stream_words;
} nrv_dsp_product_t;

/* scratch: stream_words words, then what nrv_dsp_conv2d() takes. */
void nrv_dsp_product(const nrv_dsp_product_t *p, const int8_t *first, const int8_t *second, int8_t *output,
                     int8_t *scratch);

#endif
