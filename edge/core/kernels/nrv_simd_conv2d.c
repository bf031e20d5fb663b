#include "nrv_simd_conv2d.h"

#include "nrv_simd_matrix.h"

enum { ROWS = NRV_SIMD_ROWS /* windows multiplied at once */, BLOCKS = NRV_SIMD_BLOCKS };


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

/* The next windows: as many as are multiplied at once; missing ones repeat the last. */
static inline void advance(const nrv_window_t *w, ptrdiff_t step, ptrdiff_t row_step, int32_t left, int32_t *x,
                           const int8_t **row, const int8_t **windows)
{
    if (*x + ROWS < w->out_w) {
        for (int32_t i = 0; i < ROWS; i++) {
            windows[i] = *row + (*x + i) * step;
        }
        *x += ROWS;
        return;
    }
    for (int32_t i = 0; i < ROWS; i++) {
        windows[i] = *row + *x * step;
        if (i + 1 < left && ++*x == w->out_w) {
            *x = 0;
            *row += row_step;
        }
    }
}

/*
 * All windows of a plane with `blocks` blocks of sixteen channels from c on. Blocks and pool are known where this is
 * inlined, so that sums stay in registers until they are written.
 */
static NRV_SIMD_INLINE void convolve(const nrv_simd_conv2d_t *p, int32_t c, int32_t blocks, int32_t pool,
                                     const int8_t *plane, int8_t *output)
{
    const nrv_window_t *w = &p->window;
    const ptrdiff_t step = w->stride_w * p->in_c;
    const ptrdiff_t row_step = w->stride_h * p->plane_w * p->in_c;
    const int8_t *const weights = p->weights + c * p->groups * NRV_SIMD_TAPS;
    const int32_t *const scales = p->scales + c * 4;
    const int32_t left_c = p->out_c - c;
    nrv_simd_scale_t scale[BLOCKS];
    for (int32_t b = 0; b < blocks; b++) {
        scale[b] = nrv_simd_load_scale(scales + (4 * b + 2) * NRV_SIMD_LANES, scales + (4 * b + 3) * NRV_SIMD_LANES);
        scale[b].away = p->act_min < p->output_zero;
    }
    int32_t x = 0;
    output += c;
    for (int32_t left = w->out_h * w->out_w; left > 0; left -= ROWS) {
        const int8_t *windows[ROWS];
        nrv_simd_t sums[BLOCKS * ROWS];
        advance(w, step, row_step, left, &x, &plane, windows);
        nrv_simd_multiply(sums, blocks, ROWS, windows, p->places, p->groups, weights, scales, 4 * NRV_SIMD_LANES);
        NRV_SIMD_UNROLLED
        for (int32_t i = 0; i < ROWS; i += pool) {
            if (i >= left) {
                break;
            }
            NRV_SIMD_UNROLLED
            for (int32_t b = 0; b < blocks; b++) {
                nrv_simd_t highest = sums[b * ROWS + i];
                for (int32_t k = 1; k < pool; k++) {
                    highest = nrv_simd_max(highest, sums[b * ROWS + i + k]);
                }
                nrv_simd_put(output + b * NRV_SIMD_LANES, nrv_simd_requantize(highest, &scale[b]),
                             nrv_min(left_c - b * NRV_SIMD_LANES, NRV_SIMD_LANES), p->output_zero, p->act_min,
                             p->act_max);
            }
            output += p->out_c;
        }
    }
}

static void convolve_blocks(const nrv_simd_conv2d_t *p, int32_t c, int32_t blocks, const int8_t *plane, int8_t *output)
{
    if (p->pool == 1) {
        convolve(p, c, blocks, 1, plane, output);
    } else if (p->pool == 2) {
        convolve(p, c, blocks, 2, plane, output);
    } else {
        convolve(p, c, blocks, 4, plane, output);
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
