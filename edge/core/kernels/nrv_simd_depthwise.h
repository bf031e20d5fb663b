/*
 * int8 depthwise convolution for processors with vectors, NHWC: sixty-four neighbours of an output row at a time, which
 * are the channels of one pixel or of several.
 */
#ifndef NRV_SIMD_DEPTHWISE_H
#define NRV_SIMD_DEPTHWISE_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t in_c;
    int32_t channel_multiplier; /* outputs per input channel */
    int32_t blocks;             /* of sixty-four input channels */
    int32_t pixels;             /* neighbours whose channels fill a block, if it is one */
    int32_t groups;             /* of four taps; missing ones have zero weights */
    /*
     * The plane is what windows reach, the border included: rows, each of stride_w parts (every stride_w-th column from
     * the first, from the second, ...) of so many columns. Neighbouring windows are then one column apart.
     */
    int32_t plane_h;
    int32_t plane_w;
    int32_t output_zero;
    int32_t act_min;
    int32_t act_max;
    const int32_t *places; /* of each tap, within a window: bytes in the plane */
    /* [channel_multiplier][blocks][groups][4 vectors][16][4 taps], in the order of nrv_simd_columns.h */
    const int8_t *weights;
    /* [channel_multiplier][blocks][4 vectors], of each those of nrv_simd_conv2d_t */
    const int32_t *scales;
} nrv_simd_depthwise_t;

/*
 * scratch: the plane and 64 bytes; where the channel multiplier is not 1, all outputs of a row of windows besides.
 */
void nrv_simd_depthwise(const nrv_simd_depthwise_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
