#include "nrv_pool16.h"

#include "nrv_clamp16.h"

static int32_t pooled(const nrv_pool16_t *p, const int16_t *input, int32_t y, int32_t x)
{
    const nrv_window_t *w = &p->window;
    int32_t sum = 0;
    int32_t count = 0;
    int32_t highest = INT16_MIN;
    for (int32_t ky = 0; ky < w->kernel_h; ky++) {
        const int32_t iy = y * w->stride_h - w->pad_top + ky;
        for (int32_t kx = 0; kx < w->kernel_w; kx++) {
            const int32_t ix = x * w->stride_w - w->pad_left + kx;
            if (iy < 0 || iy >= w->in_h || ix < 0 || ix >= w->in_w) {
                continue;
            }
            const int32_t tap = input[(iy * w->in_w + ix) * p->channels];
            sum += tap;
            count++;
            highest = tap > highest ? tap : highest;
        }
    }
    return p->average ? (sum > 0 ? sum + count / 2 : sum - count / 2) / count : highest;
}

void nrv_pool16(const nrv_pool16_t *p, const int8_t *input, int8_t *output)
{
    const nrv_window_t *w = &p->window;
    const int16_t *from = (const int16_t *)(const void *)input;
    int16_t *to = (int16_t *)(void *)output;
    for (int32_t batch = 0; batch < w->batches; batch++, from += w->in_h * w->in_w * p->channels) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t i = 0; i < w->out_w * p->channels; i++) {
                const int32_t value = pooled(p, from + i % p->channels, y, i / p->channels);
                *to++ = nrv_clamp16(value, p->act_min, p->act_max);
            }
        }
    }
}
