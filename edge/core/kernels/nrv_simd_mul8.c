#include "nrv_simd_mul8.h"

#include "nrv_simd_pairs.h"

void nrv_simd_mul8(const nrv_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    nrv_simd_one_scale_t memory;
    const nrv_simd_scale_t scale = nrv_simd_one_scale(&memory, p->multiplier, p->shift);
    const int8_t *const first_end = nrv_simd_end(w, first, w->first_step);
    const int8_t *const second_end = nrv_simd_end(w, second, w->second_step);
    const int32_t length = w->extent[3];
    nrv_simd_rows_t at = {{0, 0, 0}, first, second};
    do {
        nrv_simd_operand_t x = {at.first, first_end, w->first_step[3] == 0};
        nrv_simd_operand_t y = {at.second, second_end, w->second_step[3] == 0};
        for (int32_t left = length; left > 0; left -= NRV_SIMD_LANES) {
            const int32_t count = left < NRV_SIMD_LANES ? left : NRV_SIMD_LANES;
            const nrv_simd_t product = nrv_simd_mul(nrv_simd_next(&x, p->zero[0]), nrv_simd_next(&y, p->zero[1]));
            nrv_simd_put(output, nrv_simd_requantize(product, &scale), count, p->output_zero, p->act_min,
                         p->act_max);
            output += count;
        }
    } while (nrv_simd_next_row(w, &at));
}
