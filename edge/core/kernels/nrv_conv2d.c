#include "nrv_conv2d.h"

#include "nrv_clamp.h"
#include "fixed.h"

/* One output channel: weights are contiguous, taps lie in `rows` runs of `runs` stretches of `length`. */
static int32_t accumulate(const nrv_patch_t *patch, const int8_t *weights, int32_t rows, int32_t runs, int32_t length,
                          int32_t acc)
{
    for (int32_t row = 0; row < rows; row++) {
        const int8_t *line = patch->taps + row * patch->row_step;
        for (int32_t run = 0; run < runs; run++) {
            const int8_t *taps = line + run * patch->column_step;
            for (int32_t i = 0; i < length; i++) {
                acc += (int32_t)taps[i] * (int32_t)weights[i];
            }
            weights += length;
        }
    }
    return acc;
}

void nrv_conv2d(const nrv_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const int32_t kernel_size = w->kernel_h * w->kernel_w * p->in_c;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                const nrv_patch_t patch = nrv_patch(w, input, p->in_c, y, x, scratch);
                /* Neighbouring taps, then neighbouring rows, are contiguous more often than not. */
                int32_t rows = w->kernel_h;
                int32_t runs = w->kernel_w;
                int32_t length = p->in_c;
                if (runs == 1 || patch.column_step == length) {
                    length *= runs;
                    runs = 1;
                    if (rows == 1 || patch.row_step == length) {
                        length *= rows;
                        rows = 1;
                    }
                }
                const int8_t *weights = p->weights;
                for (int32_t c = 0; c < p->out_c; c++) {
                    const int32_t acc = accumulate(&patch, weights, rows, runs, length, p->bias[c]);
                    const int32_t value = nrv_requantize(acc, p->multiplier[c], p->shift[c]) + p->output_zero;
                    *output++ = nrv_clamp8(value, p->act_min, p->act_max);
                    weights += kernel_size;
                }
            }
        }
        input += w->in_h * w->in_w * p->in_c;
    }
}
