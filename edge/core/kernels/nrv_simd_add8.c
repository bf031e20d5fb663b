#include "nrv_simd_add8.h"

#include "nrv_simd_pairs.h"

void nrv_simd_add8(const nrv_add_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    nrv_simd_one_scale_t memory[3];
    const nrv_simd_scale_t x_scale = nrv_simd_one_scale(&memory[0], p->multiplier[0], p->shift[0]);
    const nrv_simd_scale_t y_scale = nrv_simd_one_scale(&memory[1], p->multiplier[1], p->shift[1]);
    const nrv_simd_scale_t scale = nrv_simd_one_scale(&memory[2], p->output_multiplier, p->output_shift);
    const nrv_simd_t headroom = nrv_simd_all(1 << 20); /* as in nrv_add() */
    const nrv_simd_t sign = nrv_simd_all(p->sign);
    const int8_t *const first_end = nrv_simd_end(w, first, w->first_step);
    const int8_t *const second_end = nrv_simd_end(w, second, w->second_step);
    const int32_t length = w->extent[3];
    nrv_simd_rows_t at = {{0, 0, 0}, first, second};
    do {
        nrv_simd_operand_t x = {at.first, first_end, w->first_step[3] == 0};
        nrv_simd_operand_t y = {at.second, second_end, w->second_step[3] == 0};
        for (int32_t left = length; left > 0; left -= NRV_SIMD_LANES) {
            const int32_t count = left < NRV_SIMD_LANES ? left : NRV_SIMD_LANES;
            const nrv_simd_t a = nrv_simd_requantize(nrv_simd_mul(nrv_simd_next(&x, p->zero[0]), headroom), &x_scale);
            const nrv_simd_t b = nrv_simd_requantize(nrv_simd_mul(nrv_simd_next(&y, p->zero[1]), headroom), &y_scale);
            const nrv_simd_t sum = nrv_simd_add(a, nrv_simd_mul(b, sign));
            nrv_simd_put(output, nrv_simd_requantize(sum, &scale), count, p->output_zero, p->act_min, p->act_max);
            output += count;
        }
    } while (nrv_simd_next_row(w, &at));
}
