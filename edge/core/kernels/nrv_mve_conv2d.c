#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
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

/* The window at (y, x) with its border filled. */
static void copy_window(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, int8_t *to)
{
    const nrv_window_t *w = &p->window;
    const int32_t top = at->y * w->stride_h - w->pad_top;
    const int32_t left = at->x * w->stride_w - w->pad_left;
    const int32_t first_row = nrv_first_tap(top, w->dilation_h);
    const int32_t last_row = nrv_min(w->kernel_h, nrv_first_tap(top - w->in_h, w->dilation_h));
    const int32_t first = nrv_first_tap(left, w->dilation_w);
    const int32_t last = nrv_min(w->kernel_w, nrv_first_tap(left - w->in_w, w->dilation_w));
    const int32_t row = w->kernel_w * p->in_c;
    const int32_t row_step = w->dilation_h * w->in_w * p->in_c;
    const int32_t stretch = w->dilation_w == 1 ? last - first : 1; /* taps that are neighbours */
    const int8_t *from = at->input + (top * w->in_w + left + first * w->dilation_w) * p->in_c + first_row * row_step;
    if (last_row - first_row < w->kernel_h || last - first < w->kernel_w) {
        nrv_mve_fill(to, w->kernel_h * row, w->input_zero);
    }
    to += first_row * row + first * p->in_c;
    for (int32_t ky = first_row; ky < last_row; ky++, to += row, from += row_step) {
        const int8_t *tap = from;
        for (int32_t kx = first; kx < last; kx += stretch, tap += w->dilation_w * stretch * p->in_c) {
            nrv_mve_copy(to + (kx - first) * p->in_c, stretch * p->in_c, tap);
        }
    }
}

/* Whether `count` windows from here on lie in one row, inside, and are followed by what vectors read beyond them. */
static inline int32_t are_inside(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, int32_t count, int32_t offset,
                                 int32_t end)
{
    const nrv_window_t *w = &p->window;
    const int32_t reach = (count - 1) * w->stride_w * p->in_c + p->matrix.groups * NRV_MVE_LANES;
    return p->in_place && at->y >= w->inside_top && at->y < w->inside_bottom && at->x >= w->inside_left &&
           at->x + count <= w->inside_right && offset + reach <= end;
}

void nrv_mve_conv2d(const nrv_mve_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const nrv_mve_matrix_t *m = &p->matrix;
    const int32_t image = w->in_h * w->in_w * p->in_c;
    const int32_t step = w->stride_w * p->in_c;
    const int8_t *const end = input + p->readable;
    nrv_mve_place_t at = {input, 0, 0};
    nrv_mve_four_t four;
    int32_t count = NRV_MVE_COLUMNS;
    nrv_mve_place(m, count, &four);
    for (int32_t left = w->batches * w->out_h * w->out_w; left > 0; left -= count) {
        if (left < count) {
            count = left;
            nrv_mve_place(m, count, &four);
        }
        const int32_t offset =
            ((at.y * w->stride_h - w->pad_top) * w->in_w + at.x * w->stride_w - w->pad_left) * p->in_c;
        if (are_inside(p, &at, count, offset, (int32_t)(end - at.input))) {
            for (int32_t i = 0; i < count; i++) {
                four.column[i] = at.input + offset + i * step;
            }
            advance(w, image, &at, count);
        } else {
            for (int32_t i = 0; i < count; i++) {
                int8_t *const copy = scratch + i * m->groups * NRV_MVE_LANES;
                copy_window(p, &at, copy);
                four.column[i] = copy;
                advance(w, image, &at, 1);
            }
        }
        for (int32_t i = count; i < NRV_MVE_COLUMNS; i++) {
            four.column[i] = four.column[i % count];
        }
        nrv_mve_multiply_four(m, &four, output);
        output += count / m->pool * m->units;
    }
}
