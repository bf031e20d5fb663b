#include "nrv_dsp_softmax.h"

#include "nrv_dsp.h"
#include "nrv_softmax_parts.h"

void nrv_dsp_softmax(const nrv_dsp_softmax_t *p, const int8_t *input, int8_t *output)
{
    const int32_t depth = p->depth;
    const int32_t *const exponentials = p->exponentials;
    for (int32_t row = 0; row < p->rows; row++, input += depth, output += depth) {
        int32_t highest = INT8_MIN;
        for (int32_t i = 0; i < depth; i++) {
            highest = input[i] > highest ? input[i] : highest;
        }
        int32_t sum = 0; /* Q12.19 */
        for (int32_t i = 0; i < depth; i++) {
            const uint32_t half = UINT32_C(1) << (NRV_SUM_INTEGER_BITS - 1);
            sum += (int32_t)(((uint32_t)exponentials[highest - input[i]] + half) >> NRV_SUM_INTEGER_BITS);
        }
        const nrv_softmax_scale_t scale = nrv_softmax_scale(sum);
        /* Two roundings of a product that is not negative, to 31 bits less and to `shift` less than that, are one. */
        const int64_t halves = (INT64_C(1) << 30) + (INT64_C(1) << (30 + scale.shift));
        for (int32_t i = 0; i < depth; i++) {
            const int64_t product = halves + (int64_t)scale.multiplier * exponentials[highest - input[i]];
            output[i] = (int8_t)nrv_within8(((int32_t)(product >> 32) >> (scale.shift - 1)) + INT8_MIN);
        }
    }
}
