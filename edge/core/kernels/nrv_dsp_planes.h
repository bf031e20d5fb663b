/*
 * int8 depthwise convolution for processors with Arm's DSP extension, NHWC, any number of channels, one after the
 * other: a channel's part of the input becomes a plane of int16 with its border, in which the taps of a line lie side
 * by side. Lines are rows of the picture, or its columns; along them windows move by one tap.
 */
#ifndef NRV_DSP_PLANES_H
#define NRV_DSP_PLANES_H

#include <stdint.h>

typedef struct {
    int32_t batches;
    int32_t channels;
    int32_t multiplier; /* outputs per channel */
    int32_t input_zero;
    /* Lines and length of a line of the input, of the outputs, and how far to go in each from one to the next. */
    int32_t in_lines, in_length, in_line_step, in_step;
    int32_t out_lines, out_length, out_line_step, out_step;
    int32_t lines_before, taps_before; /* of border */
    int32_t line_stride;               /* lines of input from one line of outputs to the next */
    int32_t kernel_lines;
    int32_t line_dilation;
    int32_t groups; /* of four taps in a line of the kernel, the last one filled with zeros */
    int32_t plane_lines;
    int32_t pitch; /* taps of a line of the plane: those that groups of four outputs read, a multiple of 4 */
    int32_t cut_below_zero; /* as in nrv_dsp_matrix_t */
    int32_t act_min;
    int32_t act_max;
    int32_t filter_words;
    /*
     * For each output channel: its bias, the input's zero point folded in; kernel_lines * groups times four int16
     * weights; multiplier and shift as in nrv_dsp_matrix_t.
     */
    const uint32_t *stream;
} nrv_dsp_planes_t;

/*
 * scratch: plane_lines * pitch int16. With multiplier 1 the output may be the input's own memory, if batches are 1 or
 * an output is not larger than an input: a channel is read as a whole before its outputs take its place.
 */
void nrv_dsp_planes(const nrv_dsp_planes_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
