/*
 * Sigmoid and tanh of nrv_lstm_cell.h in lanes of int16: the same steps, so equal for every argument. There are none
 * where NRV_SIMD_SHORTS is not defined.
 */
#ifndef NRV_SIMD_SIGMOID_H
#define NRV_SIMD_SIGMOID_H

#include "nrv_simd.h"

#if defined(__GNUC__) && (defined(__AVX2__) || (defined(__ARM_NEON) && defined(__aarch64__) && !defined(__ARM_BIG_ENDIAN)))

/* As many as their products, int32, are lanes of one vector. */
#ifdef __AVX512F__
#define NRV_SIMD_SHORTS 16
typedef int16_t nrv_shorts_t __attribute__((vector_size(32)));
typedef int32_t nrv_longs_t __attribute__((vector_size(64)));
#else
#define NRV_SIMD_SHORTS 8
typedef int16_t nrv_shorts_t __attribute__((vector_size(16)));
typedef int32_t nrv_longs_t __attribute__((vector_size(32)));
#endif

#define NRV_SHORTS_INLINE static inline __attribute__((always_inline))

NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts(int32_t x)
{
    const nrv_shorts_t zero = {0};
    return zero + (int16_t)x;
}

/* nrv_mul15() */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_mul15(nrv_shorts_t a, nrv_shorts_t b)
{
#if defined(__AVX512F__)
    return (nrv_shorts_t)_mm256_mulhrs_epi16((__m256i)a, (__m256i)b);
#elif defined(__AVX2__)
    return (nrv_shorts_t)_mm_mulhrs_epi16((__m128i)a, (__m128i)b);
#else
    return (nrv_shorts_t)vqrdmulhq_s16((int16x8_t)a, (int16x8_t)b);
#endif
}

/* 2 x, saturated. */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_twice(nrv_shorts_t x)
{
#if defined(__AVX512F__)
    return (nrv_shorts_t)_mm256_adds_epi16((__m256i)x, (__m256i)x);
#elif defined(__AVX2__)
    return (nrv_shorts_t)_mm_adds_epi16((__m128i)x, (__m128i)x);
#else
    return (nrv_shorts_t)vqaddq_s16((int16x8_t)x, (int16x8_t)x);
#endif
}

/* a where a lane of `where` is -1, b where it is 0. */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_choose(nrv_shorts_t where, nrv_shorts_t a, nrv_shorts_t b)
{
    return (where & a) | (~where & b);
}

/* nrv_exp15() of a <= 0 with `bits` (1 to 7) integer bits; something else for 0. */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_exp15(nrv_shorts_t a, int32_t bits)
{
    static const int16_t factors[6] = {25520, 19875, 12055, 4435, 600, 11};
    const nrv_shorts_t above = a & (int16_t)((1 << (13 - bits)) - 1); /* of the quarter's lower end */
    const nrv_shorts_t x = (above << bits) - (int16_t)(1 << 12);      /* from the last quarter's middle */
    const nrv_shorts_t x2 = nrv_shorts_mul15(x, x);
    const nrv_shorts_t x3 = nrv_shorts_mul15(x2, x);
    const nrv_shorts_t x4 = nrv_shorts_mul15(x2, x2);
    /* What is rounded halves away from zero is never negative. */
    const nrv_shorts_t x3_x4 = nrv_shorts_mul15(((x4 + 2) >> 2) + x3, nrv_shorts(10923));
    const nrv_shorts_t series = x + ((x3_x4 + x2 + 1) >> 1);
    nrv_shorts_t y = nrv_shorts_mul15(series, nrv_shorts(28918)) + 28918;
    for (int32_t k = 0; k < 6 && k < bits + 2; k++) {
        const nrv_shorts_t clear = (a & (int16_t)(1 << (13 - bits + k))) == 0;
        y = nrv_shorts_choose(clear, nrv_shorts_mul15(y, nrv_shorts(factors[k])), y);
    }
    if (bits > 4) {
        y &= a >= (int16_t)-(1 << (19 - bits)); /* -64 quarters */
    }
    return y;
}

/* nrv_newton13() */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_newton13(nrv_shorts_t x, nrv_shorts_t d)
{
    return x + (nrv_shorts_mul15(x, (1 << 13) - nrv_shorts_mul15(d, x)) * 4);
}

/* 2 / (1 + exp(-|x|)) as Q2.13; 2^13 where x is 0. */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_twice_sigmoid13(nrv_shorts_t x, int32_t bits)
{
    const nrv_shorts_t below = x < 0;
    const nrv_shorts_t a = (below & x) | -(~below & x);
    const nrv_shorts_t d = (nrv_shorts_exp15(a, bits) >> 1) + (1 << 14);
    nrv_shorts_t y = nrv_shorts_mul15(d, nrv_shorts(-15420)) + 23130;
    y = nrv_shorts_newton13(y, d);
    y = nrv_shorts_newton13(y, d);
    y = nrv_shorts_newton13(y, d);
    return nrv_shorts_choose(a == 0, nrv_shorts(1 << 13), y);
}

/* nrv_sigmoid15(): Q3.12 to Q0.15. */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_sigmoid15(nrv_shorts_t x)
{
    const nrv_shorts_t size = nrv_shorts_twice(nrv_shorts_twice_sigmoid13(x, 3));
    return nrv_shorts_choose(x < 0, INT16_MAX - size, size);
}

/* nrv_tanh15(): x with `bits` (0 to 6) integer bits to Q0.15. */
NRV_SHORTS_INLINE nrv_shorts_t nrv_shorts_tanh15(nrv_shorts_t x, int32_t bits)
{
    const nrv_shorts_t above = nrv_shorts_twice_sigmoid13(x, bits + 1) - (1 << 13);
    const nrv_shorts_t size = nrv_shorts_twice(nrv_shorts_twice(above));
    return nrv_shorts_choose(x < 0, -size, size);
}

#endif

#endif
