#include "nrv_simd_depthwise.h"

#include "nrv_simd_columns.h"

enum {
    WEIGHTS = NRV_SIMD_COLUMNS * NRV_SIMD_TAPS,    /* of a group of taps */
    SCALES = NRV_SIMD_VECTORS * 4 * NRV_SIMD_LANES /* of a block */
};

/* Copies a row of what windows reach, its columns sorted by the part that they are in. */
static void copy_row(const nrv_simd_depthwise_t *p, const int8_t *row, int8_t *plane)
{
    const nrv_window_t *w = &p->window;
    const int32_t columns = nrv_min(w->in_w, w->stride_w * p->plane_w - w->pad_left);
    if (w->stride_w == 1) {
        nrv_simd_copy(plane + w->pad_left * p->in_c, row, columns * p->in_c);
        return;
    }
    for (int32_t x = w->pad_left; x < w->pad_left + columns; x++, row += p->in_c) {
        nrv_simd_copy(plane + (x % w->stride_w * p->plane_w + x / w->stride_w) * p->in_c, row, p->in_c);
    }
}

static void copy_plane(const nrv_simd_depthwise_t *p, const int8_t *input, int8_t *plane)
{
    const nrv_window_t *w = &p->window;
    const int32_t row = w->stride_w * p->plane_w * p->in_c;
    const int32_t rows = nrv_min(w->in_h, p->plane_h - w->pad_top);
    nrv_simd_fill(plane, w->input_zero, p->plane_h * row);
    for (int32_t y = 0; y < rows; y++) {
        copy_row(p, input + y * w->in_w * p->in_c, plane + (y + w->pad_top) * row);
    }
}

/* One output of each input channel of a block, for `rows` rows of windows; their outputs lie `step` bytes apart. */
static void multiply(const nrv_simd_depthwise_t *p, const int8_t *plane, int32_t block, int32_t rows, int8_t *output,
                     const int8_t *weights, const int32_t *scales)
{
    const nrv_window_t *w = &p->window;
    const int32_t channels = nrv_min(p->in_c - block * NRV_SIMD_COLUMNS, NRV_SIMD_COLUMNS);
    const int32_t step = p->pixels * p->in_c;
    nrv_simd_columns_t bias;
    nrv_simd_scale_t scale[NRV_SIMD_VECTORS];
    for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++, scales += 4 * NRV_SIMD_LANES) {
        bias.v[i] = nrv_simd_load(scales + (NRV_SIMD_FLIP ? NRV_SIMD_LANES : 0));
        scale[i] = nrv_simd_load_scale(scales + 2 * NRV_SIMD_LANES, scales + 3 * NRV_SIMD_LANES);
    }
    for (int32_t y = 0; y < rows; y++) {
        const int8_t *tap = plane + block * NRV_SIMD_COLUMNS;
        int8_t *to = output + block * NRV_SIMD_COLUMNS;
        for (int32_t x = 0; x < w->out_w; x += p->pixels, tap += step, to += step) {
            nrv_simd_columns_t acc = bias;
            for (int32_t g = 0; g < p->groups; g++) {
                nrv_simd_dot_columns(&acc, tap, p->places + g * NRV_SIMD_TAPS, weights + g * WEIGHTS);
            }
            for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
                acc.v[i] = nrv_simd_requantize(acc.v[i], &scale[i]);
            }
            const int32_t count = nrv_min(p->pixels, w->out_w - x) * channels;
            nrv_simd_put_columns(to, &acc, count, p->output_zero, p->act_min, p->act_max);
        }
        plane += w->stride_h * w->stride_w * p->plane_w * p->in_c;
        output += w->out_w * p->in_c;
    }
}

/* Output i of all input channels, for `rows` rows of windows. */
static void multiply_blocks(const nrv_simd_depthwise_t *p, const int8_t *plane, int32_t i, int32_t rows, int8_t *output)
{
    for (int32_t block = 0; block < p->blocks; block++) {
        const int32_t number = i * p->blocks + block;
        multiply(p, plane, block, rows, output, p->weights + number * p->groups * WEIGHTS,
                 p->scales + number * SCALES);
    }
}

/* Turns [outputs][count] into [count][outputs]. */
static void interleave(const int8_t *from, int32_t outputs, int32_t count, int8_t *to)
{
    if (outputs == 2) {
        /* Written so that compilers find the vectors' own instruction for it. */
        for (int32_t i = 0; i < count; i++) {
            to[2 * i] = from[i];
            to[2 * i + 1] = from[count + i];
        }
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        for (int32_t k = 0; k < outputs; k++) {
            *to++ = from[k * count + i];
        }
    }
}

void nrv_simd_depthwise(const nrv_simd_depthwise_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const int32_t row = w->stride_w * p->plane_w * p->in_c;
    const int32_t count = w->out_w * p->in_c; /* of each of a channel's outputs, in a row */
    int8_t *const outputs = scratch + p->plane_h * row + NRV_SIMD_COLUMNS;
    for (int32_t batch = 0; batch < w->batches; batch++, input += w->in_h * w->in_w * p->in_c) {
        copy_plane(p, input, scratch);
        if (p->channel_multiplier == 1) {
            multiply_blocks(p, scratch, 0, w->out_h, output);
            output += w->out_h * count;
            continue;
        }
        for (int32_t y = 0; y < w->out_h; y++, output += p->channel_multiplier * count) {
            for (int32_t i = 0; i < p->channel_multiplier; i++) {
                multiply_blocks(p, scratch + y * w->stride_h * row, i, 1, outputs + i * count);
            }
            interleave(outputs, p->channel_multiplier, count, output);
        }
    }
}
