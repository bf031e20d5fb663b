#include "nrv_conv16.h"

#include "nrv_clamp16.h"

/* One group's sum of the window at (y, x): what lies beyond the border is zero. */
static int64_t window_sum(const nrv_conv16_t *p, const int16_t *input, const int8_t *weight, int32_t y, int32_t x)
{
    const nrv_window_t *w = &p->window;
    const int32_t in_c = p->groups * p->group_in;
    int64_t sum = 0;
    for (int32_t ky = 0; ky < w->kernel_h; ky++) {
        const int32_t iy = y * w->stride_h - w->pad_top + ky * w->dilation_h;
        for (int32_t kx = 0; kx < w->kernel_w; kx++) {
            const int32_t ix = x * w->stride_w - w->pad_left + kx * w->dilation_w;
            if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w) {
                weight += p->group_in * p->weight_step[1];
                continue;
            }
            const int16_t *tap = input + (iy * w->in_w + ix) * in_c;
            for (int32_t c = 0; c < p->group_in; c++, weight += p->weight_step[1]) {
                sum += (int32_t)tap[c] * (int32_t)*weight;
            }
        }
    }
    return sum;
}

void nrv_conv16(const nrv_conv16_t *p, const int8_t *input, int8_t *output)
{
    const nrv_window_t *w = &p->window;
    const int16_t *from = (const int16_t *)(const void *)input;
    int16_t *to = (int16_t *)(void *)output;
    const int32_t out_c = p->groups * p->group_out;
    for (int32_t batch = 0; batch < w->batches; batch++, from += w->in_h * w->in_w * p->groups * p->group_in) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t i = 0; i < w->out_w * out_c; i++) {
                const int32_t x = i / out_c;
                const int32_t c = i % out_c;
                const int16_t *group = from + c / p->group_out * p->group_in;
                const int64_t sum = p->bias[c] + window_sum(p, group, p->weights + c * p->weight_step[0], y, x);
                const int64_t half = INT64_C(1) << (p->shift[c] - 1);
                *to++ = nrv_clamp16((sum * p->multiplier[c] + half) >> p->shift[c], p->act_min, p->act_max);
            }
        }
    }
}
