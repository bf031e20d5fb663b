#include "nrv_dense.h"

#include "nrv_clamp.h"
#include "nrv_scale.h"

void nrv_dense(const nrv_dense_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++) {
        const int8_t *weights = p->weights;
        for (int32_t unit = 0; unit < p->units; unit++) {
            int32_t acc = p->bias[unit];
            for (int32_t i = 0; i < p->depth; i++) {
                acc += (int32_t)input[i] * (int32_t)weights[i];
            }
            weights += p->depth;
            const int32_t value = nrv_scale_once(acc, p->multiplier[unit], p->shift[unit]) + p->output_zero;
            *output++ = nrv_clamp8(value, p->act_min, p->act_max);
        }
        input += p->depth;
    }
}
