#include "nrv_softmax.h"

#include "nrv_clamp.h"
#include "nrv_softmax_parts.h"

static int32_t exp_of_difference(const nrv_softmax_t *p, int32_t difference)
{
    if (p->exponentials != 0) {
        return p->exponentials[-difference];
    }
    return nrv_exp_negative(nrv_doubling_high_mul(difference * (int32_t)(UINT32_C(1) << p->shift), p->multiplier));
}

void nrv_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++, input += p->depth, output += p->depth) {
        int32_t highest = INT8_MIN;
        for (int32_t i = 0; i < p->depth; i++) {
            highest = input[i] > highest ? input[i] : highest;
        }
        int32_t sum = 0; /* Q12.19 */
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t difference = input[i] - highest;
            if (difference >= p->diff_min) {
                sum += nrv_rounding_divide_by_pot(exp_of_difference(p, difference), NRV_SUM_INTEGER_BITS);
            }
        }
        const nrv_softmax_scale_t scale = nrv_softmax_scale(sum);
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t difference = input[i] - highest;
            int32_t value = INT8_MIN;
            if (difference >= p->diff_min) {
                const int32_t product = nrv_doubling_high_mul(scale.multiplier, exp_of_difference(p, difference));
                value += nrv_rounding_divide_by_pot(product, scale.shift);
            }
            output[i] = nrv_clamp8(value, INT8_MIN, INT8_MAX);
        }
    }
}
