/*
 * Exponentials and what they are divided by in the fixed-point softmax that TFLite's reference kernels define. Qm.n
 * below has m integer bits, n fractional ones and a sign. exp(-x) is a fourth-order Taylor polynomial about -1/8 on the
 * last quarter, times exp(-2^k) for every bit of x above it; the reciprocal is three Newton-Raphson steps from
 * 48/17 - 32/17 d.
 */
#ifndef NRV_SOFTMAX_PARTS_H
#define NRV_SOFTMAX_PARTS_H

#include "fixed.h"

enum { NRV_SUM_INTEGER_BITS = 12, NRV_EXP_QUARTER = 1 << 24 /* 1/4 as Q5.26 */ };

/* exp(x) as Q0.31 for x in [-1/4, 0) given as Q0.31. */
static inline int32_t nrv_exp_last_quarter(int32_t x)
{
    const int32_t exp_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    const int32_t t = x + (1 << 28);
    const int32_t t2 = nrv_doubling_high_mul(t, t);
    const int32_t t3 = nrv_doubling_high_mul(t2, t);
    const int32_t t4 = nrv_doubling_high_mul(t2, t2);
    const int32_t t3_t4 = nrv_doubling_high_mul(nrv_rounding_divide_by_pot(t4, 2) + t3, third);
    return exp_minus_eighth + nrv_doubling_high_mul(exp_minus_eighth, t + nrv_rounding_divide_by_pot(t3_t4 + t2, 1));
}

/* exp(x) as Q0.31 for x <= 0 given as Q5.26. */
static inline int32_t nrv_exp_negative(int32_t x)
{
    /* exp(-2^k), k = -2 .. 4, as Q0.31 */
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) {
        return INT32_MAX;
    }
    const int32_t last = (int32_t)((uint32_t)x & (uint32_t)(NRV_EXP_QUARTER - 1)) - NRV_EXP_QUARTER;
    const int32_t rest = last - x;
    int32_t result = nrv_exp_last_quarter(last * 32);
    for (int32_t k = 0; k < 7; k++) {
        if ((rest & (int32_t)((uint32_t)NRV_EXP_QUARTER << k)) != 0) {
            result = nrv_doubling_high_mul(result, powers[k]);
        }
    }
    return result;
}

/* Of a word that is not 0. */
static inline int32_t nrv_leading_zeros(uint32_t x)
{
    int32_t n = 0;
    for (int32_t width = 16; width > 0; width >>= 1) {
        if (x >> (32 - width) == 0) {
            x <<= width;
            n += width;
        }
    }
    return n;
}

static inline int32_t nrv_saturating_shift(int32_t x, int32_t shift)
{
    const int32_t limit = (int32_t)((UINT32_C(1) << (31 - shift)) - 1u);
    if (x > limit) {
        return INT32_MAX;
    }
    if (x < -limit) {
        return INT32_MIN;
    }
    return x * (1 << shift);
}

/* 1 / (1 + x) as Q0.31 for x in [0, 1) given as Q0.31. */
static inline int32_t nrv_reciprocal_one_plus(int32_t x)
{
    const int32_t one = 1 << 29; /* Q2.29 */
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t estimate = 1515870810 + nrv_doubling_high_mul(half_denominator, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = one - nrv_doubling_high_mul(half_denominator, estimate);
        estimate += nrv_saturating_shift(nrv_doubling_high_mul(estimate, error), 2);
    }
    return nrv_saturating_shift(estimate, 1);
}

/* Probabilities are exponentials as Q0.31 times multiplier times 2^-shift, halves away from zero. */
typedef struct {
    int32_t multiplier; /* Q0.31 */
    int32_t shift;      /* 23 to 31 for up to 511 values */
} nrv_softmax_scale_t;

/* `sum`: of the exponentials as Q12.19. */
static inline nrv_softmax_scale_t nrv_softmax_scale(int32_t sum)
{
    const int32_t zeros = nrv_leading_zeros((uint32_t)sum);
    const int32_t fraction = (int32_t)(((uint32_t)sum << zeros) - 0x80000000u);
    const nrv_softmax_scale_t scale = {nrv_reciprocal_one_plus(fraction), NRV_SUM_INTEGER_BITS - zeros + 31 - 8};
    return scale;
}

#endif
