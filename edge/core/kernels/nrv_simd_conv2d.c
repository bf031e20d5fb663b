#include "nrv_simd_conv2d.h"

#include "nrv_simd.h"

enum { ROWS = NRV_SIMD_ROWS /* windows multiplied at once */ };

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

/* All output channels of `rows` windows. */
static inline void multiply(const nrv_simd_conv2d_t *p, const int8_t *const *windows, int32_t rows, int8_t *output)
{
    const int8_t *weights = p->weights;
    const int32_t *scales = p->scales;
    for (int32_t c = 0; c < p->out_c; c += NRV_SIMD_LANES, scales += 4 * NRV_SIMD_LANES) {
        nrv_simd_t acc[ROWS];
        for (int32_t i = 0; i < rows; i++) {
            acc[i] = nrv_simd_load(scales + (NRV_SIMD_FLIP ? NRV_SIMD_LANES : 0));
        }
        for (int32_t g = 0; g < p->groups; g++, weights += NRV_SIMD_LANES * NRV_SIMD_TAPS) {
            const nrv_simd_taps_t w = nrv_simd_load_taps(weights);
            const int32_t place = p->places[g];
            for (int32_t i = 0; i < rows; i++) {
                acc[i] = nrv_simd_dot(acc[i], windows[i] + place, w);
            }
        }
        const nrv_simd_scale_t scale =
            nrv_simd_load_scale(scales + 2 * NRV_SIMD_LANES, scales + 3 * NRV_SIMD_LANES);
        const int32_t count = nrv_min(p->out_c - c, NRV_SIMD_LANES);
        int8_t *to = output + c;
        for (int32_t i = 0; i < rows; i += p->pool, to += p->out_c) {
            nrv_simd_t highest = acc[i];
            for (int32_t k = 1; k < p->pool; k++) {
                highest = nrv_simd_max(highest, acc[i + k]);
            }
            nrv_simd_put(to, nrv_simd_requantize(highest, &scale), count, p->output_zero, p->act_min, p->act_max);
        }
    }
}

static inline const int8_t *window_at(const nrv_simd_conv2d_t *p, const int8_t *plane, int32_t number)
{
    const nrv_window_t *w = &p->window;
    const int32_t y = number / w->out_w;
    const int32_t x = number - y * w->out_w;
    return plane + (y * w->stride_h * p->plane_w + x * w->stride_w) * p->in_c;
}

void nrv_simd_conv2d(const nrv_simd_conv2d_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    const nrv_window_t *w = &p->window;
    const int32_t count = w->out_h * w->out_w;
    const int8_t *windows[ROWS];
    for (int32_t batch = 0; batch < w->batches; batch++) {
        copy_plane(p, input, scratch);
        /* The last windows are multiplied twice rather than by another loop, but where there are too few. */
        const int32_t rows = count < ROWS ? p->pool : ROWS;
        for (int32_t done = 0; done < count; done += rows) {
            const int32_t first = nrv_min(done, count - rows);
            int8_t *const to = output + first / p->pool * p->out_c;
            for (int32_t i = 0; i < rows; i++) {
                windows[i] = window_at(p, scratch, first + i);
            }
            if (rows == ROWS) {
                multiply(p, windows, ROWS, to);
            } else {
                multiply(p, windows, rows, to);
            }
        }
        input += w->in_h * w->in_w * p->in_c;
        output += count / p->pool * p->out_c;
    }
}
