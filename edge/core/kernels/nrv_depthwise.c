#include "nrv_depthwise.h"

#include "fixed.h"
#include "nrv_clamp.h"

enum { BLOCK = 4 /* output channels a pass */ };

static int8_t quantized(const nrv_depthwise_t *p, int32_t channel, int32_t acc)
{
    const int32_t value = nrv_requantize(acc, p->multiplier[channel], p->shift[channel]) + p->output_zero;
    return nrv_clamp8(value, p->act_min, p->act_max);
}

/* Output channel c: the taps of its input channel against every out_c-th weight. */
static int32_t accumulate(const nrv_depthwise_t *p, const nrv_patch_t *patch, int32_t c)
{
    const int32_t out_c = p->in_c * p->channel_multiplier;
    const int8_t *weight = p->weights + c;
    int32_t acc = p->bias[c];
    for (int32_t row = 0; row < p->window.kernel_h; row++) {
        const int8_t *tap = patch->taps + row * patch->row_step + c / p->channel_multiplier;
        for (int32_t column = 0; column < p->window.kernel_w; column++) {
            acc += (int32_t)*tap * (int32_t)*weight;
            tap += patch->column_step;
            weight += out_c;
        }
    }
    return acc;
}

/* Output channels c to c + 3, whose weights are neighbours; taps too unless the channels are multiplied. */
static void accumulate_block(const nrv_depthwise_t *p, const nrv_patch_t *patch, int32_t c, int32_t acc[BLOCK])
{
    const int32_t out_c = p->in_c * p->channel_multiplier;
    const int32_t column_step = patch->column_step;
    const int32_t first = c / p->channel_multiplier;
    const int32_t t1 = (c + 1) / p->channel_multiplier - first;
    const int32_t t2 = (c + 2) / p->channel_multiplier - first;
    const int32_t t3 = (c + 3) / p->channel_multiplier - first;
    const int8_t *weight = p->weights + c;
    int32_t a0 = p->bias[c];
    int32_t a1 = p->bias[c + 1];
    int32_t a2 = p->bias[c + 2];
    int32_t a3 = p->bias[c + 3];
    for (int32_t row = 0; row < p->window.kernel_h; row++) {
        const int8_t *tap = patch->taps + row * patch->row_step + first;
        for (int32_t column = p->window.kernel_w; column > 0; column--) {
            a0 += (int32_t)tap[0] * (int32_t)weight[0];
            a1 += (int32_t)tap[t1] * (int32_t)weight[1];
            a2 += (int32_t)tap[t2] * (int32_t)weight[2];
            a3 += (int32_t)tap[t3] * (int32_t)weight[3];
            tap += column_step;
            weight += out_c;
        }
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

void nrv_depthwise(const nrv_depthwise_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const int32_t out_c = p->in_c * p->channel_multiplier;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                const nrv_patch_t patch = nrv_patch(w, input, p->in_c, y, x, scratch);
                int32_t c = 0;
                for (int32_t blocks = out_c / BLOCK; blocks > 0; blocks--, c += BLOCK) {
                    int32_t acc[BLOCK];
                    accumulate_block(p, &patch, c, acc);
                    for (int32_t i = 0; i < BLOCK; i++) {
                        *output++ = quantized(p, c + i, acc[i]);
                    }
                }
                for (; c < out_c; c++) {
                    *output++ = quantized(p, c, accumulate(p, &patch, c));
                }
            }
        }
        input += w->in_h * w->in_w * p->in_c;
    }
}
