/* int8 depthwise convolution, NHWC, any channel multiplier. */
#ifndef NRV_DEPTHWISE_H
#define NRV_DEPTHWISE_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t in_c;
    int32_t channel_multiplier; /* outputs per input channel; out_c = in_c * channel_multiplier */
    int32_t output_zero;
    int32_t act_min;
    int32_t act_max;
    const int8_t *weights;      /* [kernel_h][kernel_w][out_c] */
    const int32_t *bias;        /* input zero point folded in */
    const int32_t *multiplier;  /* per output channel */
    const int8_t *shift;
} nrv_depthwise_t;

/* scratch as for nrv_conv2d. */
void nrv_depthwise(const nrv_depthwise_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
