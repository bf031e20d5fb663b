#include "nrv_simd_pool.h"

#include "nrv_simd_bytes.h"

/* Sums of sixteen channels. */
static inline nrv_simd_t sum_of(const nrv_pool_t *p, const nrv_pool_part_t *part, int32_t channel, const int8_t *end)
{
    const int8_t *row = part->taps + channel;
    nrv_simd_t sum = nrv_simd_all(0);
    for (int32_t y = 0; y < part->rows; y++, row += p->window.in_w * p->channels) {
        for (int32_t x = 0; x < part->columns; x++) {
            sum = nrv_simd_add(sum, nrv_simd_widen_before(row + x * p->channels, end));
        }
    }
    return sum;
}

static inline nrv_simd_t highest_of(const nrv_pool_t *p, const nrv_pool_part_t *part, int32_t channel,
                                    const int8_t *end)
{
    const int8_t *row = part->taps + channel;
    nrv_simd_t highest = nrv_simd_all(INT8_MIN);
    for (int32_t y = 0; y < part->rows; y++, row += p->window.in_w * p->channels) {
        for (int32_t x = 0; x < part->columns; x++) {
            highest = nrv_simd_max(highest, nrv_simd_widen_before(row + x * p->channels, end));
        }
    }
    return highest;
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
                    nrv_simd_t result;
                    if (!average) {
                        result = highest_of(p, &part, c, input + size);
                    } else if (taps <= NRV_SIMD_MAX_COUNT) {
                        result = nrv_simd_divide(sum_of(p, &part, c, input + size), &by);
                    } else {
                        result = divided_one_by_one(sum_of(p, &part, c, input + size), taps);
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
