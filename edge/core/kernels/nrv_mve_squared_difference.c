#include "nrv_mve_squared_difference.h"

#include "nrv_mve_pairs.h"

enum { HEADROOM = 7 /* bits */ };

#ifdef NRV_MVE_ASM

static inline void square_four(const nrv_squared_difference_t *p, const nrv_mve_term_t terms[2], const int8_t *x,
                               const int8_t *y, int8_t *output, int32_t left)
{
    const mve_pred16_t some = vctp32q((uint32_t)left);
    const int32x4_t a = nrv_mve_raised(&terms[0], vldrbq_z_s32(x, some));
    const int32x4_t b = nrv_mve_raised(&terms[1], vldrbq_z_s32(y, some));
    const int32x4_t difference = vsubq_s32(a, b);
    const int32x4_t square =
        nrv_mve_requantize_down(vmulq_s32(difference, difference), p->output_multiplier, p->output_shift);
    nrv_mve_store_clamped(output, vaddq_n_s32(square, p->output_zero), INT8_MIN, INT8_MAX, some);
}

#else

static inline void square_four(const nrv_squared_difference_t *p, const nrv_mve_term_t terms[2], const int8_t *x,
                               const int8_t *y, int8_t *output, int32_t left)
{
    for (int32_t i = 0; i < NRV_MVE_WORD && i < left; i++) {
        const int32_t difference = nrv_mve_raised(&terms[0], x[i]) - nrv_mve_raised(&terms[1], y[i]);
        const int32_t square = nrv_requantize_down(difference * difference, p->output_multiplier, p->output_shift);
        output[i] = nrv_clamp8(square + p->output_zero, INT8_MIN, INT8_MAX);
    }
}

#endif

void nrv_mve_squared_difference(const nrv_squared_difference_t *p, const int8_t *first, const int8_t *second,
                                int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    const nrv_mve_term_t terms[2] = {
        nrv_mve_term(p->zero[0], HEADROOM, p->multiplier[0], p->shift[0], w->first_step[3]),
        nrv_mve_term(p->zero[1], HEADROOM, p->multiplier[1], p->shift[1], w->second_step[3]),
    };
    int8_t copies[2][NRV_MVE_WORD];
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++, output += w->extent[3]) {
        const int8_t *x = nrv_mve_operand(first + nrv_pairs_at(w, w->first_step, row), terms[0].step, copies[0]);
        const int8_t *y = nrv_mve_operand(second + nrv_pairs_at(w, w->second_step, row), terms[1].step, copies[1]);
        for (int32_t i = 0; i < w->extent[3]; i += NRV_MVE_WORD, x += terms[0].step, y += terms[1].step) {
            square_four(p, terms, x, y, output + i, w->extent[3] - i);
        }
    }
}
