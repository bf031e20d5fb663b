#include "nrv_dsp_mul.h"

#include "nrv_dsp.h"
#include "nrv_dsp_clamp.h"

void nrv_dsp_mul(const nrv_dsp_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    const int32_t twice_zero = p->twice_zero;
    const int32_t zero = p->zero;
    const int32_t multiplier = p->multiplier;
    const int32_t round = p->round;
    const int32_t shift = p->shift;
    int8_t *const start = output;
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, row);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, row);
        for (int8_t *const end = output + w->extent[3]; output < end; x += w->first_step[3], y += w->second_step[3]) {
            /* Twice the product: its high product is the doubling one. */
            const int32_t product = (2 * *x - twice_zero) * (*y - zero);
            const int32_t scaled = nrv_high_mul_plus(product, multiplier, round + (product >> 31));
            *output++ = (int8_t)nrv_halved_sat8(scaled >> shift);
        }
    }
    nrv_dsp_clamp(start, (int32_t)(output - start), p->act_min, p->act_max);
}
