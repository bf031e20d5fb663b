/* Roots, logarithms and quotients of integers, and numbers with a 32-bit mantissa for what spans more than
 * 64 bits. No tables, no floats; bounds are in the comments and tested at the edges.
 */
#ifndef NRV_FEATURES_MATH_H
#define NRV_FEATURES_MATH_H

#include <stdint.h>

/* sqrt(x) rounded to nearest; exact. */
uint64_t nrv_isqrt(uint64_t x);

/* log2(x) in Q16, 0 for x = 0; off by less than half an LSB and 2^-29. */
int32_t nrv_log2(uint64_t x);

/* numerator / denominator rounded to nearest, halves upwards; numerator + denominator / 2 < 2^64,
 * denominator > 0. */
uint64_t nrv_divide(uint64_t numerator, uint64_t denominator);

/* mantissa * 2^exponent; the mantissa is 0 or at least 2^31. */
typedef struct {
    uint32_t mantissa;
    int32_t exponent;
} nrv_scaled_t;

/* Each is off by less than 2^-31 of its result, besides what its arguments are off by. */
nrv_scaled_t nrv_scaled(uint64_t x);
nrv_scaled_t nrv_scaled_multiply(nrv_scaled_t a, nrv_scaled_t b);
nrv_scaled_t nrv_scaled_divide(nrv_scaled_t a, nrv_scaled_t b); /* 0 where b is 0 */
nrv_scaled_t nrv_scaled_sqrt(nrv_scaled_t a);

/* a * 2^bits rounded to nearest, saturated to INT32_MAX. */
int32_t nrv_scaled_fixed(nrv_scaled_t a, int bits);

/* log2(a) with `bits` <= 26 fractional bits, off by less than half an LSB and 2^-29; a > 0. */
int64_t nrv_scaled_log2(nrv_scaled_t a, int bits);

/* 2^(x / 2^26) * 2^bits rounded to nearest, saturated to INT32_MAX; off by less than half an LSB and 2^-28 of
 * its value. |x| < 2^36. */
int32_t nrv_exp2_fixed(int64_t x, int bits);

#endif
