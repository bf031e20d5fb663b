/* Where a sliding window (convolution, pooling) stands on its NHWC input. */
#ifndef NRV_WINDOW_H
#define NRV_WINDOW_H

#include <stdint.h>
#include <string.h>

typedef struct {
    int32_t batches;
    int32_t in_h, in_w;
    int32_t out_h, out_w;
    int32_t kernel_h, kernel_w;
    int32_t stride_h, stride_w;
    int32_t dilation_h, dilation_w;
    int32_t pad_top, pad_left;
    /* Outputs whose whole window lies inside the input: rows [inside_top, inside_bottom), columns likewise. */
    int32_t inside_top, inside_bottom;
    int32_t inside_left, inside_right;
    int32_t input_zero; /* what stands for zero beyond the border */
} nrv_window_t;

/* How the taps of one window lie in memory: steps in elements between kernel rows and columns. */
typedef struct {
    const int8_t *taps;
    int32_t row_step;
    int32_t column_step;
} nrv_patch_t;

static inline int32_t nrv_min(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

/* The first tap of an axis that lies inside: the origin may lie before it. */
static inline int32_t nrv_first_tap(int32_t origin, int32_t dilation)
{
    return origin < 0 ? (dilation - 1 - origin) / dilation : 0;
}

/* Copies the window at (y, x) into scratch with its border filled, so that it reads like one inside. */
static inline nrv_patch_t nrv_padded_patch(const nrv_window_t *w, const int8_t *input, int32_t channels, int32_t y,
                                           int32_t x, int8_t *scratch)
{
    const int32_t row_size = w->kernel_w * channels;
    const nrv_patch_t patch = {scratch, row_size, channels};
    const int32_t top = y * w->stride_h - w->pad_top;
    const int32_t left = x * w->stride_w - w->pad_left;
    const int32_t first = nrv_first_tap(left, w->dilation_w);
    const int32_t last = nrv_min(w->kernel_w, nrv_first_tap(left - w->in_w, w->dilation_w));
    /* Without dilation the taps of a row are one stretch. */
    const int32_t stretch = w->dilation_w == 1 ? last - first : 1;
    const int32_t stretches = w->dilation_w == 1 ? first < last : last - first;
    memset(scratch, w->input_zero, (size_t)(w->kernel_h * row_size));
    for (int32_t ky = 0; ky < w->kernel_h; ky++) {
        const int32_t iy = top + ky * w->dilation_h;
        if (iy < 0 || iy >= w->in_h) {
            continue;
        }
        for (int32_t i = 0; i < stretches; i++) {
            const int32_t kx = first + i;
            const int32_t ix = left + kx * w->dilation_w;
            memcpy(scratch + ky * row_size + kx * channels, input + (iy * w->in_w + ix) * channels,
                   (size_t)(stretch * channels));
        }
    }
    return patch;
}

/* The window at (y, x): in place where it lies inside the input, else a padded copy. */
static inline nrv_patch_t nrv_patch(const nrv_window_t *w, const int8_t *input, int32_t channels, int32_t y, int32_t x,
                                    int8_t *scratch)
{
    if (y >= w->inside_top && y < w->inside_bottom && x >= w->inside_left && x < w->inside_right) {
        const int32_t iy = y * w->stride_h - w->pad_top;
        const int32_t ix = x * w->stride_w - w->pad_left;
        const nrv_patch_t patch = {input + (iy * w->in_w + ix) * channels, w->dilation_h * w->in_w * channels,
                                   w->dilation_w * channels};
        return patch;
    }
    return nrv_padded_patch(w, input, channels, y, x, scratch);
}

#endif
