#include "nrv_dsp_mean.h"

#include "nrv_dsp.h"

enum { BLOCK = 4, INT16_TAPS = 256 /* int8 whose sum fits int16 */ };

/* Four neighbours' sums. */
static void sum_four(const nrv_mean_t *p, const int8_t *tap, int32_t sums[BLOCK])
{
    for (int32_t left = p->count; left > 0; left -= INT16_TAPS) {
        uint32_t even = 0;
        uint32_t odd = 0;
        for (int32_t i = left < INT16_TAPS ? left : INT16_TAPS; i > 0; i--, tap += p->inner) {
            const uint32_t x = nrv_load4(tap);
            even = nrv_even_plus(even, x);
            odd = nrv_odd_plus(odd, x);
        }
        sums[0] += (int16_t)(even & 0xFFFFu);
        sums[1] += (int16_t)(odd & 0xFFFFu);
        sums[2] += (int16_t)(even >> 16);
        sums[3] += (int16_t)(odd >> 16);
    }
}

void nrv_dsp_mean(const nrv_mean_t *p, const int8_t *input, int8_t *output)
{
    const int32_t shift = -1 - p->shift + 256 * (2 * p->output_zero + 1);
    for (int32_t outer = 0; outer < p->outer; outer++) {
        for (int32_t inner = 0; inner < p->inner; inner += BLOCK) {
            /* The last four overlap those before where they do not divide. */
            const int32_t at = inner + BLOCK > p->inner ? p->inner - BLOCK : inner;
            int32_t sums[BLOCK] = {p->offset, p->offset, p->offset, p->offset};
            sum_four(p, input + at, sums);
            for (int32_t i = 0; i < BLOCK; i++) {
                output[at + i] = nrv_dsp_requantize(sums[i], p->multiplier, shift, 0);
            }
        }
        input += p->count * p->inner;
        output += p->inner;
    }
}
