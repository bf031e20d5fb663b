#include "nrv_mve_pool.h"

#include "nrv_clamp.h"
#include "nrv_mve.h"

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

static void highest(const nrv_pool_t *p, const nrv_pool_part_t *part, int8_t *output)
{
    const int32_t row_step = (p->window.in_w - part->columns) * p->channels;
    for (int32_t c = 0; c < p->channels; c += 16) {
        const mve_pred16_t some = vctp8q((uint32_t)(p->channels - c));
        const int8_t *tap = part->taps + c;
        int8x16_t y = vdupq_n_s8((int8_t)p->act_min);
        for (int32_t row = part->rows; row > 0; row--, tap += row_step) {
            for (int32_t column = part->columns; column > 0; column--, tap += p->channels) {
                y = vmaxq_m_s8(y, y, vldrbq_z_s8(tap, some), some);
            }
        }
        vstrbq_p_s8(output + c, vminq_s8(y, vdupq_n_s8((int8_t)p->act_max)), some);
    }
}

/*
 * Sums of `count` taps divided with halves away from zero. The magnitude n = |sum| + count / 2 is at most 129 count;
 * n / count = 2 n m / 2^32 for m = 2^31 / count, rounded upwards by less than 1: what that adds to the quotient,
 * n / 2^31, stays below 1 / count while 129 count^2 < 2^31.
 */
static inline int32x4_t divided(int32x4_t sum, int32_t count)
{
    const uint32_t reciprocal = (UINT32_C(0x80000000) + (uint32_t)count - 1u) / (uint32_t)count;
    const uint32x4_t size = vaddq_n_u32(vreinterpretq_u32_s32(vabsq_s32(sum)), (uint32_t)(count / 2));
    const uint32x4_t quotient = vmulhq_u32(vshlq_n_u32(size, 1), vdupq_n_u32(reciprocal));
    const int32x4_t y = vreinterpretq_s32_u32(quotient);
    return vnegq_m_s32(y, y, vcmpltq_n_s32(sum, 0));
}

static void mean(const nrv_pool_t *p, const nrv_pool_part_t *part, int8_t *output)
{
    const int32_t row_step = (p->window.in_w - part->columns) * p->channels;
    for (int32_t c = 0; c < p->channels; c += 4) {
        const mve_pred16_t some = vctp32q((uint32_t)(p->channels - c));
        const int8_t *tap = part->taps + c;
        int32x4_t sum = vdupq_n_s32(0);
        for (int32_t row = part->rows; row > 0; row--, tap += row_step) {
            for (int32_t column = part->columns; column > 0; column--, tap += p->channels) {
                sum = vaddq_s32(sum, vldrbq_z_s32(tap, some));
            }
        }
        sum = vmaxq_s32(divided(sum, part->rows * part->columns), vdupq_n_s32(p->act_min));
        vstrbq_p_s32(output + c, vminq_s32(sum, vdupq_n_s32(p->act_max)), some);
    }
}

#else

static void highest(const nrv_pool_t *p, const nrv_pool_part_t *part, int8_t *output)
{
    for (int32_t c = 0; c < p->channels; c++) {
        int32_t y = p->act_min;
        for (int32_t i = 0; i < part->rows * part->columns; i++) {
            const int32_t row = i / part->columns;
            const int8_t tap = part->taps[(row * p->window.in_w + i % part->columns) * p->channels + c];
            y = tap > y ? tap : y;
        }
        output[c] = nrv_clamp8(y, p->act_min, p->act_max);
    }
}

static void mean(const nrv_pool_t *p, const nrv_pool_part_t *part, int8_t *output)
{
    const int32_t count = part->rows * part->columns;
    const uint32_t reciprocal = (UINT32_C(0x80000000) + (uint32_t)count - 1u) / (uint32_t)count;
    for (int32_t c = 0; c < p->channels; c++) {
        int32_t sum = 0;
        for (int32_t i = 0; i < count; i++) {
            sum += part->taps[(i / part->columns * p->window.in_w + i % part->columns) * p->channels + c];
        }
        const uint32_t size = 2u * ((uint32_t)(sum < 0 ? -sum : sum) + (uint32_t)(count / 2));
        const int32_t y = (int32_t)((uint64_t)size * reciprocal >> 32);
        output[c] = nrv_clamp8(sum < 0 ? -y : y, p->act_min, p->act_max);
    }
}

#endif

static inline __attribute__((always_inline)) void pool(const nrv_pool_t *p, const int8_t *input, int8_t *output,
                                                       int32_t average)
{
    const nrv_window_t *w = &p->window;
    for (int32_t batch = 0; batch < w->batches; batch++, input += w->in_h * w->in_w * p->channels) {
        for (int32_t y = 0; y < w->out_h; y++) {
            for (int32_t x = 0; x < w->out_w; x++, output += p->channels) {
                const nrv_pool_part_t part = nrv_pool_inside(p, input, y, x);
                if (average) {
                    mean(p, &part, output);
                } else {
                    highest(p, &part, output);
                }
            }
        }
    }
}

void nrv_mve_average_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    pool(p, input, output, 1);
}

void nrv_mve_max_pool(const nrv_pool_t *p, const int8_t *input, int8_t *output)
{
    pool(p, input, output, 0);
}
