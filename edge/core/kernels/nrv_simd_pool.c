#include "nrv_simd_pool.h"

#include <stddef.h>

#include "nrv_simd_bytes.h"

/* The sum or the highest of each of sixteen channels. */
static inline nrv_simd_t joined(const nrv_pool_t *p, const nrv_pool_part_t *part, int32_t channel, const int8_t *end,
                                int32_t average)
{
    const ptrdiff_t pixel = p->channels;
    const ptrdiff_t row = p->window.in_w * pixel;
    const int8_t *tap = part->taps + channel;
    const int32_t is_inside = end - tap >= (part->rows - 1) * row + (part->columns - 1) * pixel + NRV_SIMD_LANES;
    nrv_simd_t all = nrv_simd_all(average ? 0 : INT8_MIN);
    for (int32_t y = 0; y < part->rows; y++, tap += row) {
        for (int32_t x = 0; x < part->columns; x++) {
            const int8_t *const at = tap + x * pixel;
            const nrv_simd_t values = is_inside ? nrv_simd_widen(at) : nrv_simd_widen_before(at, end);
            all = average ? nrv_simd_add(all, values) : nrv_simd_max(all, values);
        }
    }
    return all;
}

/* More than nrv_simd_divide() takes. */
static nrv_simd_t divided_one_by_one(nrv_simd_t sum, int32_t count)
{
    int32_t lanes[NRV_SIMD_LANES];
    nrv_simd_store(lanes, sum);
    for (int32_t i = 0; i < NRV_SIMD_LANES; i++) {
        lanes[i] = (lanes[i] > 0 ? lanes[i] + count / 2 : lanes[i] - count / 2) / count;
    }
    return nrv_simd_load(lanes);
}

static inline __attribute__((always_inline)) void pool(const nrv_pool_t *p, const int8_t *input, int8_t *output,
                                                       int32_t average)
{
    const nrv_window_t *w = &p->window;
    const int32_t size = w->in_h * w->in_w * p->channels;
    nrv_simd_divisor_t by = {0, 0};
    int32_t divisor = 0; /* what `by` is of */
    for (int32_t batch = 0; batch < w->batches; batch++, input += size) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++, output += p->channels) {
                const nrv_pool_part_t part = nrv_pool_inside(p, input, y, x);
                const int32_t taps = part.rows * part.columns;
                if (average && taps != divisor) {
                    divisor = taps;
                    by = nrv_simd_divisor(taps);
                }
                for (int32_t c = 0; c < p->channels; c += NRV_SIMD_LANES) {
                    nrv_simd_t result = joined(p, &part, c, input + size, average);
                    if (average) {
                        result = taps <= NRV_SIMD_MAX_COUNT ? nrv_simd_divide(result, &by)
                                                            : divided_one_by_one(result, taps);
                    }
                    const int32_t count = nrv_min(p->channels - c, NRV_SIMD_LANES);
                    nrv_simd_put(output + c, result, count, 0, p->act_min, p->act_max);
                }
            }
        }
    }
}

void nrv_simd_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    pool(p, input, output, 1);
}

void nrv_simd_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    pool(p, input, output, 0);
}
