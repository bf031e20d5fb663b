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

/* Two neighbouring columns from `length` neighbouring taps of each. */
static uint32_t *widen(const int8_t *first, const int8_t *second, int32_t length, uint32_t *column)
{
    for (; length >= 4; length -= 4, column += NRV_DSP_GROUP_WORDS) {
        const uint32_t a = nrv_load4(first);
        const uint32_t b = nrv_load4(second);
        column[0] = nrv_even(a);
        column[1] = nrv_even(b);
        column[NRV_DSP_COLUMNS] = nrv_odd(a);
        column[NRV_DSP_COLUMNS + 1] = nrv_odd(b);
        first += 4;
        second += 4;
    }
    if (length > 0) {
        const uint32_t a = nrv_load_some(first, length);
        const uint32_t b = nrv_load_some(second, length);
        column[0] = nrv_even(a);
        column[1] = nrv_even(b);
        column[NRV_DSP_COLUMNS] = nrv_odd(a);
        column[NRV_DSP_COLUMNS + 1] = nrv_odd(b);
    }
    return column;
}

/* Two columns from two windows in place. */
static void widen_runs(const nrv_dsp_conv2d_t *p, nrv_patch_t first, const int8_t *second, uint32_t *column)
{
    for (int32_t row = 0; row < p->rows; row++) {
        for (int32_t run = 0; run < p->runs; run++) {
            const int32_t at = row * first.row_step + run * first.column_step;
            column = widen(first.taps + at, second + at, p->length, column);
        }
    }
}

static int32_t is_inside(const nrv_window_t *w, int32_t y, int32_t x)
{
    return y >= w->inside_top && y < w->inside_bottom && x >= w->inside_left && x < w->inside_right;
}

/* The next two windows into two columns; the last window twice where only one is left. */
static void next_two(const nrv_dsp_conv2d_t *p, nrv_place_t *at, int32_t left, uint32_t *column, int8_t *patches)
{
    const nrv_window_t *w = &p->window;
    if (is_inside(w, at->y, at->x) && is_inside(w, at->y, at->x + 1)) {
        const nrv_patch_t patch = nrv_patch(w, at->input, p->in_c, at->y, at->x, patches);
        widen_runs(p, patch, patch.taps + w->stride_w * p->in_c, column);
        at->x++;
        advance(p, at);
        return;
    }
    const int32_t size = w->kernel_h * w->kernel_w * p->in_c;
    nrv_padded_patch(w, at->input, p->in_c, at->y, at->x, patches);
    const int8_t *second = patches;
    advance(p, at);
    if (left > 1) {
        second += size;
        nrv_padded_patch(w, at->input, p->in_c, at->y, at->x, patches + size);
        advance(p, at);
    }
    widen(patches, second, size, column);
}

void nrv_dsp_conv2d(const nrv_dsp_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    uint32_t *const columns = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    int8_t *const patches = scratch + p->matrix.groups * NRV_DSP_GROUP_WORDS * 4;
    nrv_place_t at = {input, 0, 0};
    for (int32_t left = p->window.batches * p->window.out_h * p->window.out_w; left > 0; left -= NRV_DSP_COLUMNS) {
        next_two(p, &at, left, columns, patches);
        if (left > 2) {
            next_two(p, &at, left - 2, columns + 2, patches);
        }
        nrv_dsp_multiply(&p->matrix, columns, nrv_min(left, NRV_DSP_COLUMNS), output);
        output += NRV_DSP_COLUMNS * p->matrix.units;
    }
}
