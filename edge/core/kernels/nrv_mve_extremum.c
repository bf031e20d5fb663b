#include "nrv_mve_extremum.h"

#include "nrv_mve.h"

#ifdef NRV_MVE_ASM

#include <arm_mve.h>

static inline int8x16_t some_of(const int8_t *x, int32_t step, mve_pred16_t some)
{
    return step == 0 ? vdupq_n_s8(*x) : vldrbq_z_s8(x, some);
}

static inline void choose_some(const nrv_pairs_t *w, const int8_t *x, const int8_t *y, int8_t *output, int32_t left,
                               int32_t higher)
{
    const mve_pred16_t some = vctp8q((uint32_t)left);
    const int8x16_t a = some_of(x, w->first_step[3], some);
    const int8x16_t b = some_of(y, w->second_step[3], some);
    vstrbq_p_s8(output, higher ? vmaxq_s8(a, b) : vminq_s8(a, b), some);
}

#else

static inline void choose_some(const nrv_pairs_t *w, const int8_t *x, const int8_t *y, int8_t *output, int32_t left,
                               int32_t higher)
{
    for (int32_t i = 0; i < NRV_MVE_LANES && i < left; i++, x += w->first_step[3], y += w->second_step[3]) {
        output[i] = (*x > *y) == higher ? *x : *y;
    }
}

#endif

static inline void choose(const nrv_pairs_t *w, const int8_t *first, const int8_t *second, int8_t *output,
                          int32_t higher)
{
    const int32_t x_step = NRV_MVE_LANES * w->first_step[3];
    const int32_t y_step = NRV_MVE_LANES * w->second_step[3];
    for (int32_t row = 0; row < nrv_pairs_rows(w); row++, output += w->extent[3]) {
        const int8_t *x = first + nrv_pairs_at(w, w->first_step, row);
        const int8_t *y = second + nrv_pairs_at(w, w->second_step, row);
        for (int32_t i = 0; i < w->extent[3]; i += NRV_MVE_LANES, x += x_step, y += y_step) {
            choose_some(w, x, y, output + i, w->extent[3] - i, higher);
        }
    }
}

void nrv_mve_maximum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    choose(&p->pairs, first, second, output, 1);
}

void nrv_mve_minimum(const nrv_extremum_t *p, const int8_t *first, const int8_t *second, int8_t *output)
{
    choose(&p->pairs, first, second, output, 0);
}
