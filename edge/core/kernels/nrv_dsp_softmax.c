#include "nrv_dsp_softmax.h"

#include "nrv_dsp.h"
#include "nrv_softmax_parts.h"

static int32_t exp_of(const nrv_softmax_t *p, int32_t difference)
{
    return nrv_exp_negative(nrv_doubling_high_mul(difference * (int32_t)(UINT32_C(1) << p->shift), p->multiplier));
}

void nrv_dsp_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    int32_t *const exponentials = (int32_t *)(void *)scratch; /* the arena's buffers start on words */
    const int32_t depth = p->depth;
    const int32_t *const table = p->exponentials;
    const uint32_t half = UINT32_C(1) << (NRV_SUM_INTEGER_BITS - 1);
    for (int32_t row = 0; row < p->rows; row++, input += depth, output += depth) {
        int32_t highest = INT8_MIN;
        for (int32_t i = 0; i < depth; i++) {
            highest = input[i] > highest ? input[i] : highest;
        }
        if (table != 0) {
            for (int32_t i = 0; i < depth; i++) {
                exponentials[i] = table[highest - input[i]];
            }
        } else {
            for (int32_t i = 0; i < depth; i++) {
                const int32_t difference = input[i] - highest;
                exponentials[i] = difference < p->diff_min ? 0 : exp_of(p, difference);
            }
        }
        int32_t sum = 0; /* Q12.19 */
        for (int32_t i = 0; i < depth; i++) {
            sum += (int32_t)(((uint32_t)exponentials[i] + half) >> NRV_SUM_INTEGER_BITS);
        }
        const nrv_softmax_scale_t scale = nrv_softmax_scale(sum);
        /* Two roundings of a product that is not negative, to 31 bits less and to `shift` less than that, are one. */
        const int64_t halves = (INT64_C(1) << 30) + (INT64_C(1) << (30 + scale.shift));
        for (int32_t i = 0; i < depth; i++) {
            const int64_t product = halves + (int64_t)scale.multiplier * exponentials[i];
            output[i] = (int8_t)nrv_within8(((int32_t)(product >> 32) >> (scale.shift - 1)) + INT8_MIN);
        }
    }
}
