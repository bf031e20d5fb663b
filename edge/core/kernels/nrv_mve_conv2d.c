#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register, also in a build with a frame pointer. What is around it is small. */
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

/* Copies the rows of what so many windows reach, from (y, x) on, with the border filled. */
static void copy_reached(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, int32_t windows, int8_t *to)
{
    const nrv_window_t *w = &p->window;
    const int32_t top = at->y * w->stride_h - w->pad_top;
    const int32_t left = at->x * w->stride_w - w->pad_left;
    const int32_t width = (windows - 1) * w->stride_w + (w->kernel_w - 1) * w->dilation_w + 1;
    const int32_t first_row = nrv_first_tap(top, w->dilation_h);
    const int32_t rows = nrv_min(w->kernel_h, nrv_first_tap(top - w->in_h, w->dilation_h)) - first_row;
    const int32_t first = left < 0 ? -left : 0;
    const int32_t columns = nrv_min(width, w->in_w - left) - first;
    if (rows < w->kernel_h || columns < width) {
        nrv_mve_fill(to, w->kernel_h * width * p->in_c, w->input_zero);
    }
    if (rows > 0 && columns > 0) {
        const int32_t row_step = w->dilation_h * w->in_w * p->in_c;
        const int8_t *const from = at->input + offset_of(p, at) + first_row * row_step + first * p->in_c;
        to += (first_row * width + first) * p->in_c;
        nrv_mve_copy_rows(to, width * p->in_c, from, row_step, columns * p->in_c, rows);
    }
}

/* The window at (y, x), tap by tap, with its border filled. */
static void copy_window(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, int8_t *to)
{
    const nrv_window_t *w = &p->window;
    const int32_t left = at->x * w->stride_w - w->pad_left;
    const int32_t first = nrv_first_tap(left, w->dilation_w);
    const int32_t taps = nrv_min(w->kernel_w, nrv_first_tap(left - w->in_w, w->dilation_w)) - first;
    int32_t y = at->y * w->stride_h - w->pad_top;
    nrv_mve_fill(to, w->kernel_h * w->kernel_w * p->in_c, w->input_zero);
    to += first * p->in_c;
    for (int32_t row = w->kernel_h; row > 0; row--, y += w->dilation_h, to += w->kernel_w * p->in_c) {
        if (y >= 0 && y < w->in_h && taps > 0) {
            const int8_t *const from = at->input + (y * w->in_w + left + first * w->dilation_w) * p->in_c;
            nrv_mve_copy_rows(to, p->in_c, from, w->dilation_w * p->in_c, p->in_c, taps);
        }
    }
}

/*
 * Four windows, each `step` bytes beyond the one before it: so many rows of so many bytes, a row's last vector whole.
 * A function of its own, for it needs nearly every register.
 */
static __attribute__((noinline)) void copy_rows_of_four(const int8_t *from, int32_t step, int32_t row_step,
                                                        int32_t row, int32_t rows, int8_t *to, int32_t pitch)
{
    const int32_t vectors = (row + NRV_MVE_LANES - 1) / NRV_MVE_LANES;
#ifdef NRV_MVE_ASM
    const int8_t *f1 = from + step;
    const int8_t *f2 = f1 + step;
    const int8_t *f3 = f2 + step;
    int8_t *t1 = to + pitch;
    int8_t *t2 = t1 + pitch;
    int8_t *t3 = t2 + pitch;
    const int32_t on = row_step - vectors * NRV_MVE_LANES;
    const int32_t back = row - vectors * NRV_MVE_LANES;
    __asm__ volatile(
        "1:\n\t"
        "dls lr, %[vectors]\n"
        "2:\n\t"
        "vldrb.8 q0, [%[f0]], #16\n\t"
        "vldrb.8 q1, [%[f1]], #16\n\t"
        "vldrb.8 q2, [%[f2]], #16\n\t"
        "vldrb.8 q3, [%[f3]], #16\n\t"
        "vstrb.8 q0, [%[t0]], #16\n\t"
        "vstrb.8 q1, [%[t1]], #16\n\t"
        "vstrb.8 q2, [%[t2]], #16\n\t"
        "vstrb.8 q3, [%[t3]], #16\n\t"
        "le lr, 2b\n\t"
        "add %[f0], %[f0], %[on]\n\t"
        "add %[f1], %[f1], %[on]\n\t"
        "add %[f2], %[f2], %[on]\n\t"
        "add %[f3], %[f3], %[on]\n\t"
        "add %[t0], %[t0], %[back]\n\t"
        "add %[t1], %[t1], %[back]\n\t"
        "add %[t2], %[t2], %[back]\n\t"
        "add %[t3], %[t3], %[back]\n\t"
        "subs %[rows], %[rows], #1\n\t"
        "bne 1b\n\t"
        : [f0] "+r"(from), [f1] "+r"(f1), [f2] "+r"(f2), [f3] "+r"(f3), [t0] "+r"(to), [t1] "+r"(t1), [t2] "+r"(t2),
          [t3] "+r"(t3), [rows] "+r"(rows)
        : [vectors] "r"(vectors), [on] "r"(on), [back] "r"(back)
        : "q0", "q1", "q2", "q3", "lr", "cc", "memory");
#else
    for (; rows > 0; rows--, from += row_step, to += row) {
        for (int32_t i = 0; i < NRV_MVE_COLUMNS; i++) {
            memcpy(to + i * pitch, from + i * step, (size_t)(vectors * NRV_MVE_LANES));
        }
    }
#endif
}

/*
 * Copies the next four windows, or returns 0 where they lie in different rows, or where whole vectors of their rows are
 * not in the input and there is no room for a copy of that with the border.
 */
static int32_t copy_four(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, const int8_t *end, int8_t *to,
                         int32_t pitch)
{
    const nrv_window_t *w = &p->window;
    const int32_t step = w->stride_w * p->in_c;
    const int32_t reach = (NRV_MVE_COLUMNS - 1) * step + ((w->kernel_w - 1) * w->dilation_w + 1) * p->in_c;
    const int8_t *from = at->input + offset_of(p, at);
    int32_t row_step = w->dilation_h * w->in_w * p->in_c;
    if (at->x + NRV_MVE_COLUMNS > w->out_w) {
        return 0;
    }
    if (!is_inside(w, at) || at->x + NRV_MVE_COLUMNS > w->inside_right ||
        (w->kernel_h - 1) * row_step + reach + NRV_MVE_LANES - 1 > end - from) {
        if (p->span == 0) {
            return 0;
        }
        from = to + NRV_MVE_COLUMNS * pitch;
        row_step = reach;
        copy_reached(p, at, NRV_MVE_COLUMNS, to + NRV_MVE_COLUMNS * pitch);
    }
    if (w->dilation_w == 1) {
        copy_rows_of_four(from, step, row_step, w->kernel_w * p->in_c, w->kernel_h, to, pitch);
        return 1;
    }
    for (int32_t row = 0; row < w->kernel_h; row++, from += row_step, to += w->kernel_w * p->in_c) {
        copy_rows_of_four(from, step, w->dilation_w * p->in_c, p->in_c, w->kernel_w, to, pitch);
    }
    return 1;
}

/* How many blocks of windows from here on lie in one row, inside, and are followed by what vectors read beyond them. */
static inline int32_t blocks_inside(const nrv_mve_conv2d_t *p, const nrv_mve_place_t *at, const int8_t *end)
{
    const nrv_window_t *w = &p->window;
    if (!p->in_place || !is_inside(w, at)) {
        return 0;
    }
    const int32_t room = (int32_t)(end - at->input) - offset_of(p, at) - p->matrix.groups * NRV_MVE_LANES;
    return room < 0 ? 0 : nrv_min(w->inside_right - at->x, room / (w->stride_w * p->in_c) + 1) / NRV_MVE_COLUMNS;
}

void nrv_mve_conv2d(const nrv_mve_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const nrv_mve_matrix_t *m = &p->matrix;
    const int32_t image = w->in_h * w->in_w * p->in_c;
    const int32_t step = w->stride_w * p->in_c;
    const int32_t bytes = m->groups * NRV_MVE_LANES;
    const int32_t pitch = bytes + NRV_MVE_LANES; /* of copies: whole vectors are written, also of a window's last row */
    const int8_t *const end = input + p->readable;
    nrv_mve_place_t at = {input, 0, 0};
    nrv_mve_four_t four;
    nrv_mve_place(m, NRV_MVE_COLUMNS, &four);
    const int32_t all = w->batches * w->out_h * w->out_w;
    int32_t left = all;
    for (int32_t passes = all; passes > 0 && left > 0; passes--) { /* each does one column at least */
        const int32_t row = (w->out_w - at.x) / NRV_MVE_COLUMNS; /* blocks, as far as they are whole */
        int32_t blocks = blocks_inside(p, &at, end);
        if (blocks > 0 || (p->in_place && row > 0 && p->span > 0)) {
            const int8_t *from = at.input + offset_of(p, &at);
            if (blocks == 0) {
                blocks = nrv_min(row, p->span);
                copy_reached(p, &at, blocks * NRV_MVE_COLUMNS, scratch);
                from = scratch;
            }
            for (int32_t i = 0; i < NRV_MVE_COLUMNS; i++) {
                four.column[i] = from + i * step;
            }
            advance(w, image, &at, blocks * NRV_MVE_COLUMNS);
        } else {
            blocks = 1;
            if (left < NRV_MVE_COLUMNS) {
                nrv_mve_place(m, left, &four);
            }
            const int32_t are_copied =
                !p->in_place && left >= NRV_MVE_COLUMNS && copy_four(p, &at, end, scratch, pitch);
            for (int32_t i = 0; i < NRV_MVE_COLUMNS; i++) {
                four.column[i] = i < four.count ? scratch + i * pitch : four.column[i % four.count];
                if (are_copied || i >= four.count) {
                    continue;
                }
                /* These begin in one row and end in another, or reach the border. */
                if (p->in_place && is_inside(w, &at) && offset_of(p, &at) + bytes <= (int32_t)(end - at.input)) {
                    four.column[i] = at.input + offset_of(p, &at);
                } else if (w->dilation_w == 1) {
                    copy_reached(p, &at, 1, scratch + i * pitch);
                } else {
                    copy_window(p, &at, scratch + i * pitch);
                }
                advance(w, image, &at, 1);
            }
            if (are_copied) {
                advance(w, image, &at, NRV_MVE_COLUMNS);
            }
        }
        nrv_mve_multiply(m, &four, output, blocks, NRV_MVE_COLUMNS * step);
        left -= blocks * four.count;
        output += blocks * four.count / m->pool * m->units;
    }
}
