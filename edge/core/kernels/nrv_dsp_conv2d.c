#include "nrv_dsp_conv2d.h"

#include "nrv_dsp.h"

/* The window that comes next; windows follow each other along the row. */
typedef struct {
    const int8_t *input; /* of this batch */
    int32_t y;
    int32_t x;
} nrv_place_t;

static void advance(const nrv_dsp_conv2d_t *p, nrv_place_t *at)
{
    if (++at->x == p->window.out_w) {
        at->x = 0;
        if (++at->y == p->window.out_h) {
            at->y = 0;
            at->input += p->window.in_h * p->window.in_w * p->in_c;
        }
    }
}

/* One column from `count` neighbouring taps. */
static void widen_one(const int8_t *from, int32_t count, uint32_t *column)
{
    for (; count > 0; count -= 4, from += 4, column += NRV_DSP_GROUP_WORDS) {
        const uint32_t x = count >= 4 ? nrv_load4(from) : nrv_load_some(from, count);
        column[0] = nrv_even(x);
        column[NRV_DSP_COLUMNS] = nrv_odd(x);
    }
}

/* Four columns from `groups` times four neighbouring taps of windows `step` apart; returns where the next ones go. */
static uint32_t *widen_four(const int8_t *taps, int32_t step, int32_t groups, uint32_t *columns)
{
    const int8_t *taps1 = taps + step;
    const int8_t *taps2 = taps1 + step;
    const int8_t *taps3 = taps2 + step;
#ifdef NRV_DSP_ASM
    uint32_t a, b, c, d;
    __asm__ volatile(
        "1:\n\t"
        "ldr %[b], [%[taps]], #4\n\t"
        "ldr %[d], [%[taps1]], #4\n\t"
        "sxtb16 %[a], %[b]\n\t"
        "sxtb16 %[c], %[d]\n\t"
        "sxtb16 %[b], %[b], ror #8\n\t"
        "sxtb16 %[d], %[d], ror #8\n\t"
        "strd %[a], %[c], [%[to]], #8\n\t"
        "strd %[b], %[d], [%[to], #8]\n\t"
        "ldr %[b], [%[taps2]], #4\n\t"
        "ldr %[d], [%[taps3]], #4\n\t"
        "sxtb16 %[a], %[b]\n\t"
        "sxtb16 %[c], %[d]\n\t"
        "sxtb16 %[b], %[b], ror #8\n\t"
        "sxtb16 %[d], %[d], ror #8\n\t"
        "strd %[b], %[d], [%[to], #16]\n\t"
        "strd %[a], %[c], [%[to]], #24\n\t"
        "subs %[groups], %[groups], #1\n\t"
        "bne 1b"
        : [taps] "+r"(taps), [taps1] "+r"(taps1), [taps2] "+r"(taps2), [taps3] "+r"(taps3), [to] "+r"(columns),
          [groups] "+r"(groups), [a] "=&r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d)
        :
        : "cc", "memory");
    return columns;
#else
    widen_one(taps, 4 * groups, columns);
    widen_one(taps1, 4 * groups, columns + 1);
    widen_one(taps2, 4 * groups, columns + 2);
    widen_one(taps3, 4 * groups, columns + 3);
    return columns + groups * NRV_DSP_GROUP_WORDS;
#endif
}

/* Whether the next four windows are neighbours in place. */
static int32_t are_four_inside(const nrv_window_t *w, const nrv_place_t *at)
{
    return at->x >= w->inside_left && at->x + NRV_DSP_COLUMNS <= w->inside_right && at->y >= w->inside_top &&
           at->y < w->inside_bottom;
}

/* The next four windows in place into four columns. */
static void four_in_place(const nrv_dsp_conv2d_t *p, nrv_place_t *at, uint32_t *columns)
{
    const nrv_window_t *w = &p->window;
    const int32_t row_step = w->dilation_h * w->in_w * p->in_c;
    const int32_t run_step = w->dilation_w * p->in_c;
    const int32_t iy = at->y * w->stride_h - w->pad_top;
    const int32_t ix = at->x * w->stride_w - w->pad_left;
    const int8_t *taps = at->input + (iy * w->in_w + ix) * p->in_c;
    for (int32_t row = p->rows; row > 0; row--, taps += row_step) {
        const int8_t *tap = taps;
        for (int32_t run = p->runs; run > 0; run--, tap += run_step) {
            columns = widen_four(tap, w->stride_w * p->in_c, p->run_groups, columns);
        }
    }
    at->x += NRV_DSP_COLUMNS - 1;
    advance(p, at);
}

/* The next window, copied with its border, into one column. */
static void one_copied(const nrv_dsp_conv2d_t *p, nrv_place_t *at, uint32_t *column, int8_t *copy)
{
    nrv_padded_patch(&p->window, at->input, p->in_c, at->y, at->x, copy);
    widen_one(copy, p->window.kernel_h * p->window.kernel_w * p->in_c, column);
    advance(p, at);
}

void nrv_dsp_conv2d(const nrv_dsp_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    uint32_t *const columns = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    int8_t *const copy = scratch + p->matrix.groups * NRV_DSP_GROUP_WORDS * 4;
    nrv_place_t at = {input, 0, 0};
    for (int32_t left = p->window.batches * p->window.out_h * p->window.out_w; left > 0; left -= NRV_DSP_COLUMNS) {
        const int32_t count = nrv_min(left, NRV_DSP_COLUMNS);
        if (are_four_inside(&p->window, &at)) {
            four_in_place(p, &at, columns);
        } else {
            for (int32_t i = 0; i < count; i++) {
                one_copied(p, &at, columns + i, copy);
            }
        }
        nrv_dsp_multiply(&p->matrix, columns, count, output);
        output += NRV_DSP_COLUMNS * p->matrix.units;
    }
}
