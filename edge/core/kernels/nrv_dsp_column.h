/* One column of int16 taps, (even, odd) pairs of nrv_dsp.h, against two units of an interleaved int8 matrix. */
#ifndef NRV_DSP_COLUMN_H
#define NRV_DSP_COLUMN_H

#include "nrv_dsp.h"

typedef struct {
    int32_t a;
    int32_t b;
} nrv_two_sums_t;

/*
 * Sums of two units; *stream points at their biases, the weights follow as in nrv_dsp_matrix_t, and it moves beyond
 * them. The column's words are neighbours. In assembly for the addressing modes, which the compiler does not find.
 */
static inline nrv_two_sums_t nrv_dot_two(const uint32_t **stream, const uint32_t *column, int32_t groups)
{
    const uint32_t *w = *stream;
    nrv_two_sums_t sums = {(int32_t)w[0], (int32_t)w[1]};
    w += 2;
#ifdef NRV_DSP_ASM
#define NRV_DOT_GROUP                                                                                                  \
    "ldrd %[x], %[y], [%[column]], #8\n\t"                                                                             \
    "ldrd %[p], %[q], [%[w]], #8\n\t"                                                                                  \
    "sxtb16 %[t], %[p]\n\t"                                                                                            \
    "sxtb16 %[p], %[p], ror #8\n\t"                                                                                    \
    "smlad %[a], %[t], %[x], %[a]\n\t"                                                                                 \
    "smlad %[b], %[p], %[x], %[b]\n\t"                                                                                 \
    "sxtb16 %[t], %[q]\n\t"                                                                                            \
    "sxtb16 %[q], %[q], ror #8\n\t"                                                                                    \
    "smlad %[a], %[t], %[y], %[a]\n\t"                                                                                 \
    "smlad %[b], %[q], %[y], %[b]\n\t"
    int32_t rounds = (groups + 1) / 2;
    uint32_t x, y, p, q, t;
    __asm__ volatile(
        "lsrs %[t], %[groups], #1\n\t" /* an odd number starts in the middle */
        "bcs 2f\n"
        "1:\n\t" NRV_DOT_GROUP
        "2:\n\t" NRV_DOT_GROUP
        "subs %[rounds], %[rounds], #1\n\t"
        "bne 1b"
        : [a] "+r"(sums.a), [b] "+r"(sums.b), [w] "+r"(w), [column] "+r"(column), [rounds] "+r"(rounds),
          [x] "=&r"(x), [y] "=&r"(y), [p] "=&r"(p), [q] "=&r"(q), [t] "=&r"(t)
        : [groups] "r"(groups)
        : "cc", "memory");
#undef NRV_DOT_GROUP
#else
    for (; groups > 0; groups--, column += 2, w += 2) {
        sums.a = nrv_dual_mul_add(nrv_even(w[0]), column[0], sums.a);
        sums.b = nrv_dual_mul_add(nrv_odd(w[0]), column[0], sums.b);
        sums.a = nrv_dual_mul_add(nrv_even(w[1]), column[1], sums.a);
        sums.b = nrv_dual_mul_add(nrv_odd(w[1]), column[1], sums.b);
    }
#endif
    *stream = w;
    return sums;
}

/* `count` int8 as a column, filled up with zeros to four. */
static inline void nrv_widen(const int8_t *from, int32_t count, int32_t step, uint32_t *column)
{
    for (; count > 0; count -= 4, from += 4, column += 2 * step) {
        const uint32_t x = count >= 4 ? nrv_load4(from) : nrv_load_some(from, count);
        column[0] = nrv_even(x);
        column[step] = nrv_odd(x);
    }
}

#endif
