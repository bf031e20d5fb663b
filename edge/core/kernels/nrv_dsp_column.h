/* One column of int16 taps, (even, odd) pairs of nrv_dsp.h, against two units of an interleaved int8 matrix. */
#ifndef NRV_DSP_COLUMN_H
#define NRV_DSP_COLUMN_H

#include "nrv_dsp.h"

typedef struct {
    int32_t a;
    int32_t b;
} nrv_two_sums_t;

/*
 * Sums of two units; `w` points at their biases, the weights follow as in nrv_dsp_matrix_t. The column's words lie
 * `step` apart.
 */
static inline nrv_two_sums_t nrv_dot_two(const uint32_t *w, const uint32_t *column, int32_t step, int32_t groups)
{
    nrv_two_sums_t sums = {(int32_t)w[0], (int32_t)w[1]};
    for (w += 2; groups > 0; groups--, w += 2) {
        const uint32_t even = column[0];
        const uint32_t odd = column[step];
        column += 2 * step;
        sums.a = nrv_dual_mul_add(nrv_even(w[0]), even, sums.a);
        sums.b = nrv_dual_mul_add(nrv_odd(w[0]), even, sums.b);
        sums.a = nrv_dual_mul_add(nrv_even(w[1]), odd, sums.a);
        sums.b = nrv_dual_mul_add(nrv_odd(w[1]), odd, sums.b);
    }
    return sums;
}

/* `count` int8 as a column whose words are neighbours, filled up with zeros to four. */
static inline void nrv_widen(const int8_t *from, int32_t count, uint32_t *column)
{
    for (; count > 0; count -= 4, from += 4, column += 2) {
        const uint32_t x = count >= 4 ? nrv_load4(from) : nrv_load_some(from, count);
        column[0] = nrv_even(x);
        column[1] = nrv_odd(x);
    }
}

#endif
