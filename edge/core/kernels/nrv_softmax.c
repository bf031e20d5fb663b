/*
 * The fixed-point softmax that TFLite's reference kernels define. Qm.n below has m integer bits, n fractional ones
 * and a sign. exp(-x) is a fourth-order Taylor polynomial about -1/8 on the last quarter, times exp(-2^k) for every
 * bit of x above it; the reciprocal is three Newton-Raphson steps from 48/17 - 32/17 d.
 */
#include "nrv_softmax.h"

#include "nrv_clamp.h"
#include "fixed.h"

enum { SUM_INTEGER_BITS = 12, EXP_QUARTER = 1 << 24 /* 1/4 as Q5.26 */ };

/* exp(x) as Q0.31 for x in [-1/4, 0) given as Q0.31. */
static int32_t exp_last_quarter(int32_t x)
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
static int32_t exp_negative(int32_t x)
{
    /* exp(-2^k), k = -2 .. 4, as Q0.31 */
    static const int32_t powers[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    if (x == 0) {
        return INT32_MAX;
    }
    const int32_t last = (int32_t)((uint32_t)x & (uint32_t)(EXP_QUARTER - 1)) - EXP_QUARTER;
    const int32_t rest = last - x;
    int32_t result = exp_last_quarter(last * 32);
    for (int32_t k = 0; k < 7; k++) {
        if ((rest & (int32_t)((uint32_t)EXP_QUARTER << k)) != 0) {
            result = nrv_doubling_high_mul(result, powers[k]);
        }
    }
    return result;
}

static int32_t leading_zeros(uint32_t x)
{
    int32_t n = 0;
    while ((x & 0x80000000u) == 0) {
        x <<= 1;
        n++;
    }
    return n;
}

static int32_t saturating_shift(int32_t x, int32_t shift)
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
static int32_t reciprocal_one_plus(int32_t x)
{
    const int32_t one = 1 << 29; /* Q2.29 */
    const int32_t half_denominator = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t estimate = 1515870810 + nrv_doubling_high_mul(half_denominator, -1010580540);
    for (int32_t i = 0; i < 3; i++) {
        const int32_t error = one - nrv_doubling_high_mul(half_denominator, estimate);
        estimate += saturating_shift(nrv_doubling_high_mul(estimate, error), 2);
    }
    return saturating_shift(estimate, 1);
}

static int32_t exp_of_difference(const nrv_softmax_t *p, int32_t difference)
{
    if (p->exponentials != 0) {
        return p->exponentials[-difference];
    }
    return exp_negative(nrv_doubling_high_mul(difference * (int32_t)(UINT32_C(1) << p->shift), p->multiplier));
}

void nrv_softmax(const nrv_softmax_t *p, const int8_t *input, int8_t *output)
{
    for (int32_t row = 0; row < p->rows; row++, input += p->depth, output += p->depth) {
        int32_t highest = INT8_MIN;
        for (int32_t i = 0; i < p->depth; i++) {
            highest = input[i] > highest ? input[i] : highest;
        }
        int32_t sum = 0; /* Q12.19 */
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t difference = input[i] - highest;
            if (difference >= p->diff_min) {
                sum += nrv_rounding_divide_by_pot(exp_of_difference(p, difference), SUM_INTEGER_BITS);
            }
        }
        const int32_t zeros = leading_zeros((uint32_t)sum);
        const int32_t fraction = (int32_t)(((uint32_t)sum << zeros) - 0x80000000u);
        const int32_t scale = reciprocal_one_plus(fraction);
        const int32_t shift = SUM_INTEGER_BITS - zeros + 31 - 8;
        for (int32_t i = 0; i < p->depth; i++) {
            const int32_t difference = input[i] - highest;
            int32_t value = INT8_MIN;
            if (difference >= p->diff_min) {
                value += nrv_rounding_divide_by_pot(nrv_doubling_high_mul(scale, exp_of_difference(p, difference)), shift);
            }
            output[i] = nrv_clamp8(value, INT8_MIN, INT8_MAX);
        }
    }
}
