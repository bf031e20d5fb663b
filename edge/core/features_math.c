#include "features_math.h"

/* Bits of x up to the highest that is set; 0 for 0. Written out because a Cortex-M0 cannot count zeros. */
static int bit_length(uint64_t x)
{
    uint32_t word = (uint32_t)(x >> 32);
    int length = word ? 32 : 0;
    if (!word)
        word = (uint32_t)x;
    for (int step = 16; step > 0; step >>= 1) {
        if (word >> step) {
            word >>= step;
            length += step;
        }
    }
    return length + (word != 0);
}

uint64_t nrv_isqrt(uint64_t x)
{
    /* One bit of the root a step; `x` becomes the remainder x - root^2. */
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 62; bit; bit >>= 2) {
        const uint64_t trial = root + bit;
        root >>= 1;
        if (x >= trial) {
            x -= trial;
            root += bit;
        }
    }
    return root + (x > root); /* (root + 1/2)^2 = root^2 + root + 1/4 */
}

uint64_t nrv_divide(uint64_t numerator, uint64_t denominator)
{
    return (numerator + denominator / 2) / denominator;
}

/* x * 2^exponent with x rounded to 32 bits. */
static nrv_scaled_t normalised(uint64_t x, int32_t exponent)
{
    if (x == 0)
        return (nrv_scaled_t){0, 0};
    int surplus = bit_length(x) - 32;
    if (surplus <= 0)
        return (nrv_scaled_t){(uint32_t)(x << -surplus), exponent + surplus};
    uint64_t mantissa = (x >> surplus) + ((x >> (surplus - 1)) & 1u);
    if (mantissa >> 32) {
        mantissa >>= 1;
        surplus++;
    }
    return (nrv_scaled_t){(uint32_t)mantissa, exponent + surplus};
}

nrv_scaled_t nrv_scaled(uint64_t x)
{
    return normalised(x, 0);
}

nrv_scaled_t nrv_scaled_multiply(nrv_scaled_t a, nrv_scaled_t b)
{
    return normalised((uint64_t)a.mantissa * b.mantissa, a.exponent + b.exponent);
}

nrv_scaled_t nrv_scaled_divide(nrv_scaled_t a, nrv_scaled_t b)
{
    if (b.mantissa == 0)
        return (nrv_scaled_t){0, 0};
    /* a < 2^32 and b >= 2^31, so the quotient lies between 2^31 and 2^33. */
    return normalised(((uint64_t)a.mantissa << 32) / b.mantissa, a.exponent - b.exponent - 32);
}

nrv_scaled_t nrv_scaled_sqrt(nrv_scaled_t a)
{
    /* The square gets 63 or 64 bits, so that its exponent is even. */
    const int shift = 31 + (~a.exponent & 1);
    return normalised(nrv_isqrt((uint64_t)a.mantissa << shift), (a.exponent - shift) / 2);
}

int32_t nrv_scaled_fixed(nrv_scaled_t a, int bits)
{
    const int shift = a.exponent + bits;
    if (a.mantissa == 0 || shift < -32)
        return 0;
    if (shift > -1)
        return INT32_MAX;
    const uint64_t rounded = ((uint64_t)a.mantissa + (UINT64_C(1) << (-shift - 1))) >> -shift;
    return rounded > INT32_MAX ? INT32_MAX : (int32_t)rounded;
}

int64_t nrv_scaled_log2(nrv_scaled_t a, int bits)
{
    /* Squaring doubles the logarithm: each time its integer part, 0 or 1, is the next bit. */
    int64_t log = a.exponent + 31;
    uint64_t mantissa = a.mantissa;
    for (int i = 0; i <= bits; i++) {
        mantissa *= mantissa;
        const int carry = (int)(mantissa >> 63);
        mantissa >>= 31 + carry;
        log = log * 2 + carry;
    }
    return (log + 1) >> 1; /* one bit more than asked for, to round by */
}

int32_t nrv_log2(uint64_t x)
{
    return x == 0 ? 0 : (int32_t)nrv_scaled_log2(nrv_scaled(x), 16);
}

int32_t nrv_exp2_fixed(int64_t x, int bits)
{
    /* sqrt(2) ln(2)^k / k! in Q30: the series of 2^(t + 1/2) for |t| <= 1/2; the next is below 2^-31. */
    static const int32_t TERMS[] = {1518500250, 1052544167, 364784011, 84283003, 14605131,
                                    2024701,    233903,     23161,     2007};
    const int whole = (int)(x >> 26);
    const int64_t t = (x - ((int64_t)whole << 26)) - (1 << 25); /* Q26 */
    int64_t sum = 0;
    for (int k = (int)(sizeof TERMS / sizeof TERMS[0]) - 1; k >= 0; k--)
        sum = TERMS[k] + ((sum * t) >> 26);
    return nrv_scaled_fixed(normalised((uint64_t)sum, whole - 30), bits);
}
