#include "nrv_dsp_dense.h"

#include "nrv_dsp_clamp.h"
#include "nrv_dsp_column.h"

static int8_t scaled(int32_t acc, int32_t raised, const uint32_t *scale)
{
    const int32_t sum = (int32_t)((uint32_t)acc << raised);
    return (int8_t)nrv_within8(nrv_high_mul_plus_down(sum, (int32_t)scale[0], (int32_t)scale[1]) >> scale[2]);
}

void nrv_dsp_dense(const nrv_dsp_dense_t *p, const int8_t *input, int8_t *output, int8_t *scratch)
{
    uint32_t *const column = (uint32_t *)(void *)scratch; /* the arena's buffers start on words */
    const int32_t groups = (p->depth + 3) / 4;
    for (int32_t row = 0; row < p->rows; row++, input += p->depth) {
        const uint32_t *w = p->stream;
        nrv_widen(input, p->depth, 1, column);
        for (int32_t unit = 0; unit < p->units; unit += 2, w += 6) {
            const nrv_two_sums_t sums = nrv_dot_two(&w, column, groups);
            output[unit] = scaled(sums.a, p->raised, w);
            if (unit + 1 < p->units) {
                output[unit + 1] = scaled(sums.b, p->raised, w + 3);
            }
        }
        nrv_dsp_clamp(output, p->units, p->act_min, p->act_max);
        output += p->units;
    }
}
