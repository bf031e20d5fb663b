/*
 * int8 depthwise convolution for processors with Helium, NHWC. The part of the input that a stripe (a rectangle) of
 * outputs reaches is turned into one plane a channel, border included, in which the taps of a window lie so close to
 * each other that a few vectors hold them all, mostly one or two.
 */
#ifndef NRV_MVE_DEPTHWISE_H
#define NRV_MVE_DEPTHWISE_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window;
    int32_t in_c;
    int32_t channel_multiplier; /* outputs per input channel */
    int32_t rows, columns;      /* outputs of a stripe */
    int32_t step_y, step_x;     /* in a plane, from one input row and column to the next; one of them is 1 */
    int32_t plane;              /* bytes, below 8192 */
    int32_t groups;             /* of sixteen neighbours in a plane that a window reaches */
    int32_t output_zero;
    int32_t cut_below_zero; /* as in nrv_mve_matrix_t */
    int32_t act_min;
    int32_t act_max;
    /*
     * For every output channel weights in the order of a plane, zeros between them, groups * 4 words; then bias (the
     * input's zero point folded in), multiplier, shift (-1 to -31).
     */
    const uint32_t *stream;
} nrv_mve_depthwise_t;

/*
 * scratch: 32 bytes for every four outputs of a stripe, in_c planes, and groups * 16 bytes that are read beyond them.
 */
void nrv_mve_depthwise(const nrv_mve_depthwise_t *p, const int8_t *input, int8_t *output, int8_t *scratch);

#endif
