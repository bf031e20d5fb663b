/* Integer rounding and saturation, as TensorFlow Lite's reference kernels define them.
 *
 * Source: gemmlowp's SaturatingRoundingDoublingHighMul and RoundingDivideByPOT, and TensorFlow Lite's
 * MultiplyByQuantizedMultiplier (kernels/internal/common.h, double rounding). Right shifts of negative
 * numbers are taken to be arithmetic, as on every compiler this code is built with.
 */
#ifndef NRV_FIXED_H
#define NRV_FIXED_H

#include <stdint.h>

static inline int8_t nrv_sat8(int32_t x)
{
    return (int8_t)(x > 127 ? 127 : x < -128 ? -128 : x);
}

static inline int16_t nrv_sat16(int32_t x)
{
    return (int16_t)(x > INT16_MAX ? INT16_MAX : x < INT16_MIN ? INT16_MIN : x);
}

static inline int32_t nrv_sat32(int64_t x)
{
    return (int32_t)(x > INT32_MAX ? INT32_MAX : x < INT32_MIN ? INT32_MIN : x);
}

/* Of a converter of 2..32 bits; the lowest is one further from zero. */
static inline int32_t nrv_highest_count(unsigned bits)
{
    return (int32_t)((UINT32_C(1) << (bits - 1u)) - 1u);
}

/* round(a * b / 2^31), halves upwards; the one product that does not fit saturates. */
static inline int32_t nrv_doubling_high_mul(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN)
        return INT32_MAX;
    return (int32_t)(((int64_t)a * b + (INT64_C(1) << 30)) >> 31);
}

/* round(x / 2^exponent), halves away from zero; 0 <= exponent <= 31. */
static inline int32_t nrv_rounding_divide_by_pot(int32_t x, int exponent)
{
    const int32_t mask = (int32_t)((UINT32_C(1) << exponent) - 1u);
    const int32_t remainder = x & mask;
    const int32_t threshold = (mask >> 1) + (x < 0);
    return (x >> exponent) + (remainder > threshold);
}

/* acc * multiplier * 2^(shift - 31), rounded twice as the reference kernels do; -31 <= shift <= 30.
 * The left shift saturates where the reference would wrap. */
static inline int32_t nrv_requantize(int32_t acc, int32_t multiplier, int shift)
{
    const int left = shift > 0 ? shift : 0;
    const int right = shift > 0 ? 0 : -shift;
    const int32_t raised = left ? nrv_sat32((int64_t)acc * (INT64_C(1) << left)) : acc;
    return nrv_rounding_divide_by_pot(nrv_doubling_high_mul(raised, multiplier), right);
}

#endif
