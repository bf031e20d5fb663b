/*
 * int8 convolution for processors with Arm's DSP extension, NHWC. Four windows at a time are widened to int16 and
 * interleaved (im2col of four columns), then multiplied with two output channels at a time.
 */
#ifndef NRV_DSP_CONV2D_H
#define NRV_DSP_CONV2D_H

#include <stdint.h>

#include "nrv_dsp_matrix.h"
#include "nrv_window.h"

typedef struct {
    nrv_window_t window; /* no window counts as inside where it cannot be read in place */
    int32_t in_c;
    /* A window in place: rows of runs of `length` neighbouring taps; length divides by 4 unless there is one run. */
    int32_t rows;
    int32_t runs;
    int32_t length;
    nrv_dsp_matrix_t matrix;
} nrv_dsp_conv2d_t;

/* scratch: 4 int16 columns of matrix.groups * 4 taps; after them, unless all windows are inside, two windows. */
void nrv_dsp_conv2d(const nrv_dsp_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
