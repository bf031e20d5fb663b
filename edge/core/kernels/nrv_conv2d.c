#include "nrv_conv2d.h"

#include "fixed.h"
#include "nrv_clamp.h"

enum { BLOCK = 4 /* output channels a pass: each tap is loaded once for all of them */ };

/* A patch as runs of `length` contiguous taps, which is how the weights of a channel lie too. */
typedef struct {
    nrv_patch_t patch;
    int32_t rows;
    int32_t runs;
    int32_t length;
} nrv_runs_t;

static nrv_runs_t contiguous_runs(const nrv_conv2d_t *p, nrv_patch_t patch)
{
    nrv_runs_t r = {patch, p->window.kernel_h, p->window.kernel_w, p->in_c};
    /* Neighbouring taps, then neighbouring rows, are contiguous more often than not. */
    if (r.runs == 1 || patch.column_step == r.length) {
        r.length *= r.runs;
        r.runs = 1;
        if (r.rows == 1 || patch.row_step == r.length) {
            r.length *= r.rows;
            r.rows = 1;
        }
    }
    return r;
}

static int32_t accumulate(const nrv_runs_t *r, const int8_t *weights, int32_t acc)
{
    for (int32_t row = 0; row < r->rows; row++) {
        for (int32_t run = 0; run < r->runs; run++) {
            const int8_t *taps = r->patch.taps + row * r->patch.row_step + run * r->patch.column_step;
            for (int32_t i = 0; i < r->length; i++) {
                acc += (int32_t)taps[i] * (int32_t)weights[i];
            }
            weights += r->length;
        }
    }
    return acc;
}

static void accumulate_block(const nrv_runs_t *r, const int8_t *weights, int32_t kernel_size, int32_t acc[BLOCK])
{
    const int8_t *w0 = weights;
    const int8_t *w1 = w0 + kernel_size;
    const int8_t *w2 = w1 + kernel_size;
    const int8_t *w3 = w2 + kernel_size;
    int32_t a0 = acc[0];
    int32_t a1 = acc[1];
    int32_t a2 = acc[2];
    int32_t a3 = acc[3];
    for (int32_t row = 0; row < r->rows; row++) {
        for (int32_t run = 0; run < r->runs; run++) {
            const int8_t *tap = r->patch.taps + row * r->patch.row_step + run * r->patch.column_step;
            for (const int8_t *const end = tap + r->length; tap < end; tap++) {
                const int32_t x = *tap;
                a0 += x * *w0++;
                a1 += x * *w1++;
                a2 += x * *w2++;
                a3 += x * *w3++;
            }
        }
    }
    acc[0] = a0;
    acc[1] = a1;
    acc[2] = a2;
    acc[3] = a3;
}

static int8_t quantized(const nrv_conv2d_t *p, int32_t channel, int32_t acc)
{
    const int32_t value = nrv_requantize(acc, p->multiplier[channel], p->shift[channel]) + p->output_zero;
    return nrv_clamp8(value, p->act_min, p->act_max);
}

void nrv_conv2d(const nrv_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const int32_t kernel_size = w->kernel_h * w->kernel_w * p->in_c;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++) {
                const nrv_runs_t runs = contiguous_runs(p, nrv_patch(w, input, p->in_c, y, x, scratch));
                const int8_t *weights = p->weights;
                int32_t c = 0;
                for (; c + BLOCK <= p->out_c; c += BLOCK, weights += BLOCK * kernel_size) {
                    int32_t acc[BLOCK] = {p->bias[c], p->bias[c + 1], p->bias[c + 2], p->bias[c + 3]};
                    accumulate_block(&runs, weights, kernel_size, acc);
                    for (int32_t i = 0; i < BLOCK; i++) {
                        *output++ = quantized(p, c + i, acc[i]);
                    }
                }
                for (; c < p->out_c; c++, weights += kernel_size) {
                    *output++ = quantized(p, c, accumulate(&runs, weights, p->bias[c]));
                }
            }
        }
        input += w->in_h * w->in_w * p->in_c;
    }
}
