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
    /*
     * A window that counts as inside is read in place: rows of runs of neighbouring taps, each run filled up to groups of
     * four. What is read beyond the last run lies in the input, and meets weights of zero.
     */
    nrv_window_t window;
    int32_t in_c;
    int32_t rows;
    int32_t runs;
    int32_t run_groups;
    int32_t run_taps;
    int32_t span; /* input columns that four neighbouring windows reach; 0 where those cannot be read as those inside */
    nrv_dsp_matrix_t matrix;
} nrv_dsp_conv2d_t;

/* scratch: 4 int16 columns of matrix.groups * 4 taps; after them a window or,
 * if that is larger, kernel_h rows of `span` pixels and 3 bytes. */
void nrv_dsp_conv2d(const nrv_dsp_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

/* The same by another stream than the matrix's own. */
void nrv_dsp_convolve(const nrv_dsp_conv2d_t *p, const uint32_t *stream, const int8_t *input, int8_t *output,
                      int8_t *scratch);

#endif
