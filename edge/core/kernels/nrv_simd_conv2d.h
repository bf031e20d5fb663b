/* int8 convolution for processors with vectors, NHWC: sixteen output channels of several windows at a time. */
#ifndef NRV_SIMD_CONV2D_H
#define NRV_SIMD_CONV2D_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window; /* a whole number of `pool` windows in each row */
    int32_t in_c;
    int32_t out_c;
    int32_t groups;  /* of four taps that lie side by side in the input; missing ones have zero weights */
    int32_t plane_h; /* rows and columns of input that any window reaches, the border included */
    int32_t plane_w;
    int32_t pool; /* 1, 2 or 4: the highest of so many neighbouring windows of a row is the output */
    int32_t output_zero;
    int32_t act_min; /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    const int32_t *places; /* of each group, within a window: bytes in the plane */
    const int8_t *weights; /* of each sixteen output channels [groups][16][4]; the channels that are missing are 0 */
    /*
     * Of each sixteen output channels: bias (input zero point folded in), the same for flipped input (less 128 times
     * the sum of weights), multiplier, shift.
     */
    const int32_t *scales;
} nrv_simd_conv2d_t;

/* scratch: plane_h * plane_w * in_c bytes, and three. */
void nrv_simd_conv2d(const nrv_simd_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
