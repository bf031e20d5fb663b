#if defined(__GNUC__) && !defined(__clang__)
/* The assembly needs every register: also where the rest is built for a debugger, with a frame pointer. */
#pragma GCC optimize("O2", "omit-frame-pointer")
#endif

#include "nrv_mve_dense.h"

#include "nrv_clamp.h"
#include "nrv_mve_dot.h"
#include "nrv_scale.h"

void nrv_mve_dense(const nrv_dense_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++, input += p->depth) {
        for (int32_t unit = 0; unit < p->units; unit += NRV_MVE_ROWS) {
            const int32_t count = p->units - unit < NRV_MVE_ROWS ? p->units - unit : NRV_MVE_ROWS;
            const int8_t *weights[NRV_MVE_ROWS];
            int32_t sums[NRV_MVE_ROWS];
            for (int32_t i = 0; i < NRV_MVE_ROWS; i++) {
                const int32_t u = unit + (i < count ? i : 0); /* the missing rows repeat one */
                weights[i] = p->weights + u * p->depth;
                sums[i] = p->bias[u];
            }
            nrv_mve_dot_four(input, weights, p->depth, sums);
            for (int32_t i = 0; i < count; i++) {
                const int32_t value =
                    nrv_scale_once(sums[i], p->multiplier[unit + i], p->shift[unit + i]) + p->output_zero;
                *output++ = nrv_clamp8(value, p->act_min, p->act_max);
            }
        }
    }
}
