#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_dsp_conv2d.h"

#include "nrv_dsp_clamp.h"
#include "nrv_dsp_column.h"
#include "nrv_dsp_four.h"

/* The window that comes next; windows follow each other along the row. */
typedef struct {
    const int8_t *input; /* of this batch */
    int32_t y;
    int32_t x;
    int32_t row;   /* where the row's first window starts in the input, in elements */
    int32_t right; /* windows of this row before this one are inside, if they are not left of inside_left */
} nrv_place_t;

static void start_row(const nrv_dsp_conv2d_t *p, nrv_place_t *at)
{
    const nrv_window_t *w = &p->window;
    at->x = 0;
    at->row = ((at->y * w->stride_h - w->pad_top) * w->in_w - w->pad_left) * p->in_c;
    at->right = at->y >= w->inside_top && at->y < w->inside_bottom ? w->inside_right : 0;
}

static inline void advance(const nrv_dsp_conv2d_t *p, nrv_place_t *at, int32_t count)
{
    at->x += count;
    if (at->x == p->window.out_w) {
        if (++at->y == p->window.out_h) {
            at->y = 0;
            at->input += p->window.in_h * p->window.in_w * p->in_c;
        }
        start_row(p, at);
    }
}

/*
 * Four columns from `groups` times four neighbouring taps of windows one tap apart, of which one shows what the next one
 * does, a tap later. Reads one byte beyond the last window. Returns where the next columns go.
 */
static inline uint32_t *widen_four_neighbours(const int8_t *taps, int32_t groups, uint32_t *columns)
{
    uint32_t x = nrv_load4(taps);
    uint32_t even = nrv_even(x);
#ifdef NRV_DSP_ASM
    uint32_t y, odd, even2, odd2;
    __asm__ volatile(
        "1:\n\t"
        "sxtb16 %[odd], %[x], ror #8\n\t"
        "ldr %[y], [%[taps], #2]\n\t"
        "ldr %[x], [%[taps], #4]!\n\t"
        "sxtb16 %[even2], %[y]\n\t"
        "sxtb16 %[odd2], %[y], ror #8\n\t"
        "strd %[even], %[odd], [%[to]], #16\n\t"
        "strd %[even2], %[odd2], [%[to], #-8]\n\t"
        "sxtb16 %[even], %[x]\n\t"
        "strd %[odd], %[even2], [%[to]], #16\n\t"
        "strd %[odd2], %[even], [%[to], #-8]\n\t"
        "subs %[groups], %[groups], #1\n\t"
        "bne 1b"
        : [taps] "+r"(taps), [to] "+r"(columns), [groups] "+r"(groups), [x] "+r"(x), [y] "=&r"(y),
          [even] "+r"(even), [odd] "=&r"(odd), [even2] "=&r"(even2), [odd2] "=&r"(odd2)
        :
        : "cc", "memory");
#else
    for (; groups > 0; groups--, columns += NRV_DSP_GROUP_WORDS) {
        const uint32_t y = nrv_load4(taps + 2);
        columns[0] = even;
        columns[1] = columns[4] = nrv_odd(x);
        columns[2] = columns[5] = nrv_even(y);
        columns[3] = columns[6] = nrv_odd(y);
        taps += 4;
        x = nrv_load4(taps);
        columns[7] = even = nrv_even(x);
    }
#endif
    return columns;
}

/* Four columns from `groups` times four neighbouring taps of windows `step` apart; returns where the next ones go. */
static inline uint32_t *widen_four(const int8_t *taps, int32_t step, int32_t groups, uint32_t *columns)
{
    if (step == 1) {
        return widen_four_neighbours(taps, groups, columns);
    }
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
    const int32_t count = 4 * groups;
    nrv_widen(taps, count, NRV_DSP_COLUMNS, columns);
    nrv_widen(taps1, count, NRV_DSP_COLUMNS, columns + 1);
    nrv_widen(taps2, count, NRV_DSP_COLUMNS, columns + 2);
    nrv_widen(taps3, count, NRV_DSP_COLUMNS, columns + 3);
    return columns + groups * NRV_DSP_GROUP_WORDS;
#endif
}

/* The part of the input that windows from (y, x) on reach: kernel_h rows of `span` columns, the border filled. */
static __attribute__((noinline)) void copy_span(const nrv_dsp_conv2d_t *p, const nrv_place_t *at, int32_t span, int8_t *to)
{
    const nrv_window_t *w = &p->window;
    const int32_t top = at->y * w->stride_h - w->pad_top;
    const int32_t left = at->x * w->stride_w - w->pad_left;
    const int32_t last = nrv_min(span, left < w->in_w ? w->in_w - left : 0);
    const int32_t first = nrv_min(last, left < 0 ? -left : 0);
    for (int32_t ky = 0; ky < w->kernel_h; ky++, to += span * p->in_c) {
        const int32_t iy = top + ky * w->dilation_h;
        const int32_t inside = iy >= 0 && iy < w->in_h;
        const int32_t from = inside ? first : span;
        nrv_fill(to, from * p->in_c, w->input_zero);
        if (inside) {
            const int8_t *const source = at->input + (iy * w->in_w + left + first) * p->in_c;
            nrv_copy(to + first * p->in_c, (last - first) * p->in_c, source);
            nrv_fill(to + last * p->in_c, (span - last) * p->in_c, w->input_zero);
        }
    }
}

/* The next `count` windows, each copied with its border, into columns. */
static __attribute__((noinline)) void copy_windows(const nrv_dsp_conv2d_t *p, nrv_place_t *at, int32_t count,
                                                   uint32_t *columns, int8_t *copy)
{
    const nrv_window_t *w = &p->window;
    for (; count > 0; count--, columns++) {
        if (w->dilation_w == 1) {
            copy_span(p, at, w->kernel_w, copy);
        } else {
            nrv_padded_patch(w, at->input, p->in_c, at->y, at->x, copy);
        }
        const int8_t *taps = copy;
        uint32_t *to = columns;
        for (int32_t run = p->rows * p->runs; run > 0; run--, taps += p->run_taps) {
            nrv_widen(taps, p->run_taps, NRV_DSP_COLUMNS, to);
            to += p->run_groups * NRV_DSP_GROUP_WORDS;
        }
        advance(p, at, 1);
    }
}

void nrv_dsp_convolve(const nrv_dsp_conv2d_t *p, const uint32_t *stream, const int8_t *input, int8_t *output,
                      int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    uint32_t *const columns = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    int8_t *const copy = scratch + p->matrix.groups * NRV_DSP_GROUP_WORDS * 4;
    const nrv_four_t four = nrv_four(&p->matrix, stream, columns);
    const int32_t output_step = NRV_DSP_COLUMNS / p->matrix.pool * p->matrix.units;
    const int32_t window_step = w->stride_w * p->in_c;
    const int32_t run_step = w->dilation_w * p->in_c;
    int8_t *const first = output;
    nrv_place_t at = {input, 0, 0, 0, 0};
    int32_t left = w->batches * w->out_h * w->out_w;
    start_row(p, &at);
    for (; left > 0; left -= NRV_DSP_COLUMNS, output += output_step) {
        if (left < NRV_DSP_COLUMNS) {
            if (left == 1 || w->out_w < NRV_DSP_COLUMNS) {
                break;
            }
            /* The last two or three once more with some of those before them: faster than by themselves. */
            at.x -= NRV_DSP_COLUMNS - left;
            output -= (NRV_DSP_COLUMNS - left) / p->matrix.pool * p->matrix.units;
        }
        const int32_t inside = at.x >= w->inside_left && at.x + NRV_DSP_COLUMNS <= at.right;
        if (inside || (p->span != 0 && at.x + NRV_DSP_COLUMNS <= w->out_w)) {
            const int8_t *taps = at.input + at.row + at.x * window_step;
            int32_t row_step = w->dilation_h * w->in_w * p->in_c;
            uint32_t *to = columns;
            if (!inside) {
                copy_span(p, &at, p->span, copy);
                taps = copy;
                row_step = p->span * p->in_c;
            }
            for (int32_t row = p->rows; row > 0; row--, taps += row_step) {
                const int8_t *tap = taps;
                for (int32_t run = p->runs; run > 0; run--, tap += run_step) {
                    to = widen_four(tap, window_step, p->run_groups, to);
                }
            }
            advance(p, &at, NRV_DSP_COLUMNS);
        } else {
            copy_windows(p, &at, NRV_DSP_COLUMNS, columns, copy);
        }
        nrv_dsp_multiply_four(&four, output);
    }
    if (left > 0) {
        copy_windows(p, &at, left, columns, copy);
        nrv_dsp_multiply_some(&p->matrix, stream, columns, left, output);
        output += left / p->matrix.pool * p->matrix.units;
    }
    nrv_dsp_clamp(first, (int32_t)(output - first), p->matrix.act_min, p->matrix.act_max);
}

void nrv_dsp_conv2d(const nrv_dsp_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    nrv_dsp_convolve(p, p->matrix.stream, input, output, scratch);
}
