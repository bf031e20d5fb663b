/* int8 convolution, NHWC. */
#ifndef NRV_CONV2D_H
#define NRV_CONV2D_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t in_c;
    int32_t out_c;
    int32_t output_zero;
    int32_t act_min; /* fused activation and int8 range, as quantized outputs */
    int32_t act_max;
    const int8_t *weights;      /* [out_c][kernel_h][kernel_w][in_c] */
    const int32_t *bias;        /* input zero point folded in: bias - zero * sum of the channel's weights */
    const int32_t *multiplier;  /* per output channel */
    const int8_t *shift;
} nrv_conv2d_t;

/*
 * scratch holds one padded patch (kernel_h * kernel_w * in_c bytes) where windows reach over the border;
 * it may be a null pointer where none does.
 */
void nrv_conv2d(const nrv_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
