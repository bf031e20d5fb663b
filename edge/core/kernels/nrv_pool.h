/* int8 average and maximum pooling, NHWC. Taps beyond the border do not count. */
#ifndef NRV_POOL_H
#define NRV_POOL_H

#include <stdint.h>

#include "nrv_window.h"

typedef struct {
    nrv_window_t window; /* no dilation; input_zero unused */
    int32_t channels;
    int32_t act_min;
    int32_t act_max;
} nrv_pool_t;

/* The part of the window at (y, x) that lies inside the input. */
typedef struct {
    const int8_t *taps;
    int32_t rows;
    int32_t columns;
} nrv_pool_part_t;

static inline nrv_pool_part_t nrv_pool_inside(const nrv_pool_t *p, const int8_t *input, int32_t y, int32_t x)
{
    const nrv_window_t *w = &p->window;
    int32_t top = y * w->stride_h - w->pad_top;
    int32_t left = x * w->stride_w - w->pad_left;
    int32_t bottom = top + w->kernel_h;
    int32_t right = left + w->kernel_w;
    top = top < 0 ? 0 : top;
    left = left < 0 ? 0 : left;
    bottom = bottom > w->in_h ? w->in_h : bottom;
    right = right > w->in_w ? w->in_w : right;
    const nrv_pool_part_t part = {input + (top * w->in_w + left) * p->channels, bottom - top, right - left};
    return part;
}

/* Mean of the taps, half away from zero. */
void nrv_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

void nrv_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output);

#endif
