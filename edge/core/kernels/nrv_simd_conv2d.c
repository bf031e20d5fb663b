#include "nrv_simd_conv2d.h"

#include "nrv_simd_matrix.h"

enum {
    ROWS = NRV_SIMD_ROWS, /* windows multiplied at once */
    BLOCKS = NRV_SIMD_BLOCKS,
    FEW = ROWS == 8 ? 4 : 0 /* so many last windows are multiplied apart */
};


/* Copies what windows reach, with its border filled, so that every window reads like one inside. */
static void copy_plane(const nrv_simd_conv2d_t *p, const int8_t *input, int8_t *plane)
{
    const nrv_window_t *w = &p->window;
    const int32_t left = w->pad_left * p->in_c;
    const int32_t width = p->plane_w * p->in_c;
    const int32_t taken = nrv_min(w->in_w, p->plane_w - w->pad_left) * p->in_c;
    const int32_t rows = nrv_min(w->in_h, p->plane_h - w->pad_top);
    nrv_simd_fill(plane, w->input_zero, w->pad_top * width);
    plane += w->pad_top * width;
    for (int32_t y = 0; y < rows; y++, plane += width) {
        nrv_simd_fill(plane, w->input_zero, left);
        nrv_simd_copy(plane + left, input + y * w->in_w * p->in_c, taken);
        nrv_simd_fill(plane + left + taken, w->input_zero, width - left - taken);
    }
    nrv_simd_fill(plane, w->input_zero, (p->plane_h - w->pad_top - rows) * width + NRV_SIMD_TAPS - 1);
}

/* How far the windows of a plane are done. */
typedef struct {
    int32_t left;
    int32_t x;         /* of the next window */
    const int8_t *row; /* of the plane, where its windows' row starts */
    int8_t *output;
} cursor_t;

/* The next windows; where fewer are left, the last one is repeated. */
static NRV_SIMD_INLINE void advance(const nrv_simd_conv2d_t *p, cursor_t *at, int32_t count, const int8_t **windows)
{
    const nrv_window_t *w = &p->window;
    const ptrdiff_t step = w->stride_w * p->in_c;
    if (at->x + count < w->out_w) {
        const int8_t *const first = at->row + at->x * step;
        for (int32_t i = 0; i < count; i++) {
            windows[i] = first + i * step;
        }
        at->x += count;
    } else {
        for (int32_t i = 0; i < count; i++) {
            windows[i] = at->row + at->x * step;
            if (i + 1 < at->left && ++at->x == w->out_w) {
                at->x = 0;
                at->row += w->stride_h * p->plane_w * p->in_c;
            }
        }
    }
}

/*
 * The outputs of some windows in one block of channels, of which so many are there. Apart from the sums, because its
 * constants would take the registers that those need.
 */
static NRV_SIMD_APART void put_windows(const nrv_simd_conv2d_t *p, const nrv_simd_t *sums, int32_t windows,
                                       const nrv_simd_scale_t *scale, int32_t channels, int8_t *output)
{
    const nrv_simd_scale_t own = *scale;
    const ptrdiff_t out_c = p->out_c;
    const int32_t pool = p->pool;
    const int32_t zero = p->output_zero;
    const int32_t low = p->act_min;
    const int32_t high = p->act_max;
    if (pool == 1) {
        for (int32_t i = 0; i < windows; i++, output += out_c) {
            nrv_simd_put(output, nrv_simd_requantize(sums[i], &own), channels, zero, low, high);
        }
        return;
    }
    for (int32_t i = 0; i < windows; i += pool, output += out_c) {
        nrv_simd_t highest = sums[i];
        for (int32_t k = 1; k < pool; k++) {
            highest = nrv_simd_max(highest, sums[i + k]);
        }
        nrv_simd_put(output, nrv_simd_requantize(highest, &own), channels, zero, low, high);
    }
}

/*
 * Windows with `blocks` blocks of sixteen channels from c on, `rows` at a time (both known where this is inlined),
 * until at most `rest` are left.
 */
static NRV_SIMD_INLINE void convolve(const nrv_simd_conv2d_t *p, cursor_t *at, int32_t c, int32_t blocks, int32_t rows,
                                     int32_t rest, const nrv_simd_scale_t *scale)
{
    const int8_t *const weights = p->weights + c * p->groups * NRV_SIMD_TAPS;
    const int32_t *const bias = p->scales + c * 4;
    for (; at->left > rest; at->left -= rows) {
        const int8_t *windows[ROWS];
        nrv_simd_t sums[BLOCKS * ROWS];
        advance(p, at, rows, windows);
        nrv_simd_multiply(sums, blocks, rows, windows, 1, p->places, p->groups, weights, bias, 4 * NRV_SIMD_LANES);
        for (int32_t b = 0; b < blocks; b++) {
            const int32_t channels = nrv_min(p->out_c - c - b * NRV_SIMD_LANES, NRV_SIMD_LANES);
            put_windows(p, sums + b * rows, nrv_min(at->left, rows), scale + b, channels,
                        at->output + b * NRV_SIMD_LANES);
        }
        at->output += rows / p->pool * p->out_c;
    }
}

/* All windows of a plane. */
static NRV_SIMD_INLINE void convolve_blocks(const nrv_simd_conv2d_t *p, int32_t c, int32_t blocks, const int8_t *plane,
                                            int8_t *output)
{
    cursor_t at = {p->window.out_h * p->window.out_w, 0, plane, output + c};
    const int32_t *scales = p->scales + c * 4;
    nrv_simd_scale_t scale[BLOCKS];
    for (int32_t b = 0; b < blocks; b++, scales += 4 * NRV_SIMD_LANES) {
        scale[b] = nrv_simd_load_scale(scales + 2 * NRV_SIMD_LANES, scales + 3 * NRV_SIMD_LANES);
        scale[b].away = p->act_min < p->output_zero;
    }
    convolve(p, &at, c, blocks, ROWS, FEW, scale);
    if (FEW > 0) {
        convolve(p, &at, c, blocks, 4, 0, scale);
    }
}

void nrv_simd_conv2d(const nrv_simd_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; batch++) {
        copy_plane(p, input, scratch);
        int32_t c = 0;
        for (; p->out_c - c > (BLOCKS - 1) * NRV_SIMD_LANES; c += BLOCKS * NRV_SIMD_LANES) {
            convolve_blocks(p, c, BLOCKS, scratch, output);
        }
        for (; c < p->out_c; c += NRV_SIMD_LANES) {
            convolve_blocks(p, c, 1, scratch, output);
        }
        input += w->in_h * w->in_w * p->in_c;
        output += w->out_h * w->out_w / p->pool * p->out_c;
    }
}
