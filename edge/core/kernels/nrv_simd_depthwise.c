#include "nrv_simd_depthwise.h"

#include "nrv_simd_columns.h"

enum {
    WEIGHTS = NRV_SIMD_COLUMNS * NRV_SIMD_TAPS,    /* of a group of taps */
    SCALES = NRV_SIMD_VECTORS * 4 * NRV_SIMD_LANES /* of a block */
};

/* Copies a row of what windows reach, its border filled, its columns sorted by the part that they are in. */
static void copy_row(const nrv_simd_depthwise_t *p, const int8_t *row, int8_t *plane)
{
    const nrv_window_t *w = &p->window;
    const int32_t width = w->stride_w * p->plane_w;
    const int32_t columns = nrv_min(w->in_w, width - w->pad_left);
    if (w->stride_w == 1) {
        const int32_t right = w->pad_left + columns;
        nrv_simd_fill(plane, w->input_zero, w->pad_left * p->in_c);
        nrv_simd_copy(plane + w->pad_left * p->in_c, row, columns * p->in_c);
        nrv_simd_fill(plane + right * p->in_c, w->input_zero, (width - right) * p->in_c);
        return;
    }
    nrv_simd_fill(plane, w->input_zero, width * p->in_c);
    for (int32_t x = w->pad_left; x < w->pad_left + columns; x++, row += p->in_c) {
        nrv_simd_copy(plane + (x % w->stride_w * p->plane_w + x / w->stride_w) * p->in_c, row, p->in_c);
    }
}

static void copy_plane(const nrv_simd_depthwise_t *p, const int8_t *input, int8_t *plane)
{
    const nrv_window_t *w = &p->window;
    const int32_t width = w->stride_w * p->plane_w * p->in_c;
    const int32_t bottom = w->pad_top + nrv_min(w->in_h, p->plane_h - w->pad_top);
    nrv_simd_fill(plane, w->input_zero, w->pad_top * width);
    for (int32_t y = w->pad_top; y < bottom; y++, input += w->in_w * p->in_c) {
        copy_row(p, input, plane + y * width);
    }
    nrv_simd_fill(plane + bottom * width, w->input_zero, (p->plane_h - bottom) * width);
}

/* Where the next block of windows is. */
typedef struct {
    const int8_t *tap;
    int8_t *output;
    int32_t x;
    int32_t rows; /* that are left, this one included */
} place_t;

/* To the block after it; the last one stays where there is none. */
static inline void advance(const nrv_simd_depthwise_t *p, place_t *at)
{
    const nrv_window_t *w = &p->window;
    const int32_t step = p->pixels * p->in_c;
    if (at->x + p->pixels < w->out_w) {
        at->x += p->pixels;
        at->tap += step;
        at->output += step;
    } else if (--at->rows > 0) {
        at->tap += w->stride_h * w->stride_w * p->plane_w * p->in_c - at->x * p->in_c;
        at->output += (w->out_w - at->x) * p->in_c;
        at->x = 0;
    }
}

/* One output of each input channel of a block, for all windows from the first on. */
static void multiply(const nrv_simd_depthwise_t *p, const place_t *first, int32_t channels, const int8_t *weights,
                     const int32_t *scales)
{
    place_t at = *first;
    nrv_simd_columns_t bias;
    nrv_simd_scale_t scale[NRV_SIMD_VECTORS];
    for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++, scales += 4 * NRV_SIMD_LANES) {
        bias.v[i] = nrv_simd_load(scales + (NRV_SIMD_FLIP != 0 ? NRV_SIMD_LANES : 0));
        scale[i] = nrv_simd_load_scale(scales + 2 * NRV_SIMD_LANES, scales + 3 * NRV_SIMD_LANES);
        scale[i].away = p->act_min < p->output_zero;
    }
    while (at.rows > 0) {
        nrv_simd_columns_t acc[NRV_SIMD_PIXELS];
        const int8_t *tap[NRV_SIMD_PIXELS];
        int8_t *output[NRV_SIMD_PIXELS];
        int32_t count[NRV_SIMD_PIXELS];
        for (int32_t k = 0; k < NRV_SIMD_PIXELS; k++) {
            acc[k] = bias;
            tap[k] = at.tap;
            output[k] = at.output;
            count[k] = nrv_min(p->pixels, p->window.out_w - at.x) * channels;
            advance(p, &at);
        }
        for (int32_t g = 0; g < p->groups; g++) {
            nrv_simd_dot_columns(acc, tap, NRV_SIMD_PIXELS, p->places + g * NRV_SIMD_TAPS, weights + g * WEIGHTS);
        }
        for (int32_t i = 0; i < NRV_SIMD_VECTORS; i++) {
            for (int32_t k = 0; k < NRV_SIMD_PIXELS; k++) {
                acc[k].v[i] = nrv_simd_requantize(acc[k].v[i], &scale[i]);
            }
        }
        for (int32_t k = 0; k < NRV_SIMD_PIXELS; k++) {
            nrv_simd_put_columns(output[k], &acc[k], count[k], p->output_zero, p->act_min, p->act_max);
        }
    }
}

/* Output i of all input channels, for `rows` rows of windows. */
static void multiply_blocks(const nrv_simd_depthwise_t *p, const int8_t *plane, int32_t i, int32_t rows, int8_t *output)
{
    for (int32_t block = 0; block < p->blocks; block++) {
        const int32_t first = block * NRV_SIMD_COLUMNS;
        const int32_t number = i * p->blocks + block;
        const int32_t channels = nrv_min(p->in_c - first, NRV_SIMD_COLUMNS);
        const int8_t *const weights = p->weights + number * p->groups * WEIGHTS;
        const int32_t *const scales = p->scales + number * SCALES;
        const place_t at = {plane + first, output + first, 0, rows};
        multiply(p, &at, channels, weights, scales);
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
