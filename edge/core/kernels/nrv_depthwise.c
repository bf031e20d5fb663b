#include "nrv_depthwise.h"

#include "nrv_clamp.h"
#include "fixed.h"

/* One output channel: the taps of its input channel against every out_c-th weight. */
static int32_t accumulate(const nrv_patch_t *patch, int32_t channel, const int8_t *weights, int32_t rows,
                          int32_t columns, int32_t weight_step, int32_t acc)
{
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *taps = patch->taps + row * patch->row_step + channel;
        for (int32_t column = 0; column < columns; column++) {
            acc += (int32_t)*taps * (int32_t)*weights;
            taps += patch->column_step;
            weights += weight_step;
        }
    }
    return acc;
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
                for (int32_t in = 0; in < p->in_c; in++) {
                    for (int32_t m = 0; m < p->channel_multiplier; m++, c++) {
                        const int32_t acc =
                            accumulate(&patch, in, p->weights + c, w->kernel_h, w->kernel_w, out_c, p->bias[c]);
                        const int32_t value = nrv_requantize(acc, p->multiplier[c], p->shift[c]) + p->output_zero;
                        *output++ = nrv_clamp8(value, p->act_min, p->act_max);
                    }
                }
            }
        }
        input += w->in_h * w->in_w * p->in_c;
    }
}
