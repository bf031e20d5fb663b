#include "nrv_dsp_matrix.h"

#include "nrv_dsp_column.h"

/* A unit's output, or the higher of it and the one that is there. */
static void put(const nrv_dsp_matrix_t *m, int32_t acc, const uint32_t *scale, int32_t keep, int8_t *output)
{
    const int8_t value = nrv_dsp_requantize(acc, (int32_t)scale[0], (int32_t)scale[1], m->cut_below_zero);
    *output = keep && *output > value ? *output : value;
}

/* Sums of two units from one of four columns side by side; `w` points at their biases. */
static nrv_two_sums_t sums_of(const uint32_t *w, const uint32_t *column, int32_t groups)
{
    nrv_two_sums_t sums = {(int32_t)w[0], (int32_t)w[1]};
    for (w += 2; groups > 0; groups--, w += 2, column += NRV_DSP_GROUP_WORDS) {
        const uint32_t even = column[0];
        const uint32_t odd = column[NRV_DSP_COLUMNS];
        sums.a = nrv_dual_mul_add(nrv_even(w[0]), even, sums.a);
        sums.b = nrv_dual_mul_add(nrv_odd(w[0]), even, sums.b);
        sums.a = nrv_dual_mul_add(nrv_even(w[1]), odd, sums.a);
        sums.b = nrv_dual_mul_add(nrv_odd(w[1]), odd, sums.b);
    }
    return sums;
}

void nrv_dsp_multiply_some(const nrv_dsp_matrix_t *m, const uint32_t *stream, const uint32_t *columns, int32_t count,
                           int8_t *output)
{
    for (int32_t i = 0; i < count; i++) {
        const uint32_t *w = stream;
        const int32_t keep = i & (m->pool - 1);
        int8_t *const to = output + i / m->pool * m->units;
        for (int32_t unit = 0; unit < m->units; unit += 2, w += 4) {
            const nrv_two_sums_t sums = sums_of(w, columns + i, m->groups);
            w += 2 + 2 * m->groups;
            put(m, sums.a, w, keep, to + unit);
            if (unit + 1 < m->units) {
                put(m, sums.b, w + 2, keep, to + unit + 1);
            }
        }
    }
}
