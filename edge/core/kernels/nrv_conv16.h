/* Convolution of int16 activations and int8 weights, NHWC, full or depthwise. */
#ifndef NRV_CONV16_H
#define NRV_CONV16_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t groups;    /* of channels that are convolved by themselves: all in one, or each input channel */
    int32_t group_in;  /* channels of a group */
    int32_t group_out;
    int32_t weight_step[2]; /* from output channel to output channel, and from tap to tap */
    int32_t act_min;        /* fused activation and int16 range, as quantized outputs */
    int32_t act_max;
    const int8_t *weights;
    const int64_t *bias;
    const int16_t *multiplier; /* per output channel: (sum * multiplier) / 2^shift, halves upwards */
    const int8_t *shift;
} nrv_conv16_t;

/* input and output are int16 on their boundaries. */
void nrv_conv16(const nrv_conv16_t *p, const int8_t *input, int8_t *output);

#endif
