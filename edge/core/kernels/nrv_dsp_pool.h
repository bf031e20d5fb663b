/*
 * int8 pooling for processors with Arm's DSP extension, NHWC, at least four channels, of which four go at a time: what
 * the kernels of the mean and of the maximum share.
 */
#ifndef NRV_DSP_POOL_H
#define NRV_DSP_POOL_H

#include "nrv_dsp.h"
#include "nrv_dsp_clamp.h"
#include "nrv_pool.h"

enum { NRV_POOL_BLOCK = 4 /* channels; the last four overlap those before where they do not divide */ };

/* Sum of `count` taps over count, halves away from zero. */
static inline int8_t nrv_mean_of(int32_t sum, int32_t count)
{
    const int32_t half = count / 2;
    return (int8_t)((sum + half - (2 * half & (sum >> 31))) / count);
}

static inline void nrv_mean_of_four(const nrv_pool_t *p, const nrv_pool_part_t *part, int32_t c, int8_t *output)
{
    const int32_t column_step = p->channels;
    const int32_t row_step = (p->window.in_w - part->columns) * column_step;
    const int8_t *tap = part->taps + c;
    uint32_t even = 0;
    uint32_t odd = 0;
    for (int32_t row = part->rows; row > 0; row--, tap += row_step) {
        for (int32_t column = part->columns; column > 0; column--, tap += column_step) {
            const uint32_t x = nrv_load4(tap);
            even = nrv_even_plus(even, x);
            odd = nrv_odd_plus(odd, x);
        }
    }
    const int32_t count = part->rows * part->columns;
    output[c] = nrv_mean_of((int16_t)(even & 0xFFFFu), count);
    output[c + 1] = nrv_mean_of((int16_t)(odd & 0xFFFFu), count);
    output[c + 2] = nrv_mean_of((int32_t)even >> 16, count);
    output[c + 3] = nrv_mean_of((int32_t)odd >> 16, count);
}

static inline void nrv_highest_of_four(const nrv_pool_t *p, const nrv_pool_part_t *part, int32_t c, int8_t *output)
{
    const int32_t row_step = (p->window.in_w - part->columns) * p->channels;
    const int8_t *tap = part->taps + c;
    uint32_t highest = nrv_bytes(p->act_min);
    for (int32_t row = part->rows; row > 0; row--, tap += row_step) {
        for (int32_t column = part->columns; column > 0; column--, tap += p->channels) {
            highest = nrv_highest4(highest, nrv_load4(tap));
        }
    }
    nrv_store4(output + c, nrv_lowest4(highest, nrv_bytes(p->act_max)));
}

/* The windows in order; `average` is a constant in each kernel. */
static inline __attribute__((always_inline)) void nrv_dsp_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output,
                                                               int32_t average)
{
    const nrv_window_t *w = &p->window;
    int8_t *const first = output;
    const int32_t channels = p->channels;
    const int32_t step = w->stride_w * channels;
    for (int32_t batch = 0; batch < w->batches; batch++, input += w->in_h * w->in_w * p->channels) {
        for (int32_t y = 0; y < w->out_h; y++) {
            const int32_t left = y >= w->inside_top && y < w->inside_bottom ? w->inside_left : w->out_w;
            const int32_t row = ((y * w->stride_h - w->pad_top) * w->in_w - w->pad_left) * p->channels;
            for (int32_t x = 0; x < w->out_w; x++, output += channels) {
                nrv_pool_part_t part = {input + row + x * step, w->kernel_h, w->kernel_w};
                if (x < left || x >= w->inside_right) {
                    part = nrv_pool_inside(p, input, y, x);
                }
                for (int32_t next = 0; next < channels; next += NRV_POOL_BLOCK) {
                    const int32_t c = nrv_min(next, channels - NRV_POOL_BLOCK);
                    if (average) {
                        nrv_mean_of_four(p, &part, c, output);
                    } else {
                        nrv_highest_of_four(p, &part, c, output);
                    }
                }
            }
        }
    }
    if (average) {
        nrv_dsp_clamp(first, (int32_t)(output - first), p->act_min, p->act_max);
    }
}

#endif
