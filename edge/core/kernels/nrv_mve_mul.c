#include "nrv_mve_mul.h"

#include "fixed.h"
#include "nrv_mve_pairs.h"

#ifdef NRV_MVE_ASM

static inline void multiply_four(const nrv_mul_t *p, const int8_t *x, const int8_t *y, int8_t *output, int32_t left)
{
    const mve_pred16_t some = vctp32q((uint32_t)left);
    const int32x4_t a = vsubq_n_s32(vldrbq_z_s32(x, some), p->zero[0]);
    const int32x4_t b = vsubq_n_s32(vldrbq_z_s32(y, some), p->zero[1]);
    const int32x4_t product = nrv_mve_requantize_down(vmulq_s32(a, b), p->multiplier, p->shift);
    nrv_mve_store_clamped(output, vaddq_n_s32(product, p->output_zero), p->act_min, p->act_max, some);
}

#else

static inline void multiply_four(const nrv_mul_t *p, const int8_t *x, const int8_t *y, int8_t *output, int32_t left)
{
    for (int32_t i = 0; i < NRV_MVE_WORD && i < left; i++) {
        const int32_t product = (x[i] - p->zero[0]) * (y[i] - p->zero[1]);
        const int32_t value = nrv_requantize(product, p->multiplier, p->shift) + p->output_zero;
        output[i] = nrv_clamp8(value, p->act_min, p->act_max);
    }
}

#endif

void nrv_mve_mul(const nrv_mul_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    const nrv_pairs_t *w = &p->pairs;
    const int32_t x_step = NRV_MVE_WORD * w->first_step[3];
    const int32_t y_step = NRV_MVE_WORD * w->second_step[3];
    int8_t copies[2][NRV_MVE_WORD];
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++, output += w->extent[3]) {
        const int8_t *x = nrv_mve_operand(first + nrv_pairs_at(w, w->first_step, row), x_step, copies[0]);
        const int8_t *y = nrv_mve_operand(second + nrv_pairs_at(w, w->second_step, row), y_step, copies[1]);
        for (int32_t i = 0; i < w->extent[3]; i += NRV_MVE_WORD, x += x_step, y += y_step) {
            multiply_four(p, x, y, output + i, w->extent[3] - i);
        }
    }
}
