/* int8 convolution for processors with Helium, NHWC: four windows at a time, two output channels at a time. */
#ifndef NRV_MVE_CONV2D_H
#define NRV_MVE_CONV2D_H

#include "nrv_mve_matrix.h"
#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t in_c;
    int32_t in_place; /* 1: the taps of a window inside are neighbours, and read where they are */
    int32_t readable; /* bytes from the input's start to its end: windows of a part may be counted from further on */
    /*
     * Blocks of four windows of a row whose input is copied together at a border. Of windows read in place the copy is
     * read as it is (kernels of one row); others are copied from it, one block at a time. 0: window by window.
     */
    int32_t span;
    nrv_mve_matrix_t matrix;
} nrv_mve_conv2d_t;

/*
 * scratch: four windows, each filled up to a multiple of 16 bytes and 16 more; then what four windows reach and 15
 * bytes, if they are copied from there. Or, of windows read in place, what a span reaches, the last window filled up.
 */
void nrv_mve_conv2d(const nrv_mve_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
