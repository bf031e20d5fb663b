#include "nrv_dsp_dense.h"

#include "nrv_clamp.h"
#include "nrv_dsp_column.h"
#include "nrv_scale.h"

static int8_t quantized(const nrv_dsp_dense_t *p, int32_t unit, int32_t acc)
{
    const int32_t value = nrv_scale_once(acc, p->multiplier[unit], p->shift[unit]) + p->output_zero;
    return nrv_clamp8(value, p->act_min, p->act_max);
}

void nrv_dsp_dense(const nrv_dsp_dense_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    uint32_t *const column = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    const int32_t groups = (p->depth + 3) / 4;
    for (int32_t row = 0; row < p->rows; row++, input += p->depth) {
        const uint32_t *w = p->stream;
        nrv_widen(input, p->depth, 1, column);
        for (int32_t unit = 0; unit < p->units; unit += 2) {
            const nrv_two_sums_t sums = nrv_dot_two(&w, column, groups);
            *output++ = quantized(p, unit, sums.a);
            if (unit + 1 < p->units) {
                *output++ = quantized(p, unit + 1, sums.b);
            }
        }
    }
}
