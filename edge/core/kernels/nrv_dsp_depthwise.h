/*
 * int8 depthwise convolution for processors with Arm's DSP extension, NHWC, at least four input channels. Taps beyond
 * the border are left out: with the input's zero point taken from each tap they are 0.
 */
#ifndef NRV_DSP_DEPTHWISE_H
#define NRV_DSP_DEPTHWISE_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t in_c;
    int32_t channel_multiplier; /* outputs per input channel */
    int32_t cut_below_zero;     /* as in nrv_dsp_matrix_t */
    int32_t act_min;
    int32_t act_max;
    int32_t stream_words;
    /*
     * Four input channels at a time, the last four overlapping those before where in_c does not divide by 4; for each
     * such block, and each of the outputs per input channel:
     *   the first input channel;
     *   4 biases, channel after channel;
     *   for each tap two words of int16 weights, channels (0, 2) and (1, 3), low half first;
     *   4 times multiplier, shift as in nrv_dsp_matrix_t;
     *   the first output channel; the others follow channel_multiplier apart.
     */
    const uint32_t *stream;
} nrv_dsp_depthwise_t;

void nrv_dsp_depthwise(const nrv_dsp_depthwise_t *p, const int8_t *input, int8_t *output);

#endif
