/*
 * What follows the sums in a step of the LSTM: sigmoid, tanh and products of 16-bit integers as gemmlowp (fixedpoint.h)
 * and TFLite's reference kernels (portable_tensor_utils.cc) define them. Qm.n below has m integer bits, n fractional
 * ones and a sign.
 */
#ifndef NRV_LSTM_CELL_H
#define NRV_LSTM_CELL_H

#include "fixed.h"
#include "nrv_clamp.h"
#include "nrv_lstm.h"

static inline int32_t nrv_clip16(int32_t x)
{
#if defined(__ARM_FEATURE_SAT) && defined(__GNUC__)
    __asm__("ssat %0, #16, %1" : "=r"(x) : "r"(x));
    return x;
#else
    return x > INT16_MAX ? INT16_MAX : x < INT16_MIN ? INT16_MIN : x;
#endif
}

/* nrv_rounding_divide_by_pot() for |x| <= 2^30 and at least one place, in fewer instructions. */
static inline int32_t nrv_rounded_shift(int32_t x, int32_t places)
{
    return (x + (x >> 31) + (1 << (places - 1))) >> places;
}

/* round(a * b / 2^15), halves upwards; both fit 16 bits. */
static inline int32_t nrv_mul15(int32_t a, int32_t b)
{
#if defined(__ARM_FEATURE_DSP) && defined(__GNUC__)
    int32_t y;
    __asm__("smlabb %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(b), "r"(1 << 14));
    return y >> 15;
#else
    return (a * b + (1 << 14)) >> 15;
#endif
}

/* exp(a) as Q0.15 for a in [-1/4, 0) given as Q0.15: a Taylor polynomial about -1/8. */
static inline int32_t nrv_exp15_last_quarter(int32_t a)
{
    const int32_t exp_minus_eighth = 28918;
    const int32_t third = 10923;
    const int32_t x = a + (1 << 12);
    const int32_t x2 = nrv_mul15(x, x);
    const int32_t x3 = nrv_mul15(x2, x);
    const int32_t x4 = nrv_mul15(x2, x2);
    const int32_t x3_x4 = nrv_mul15(nrv_rounded_shift(x4, 2) + x3, third);
    return exp_minus_eighth + nrv_mul15(x + nrv_rounded_shift(x3_x4 + x2, 1), exp_minus_eighth);
}

/* exp(a) as Q0.15 for a < 0 with `bits` integer bits: the last quarter times exp(-2^k) for each bit above it. */
static inline int32_t nrv_exp15(int32_t a, int32_t bits)
{
    const int32_t quarter = 1 << (13 - bits);
    const int32_t above = (int32_t)((uint32_t)a & (uint32_t)(quarter - 1)); /* of the quarter's lower end */
    const uint32_t rest = ~(uint32_t)(a >> (13 - bits)); /* quarters between that end and 0, less one */
    int32_t result = nrv_exp15_last_quarter((above - quarter) * (1 << bits));
    if (bits > 5 && a < -(1 << (20 - bits))) {
        return 0;
    }
    result = (rest & 1u) != 0 ? nrv_mul15(result, 25520) : result;
    result = (rest & 2u) != 0 ? nrv_mul15(result, 19875) : result;
    result = (rest & 4u) != 0 ? nrv_mul15(result, 12055) : result;
    if (rest >= 8) {
        result = (rest & 8u) != 0 ? nrv_mul15(result, 4435) : result;
        result = (rest & 16u) != 0 ? nrv_mul15(result, 600) : result;
        result = (rest & 32u) != 0 ? nrv_mul15(result, 11) : result;
        result = (rest & 64u) != 0 ? 0 : result;
    }
    return result;
}

/* x + x (1 - d x), Q2.13. 1 - d x is rounded as 1 less the rounded product. */
static inline int32_t nrv_newton13(int32_t x, int32_t d)
{
    const int32_t error = ((1 << 28) + (1 << 14) - 1 - d * x) >> 15;
    return x + 4 * nrv_mul15(x, error);
}

/*
 * 2 / (1 + a) as Q2.13 for a in [0, 1) given as Q0.15: three Newton-Raphson steps from 48/17 - 32/17 d.
 * None of the 2^15 arguments saturates where gemmlowp guards for it.
 */
static inline int32_t nrv_twice_reciprocal13(int32_t a)
{
    const int32_t half_denominator = (a + (1 << 15)) >> 1;
    int32_t x = 23130 + nrv_mul15(half_denominator, -15420);
    x = nrv_newton13(x, half_denominator);
    x = nrv_newton13(x, half_denominator);
    return nrv_newton13(x, half_denominator);
}

/* Q3.12 to Q0.15. */
static inline int32_t nrv_sigmoid15(int32_t x)
{
    if (x == 0) {
        return 1 << 14;
    }
    const int32_t size = nrv_clip16(2 * nrv_twice_reciprocal13(nrv_exp15(x < 0 ? x : -x, 3)));
    return x > 0 ? size : INT16_MAX - size;
}

/* x with `bits` integer bits to Q0.15. */
static inline int32_t nrv_tanh15(int32_t x, int32_t bits)
{
    if (x == 0) {
        return 0;
    }
    /* Twice x is the same integer with one integer bit more. */
    const int32_t reciprocal = nrv_twice_reciprocal13(nrv_exp15(x < 0 ? x : -x, bits + 1));
    const int32_t size = nrv_clip16(4 * (reciprocal - (1 << 13)));
    return x > 0 ? size : -size;
}

/* A unit's next cell state from the four gates' Q3.12; *hidden becomes its hidden state. */
static inline int16_t nrv_lstm_cell(const nrv_lstm_t *p, const int32_t gates[4], int32_t cell, int8_t *hidden)
{
    const int32_t input = nrv_sigmoid15(gates[0]);
    const int32_t forget = nrv_sigmoid15(gates[1]);
    const int32_t output = nrv_sigmoid15(gates[3]);
    const int32_t kept = nrv_rounded_shift(forget * cell, 15);
    const int32_t added = input * nrv_tanh15(gates[2], 3);
    int32_t next = nrv_clip16(kept + nrv_rounded_shift(added, 15 + p->cell_bits));
    next = next > p->cell_clip ? p->cell_clip : next < -p->cell_clip ? -p->cell_clip : next;
    const int32_t shown = output * nrv_tanh15(next, p->cell_bits);
    *hidden = nrv_clamp8(nrv_requantize(shown, p->hidden_multiplier, p->hidden_shift) + p->hidden_zero, INT8_MIN,
                         INT8_MAX);
    return (int16_t)next;
}

#endif
