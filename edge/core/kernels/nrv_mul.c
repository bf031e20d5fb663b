#include "nrv_mul.h"

#include "nrv_clamp.h"
#include "fixed.h"

void nrv_mul(const nrv_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, row);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, row);
        for (int32_t i = 0; i < w->extent[3]; i++, x += w->first_step[3], y += w->second_step[3]) {
            const int32_t product = (*x - p->zero[0]) * (*y - p->zero[1]);
            const int32_t value = nrv_requantize(product, p->multiplier, p->shift) + p->output_zero;
            *output++ = nrv_clamp8(value, p->act_min, p->act_max);
        }
    }
}
