#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register, also in a build for a debugger with a frame pointer. What is around it is small. */
#pragma GCC optimize("Os", "omit-frame-pointer")
#endif

#include "nrv_mve_conv2d.h"

/* The window that comes next. */
typedef struct {
    const int8_t *input; /* of this batch */
    int32_t y;
    int32_t x;
} nrv_mve_place_t;

static inline void advance(const nrv_window_t *w, int32_t image, nrv_mve_place_t *at, int32_t count)
{
    at->x += count;
    if (at->x == w->out_w) {
        at->x = 0;
        if (++at->y == w->out_h) {
            at->y = 0;
            at->input += image;
        }
    }
}

static inline int32_t is_inside(const nrv_window_t *w, const nrv_mve_place_t *at)
{
    return at->y >= w->inside_top && at->y < w->inside_bottom && at->x >= w->inside_left && at->x < w->inside_right;
}

/* Where a window starts, from its batch's input on. */
static inline int32_t offset_of(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at)
{
    const nrv_window_t *w = &p->window;
    return ((at->y * w->stride_h - w->pad_top) * w->in_w + at->x * w->stride_w - w->pad_left) * p->in_c;
}

/* The window at (y, x) with its border filled. */
static void copy_window(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, int8_t *to)
{
    const nrv_window_t *w = &p->window;
    const int32_t row = w->kernel_w * p->in_c;
    const int32_t row_step = w->dilation_h * w->in_w * p->in_c;
    const int32_t tap_step = w->dilation_w * p->in_c;
    const int8_t *from = at->input + offset_of(p, at);
    int32_t rows = w->kernel_h;
    int32_t taps = w->kernel_w;
    if (!is_inside(w, at)) {
        const int32_t top = at->y * w->stride_h - w->pad_top;
        const int32_t left = at->x * w->stride_w - w->pad_left;
        const int32_t first_row = nrv_first_tap(top, w->dilation_h);
        const int32_t first = nrv_first_tap(left, w->dilation_w);
        rows = nrv_min(rows, nrv_first_tap(top - w->in_h, w->dilation_h)) - first_row;
        taps = nrv_min(taps, nrv_first_tap(left - w->in_w, w->dilation_w)) - first;
        nrv_mve_fill(to, w->kernel_h * row, w->input_zero);
        if (rows <= 0 || taps <= 0) {
            return;
        }
        to += first_row * row + first * p->in_c;
        from += first_row * row_step + first * tap_step;
    }
    if (w->dilation_w == 1 || taps == 1) {
        nrv_mve_copy_rows(to, row, from, row_step, taps * p->in_c, rows);
        return;
    }
    for (; rows > 0; rows--, to += row, from += row_step) {
        nrv_mve_copy_rows(to, p->in_c, from, tap_step, p->in_c, taps);
    }
}

/* How many blocks of windows from here on lie in one row, inside, and are followed by what vectors read beyond them. */
static inline int32_t blocks_inside(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, const int8_t *end)
{
    const nrv_window_t *w = &p->window;
    const int32_t room = (int32_t)(end - at->input) - offset_of(p, at) - p->matrix.groups * NRV_MVE_LANES;
    if (!p->in_place || !is_inside(w, at) || room < 0) {
        return 0;
    }
    return nrv_min(w->inside_right - at->x, room / (w->stride_w * p->in_c) + 1) / NRV_MVE_COLUMNS;
}

/* Copies what so many windows of a row reach, with its border: rows of one tap's height. */
static void copy_span(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, int32_t windows, int8_t *to)
{
    const nrv_window_t *w = &p->window;
    const int32_t left = at->x * w->stride_w - w->pad_left;
    const int32_t width = (windows - 1) * w->stride_w + w->kernel_w;
    const int32_t first = left < 0 ? nrv_min(-left, width) : 0;
    const int32_t last = nrv_min(width, w->in_w - left);
    if (first > 0 || last < width) {
        nrv_mve_fill(to, width * p->in_c, w->input_zero);
    }
    nrv_mve_copy(to + first * p->in_c, (last - first) * p->in_c, at->input + offset_of(p, at) + first * p->in_c);
}

void nrv_mve_conv2d(const nrv_mve_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const nrv_mve_matrix_t *m = &p->matrix;
    const int32_t image = w->in_h * w->in_w * p->in_c;
    const int32_t step = w->stride_w * p->in_c;
    const int32_t bytes = m->groups * NRV_MVE_LANES;
    const int8_t *const end = input + p->readable;
    nrv_mve_place_t at = {input, 0, 0};
    for (int32_t left = w->batches * w->out_h * w->out_w; left > 0;) {
        const int32_t row = (w->out_w - at.x) / NRV_MVE_COLUMNS; /* blocks, as far as they are whole */
        nrv_mve_four_t four = {{0, 0, 0, 0}, NRV_MVE_COLUMNS};
        int32_t blocks = blocks_inside(p, &at, end);
        if (blocks > 0 || (row > 0 && p->span > 0)) {
            const int8_t *from = at.input + offset_of(p, &at);
            if (blocks == 0) {
                blocks = nrv_min(row, p->span);
                copy_span(p, &at, blocks * NRV_MVE_COLUMNS, scratch);
                from = scratch;
            }
            for (int32_t i = 0; i < NRV_MVE_COLUMNS; i++) {
                four.column[i] = from + i * step;
            }
            advance(w, image, &at, blocks * NRV_MVE_COLUMNS);
        } else {
            /* A block that begins in one row and ends in another, or whose windows have to be put together. */
            blocks = 1;
            four.count = nrv_min(left, NRV_MVE_COLUMNS);
            for (int32_t i = 0; i < four.count; i++) {
                const int32_t offset = offset_of(p, &at);
                four.column[i] = scratch + i * bytes;
                if (p->in_place && is_inside(w, &at) && offset + bytes <= (int32_t)(end - at.input)) {
                    four.column[i] = at.input + offset;
                } else {
                    copy_window(p, &at, scratch + i * bytes);
                }
                advance(w, image, &at, 1);
            }
            for (int32_t i = four.count; i < NRV_MVE_COLUMNS; i++) {
                four.column[i] = four.column[i % four.count];
            }
        }
        nrv_mve_multiply(m, &four, output, blocks, NRV_MVE_COLUMNS * step);
        left -= blocks * four.count;
        output += blocks * four.count / m->pool * m->units;
    }
}
