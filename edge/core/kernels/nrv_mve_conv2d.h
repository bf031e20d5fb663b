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
     * Blocks of four windows of a row that are copied together, border included, where they are not read in place:
     * for kernels of one row whose taps are neighbours; else 0.
     */
    int32_t span;
    nrv_mve_matrix_t matrix;
} nrv_mve_conv2d_t;

/* scratch: four windows, each filled up to a multiple of 16 bytes, or what the windows of a span reach, likewise. */
void nrv_mve_conv2d(const nrv_mve_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
