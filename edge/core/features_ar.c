#include "features_ar.h"

#define FRACTION_BITS 62 /* of reflection coefficients */
#define STEP_BITS 56     /* of the results on the way: they stay below binomial(8, 4) = 70 */
#define OUTPUT_BITS 20
#define NOISE_BITS 20

static int64_t autocorrelation(const nrv_series_t *series, size_t lag)
{
    const int16_t *x = series->samples;
    const size_t stride = series->stride;
    int64_t sum = 0;
    for (size_t i = lag; i < series->n; i++)
        sum += (int32_t)x[i * stride] * x[(i - lag) * stride];
    return sum;
}

/* a * b / 2^62, at most 3 below it; |a|, |b| <= 1.2 * 2^62. */
static int64_t multiply(int64_t a, int64_t b)
{
    const int64_t a_high = a >> 32, b_high = b >> 32;
    const uint32_t a_low = (uint32_t)a, b_low = (uint32_t)b;
    return a_high * b_high * 4 + ((a_high * b_low) >> 30) + ((b_high * a_low) >> 30) +
           (int64_t)(((uint64_t)a_low * b_low) >> 62);
}

/* numerator / denominator in Q62, towards 0; |numerator| < denominator < 2^63. */
static int64_t fraction(int64_t numerator, int64_t denominator)
{
    uint64_t remainder = numerator < 0 ? 0u - (uint64_t)numerator : (uint64_t)numerator;
    int64_t quotient = 0;
    for (int i = 0; i < FRACTION_BITS; i++) {
        remainder <<= 1;
        quotient <<= 1;
        if (remainder >= (uint64_t)denominator) {
            remainder -= (uint64_t)denominator;
            quotient |= 1;
        }
    }
    return numerator < 0 ? -quotient : quotient;
}

void nrv_autoregression(const nrv_series_t *series, unsigned order, int32_t *a)
{
    /* forward[j] and backward[j]: how the two prediction errors go with x, j + 1 and j samples apart. */
    int64_t forward[NRV_AR_ORDER_MAX], backward[NRV_AR_ORDER_MAX], step[NRV_AR_ORDER_MAX] = {0};
    const int64_t power = autocorrelation(series, 0);
    int shift = NOISE_BITS;
    while (power && (power << shift) < (INT64_C(1) << 61))
        shift++;
    backward[0] = (power << shift) + (power << (shift - NOISE_BITS));
    for (unsigned j = 0; j < order; j++) {
        forward[j] = j + 1u < series->n ? autocorrelation(series, j + 1u) * (INT64_C(1) << shift) : 0;
        if (j + 1u < order)
            backward[j + 1u] = forward[j];
    }
    for (unsigned m = 0; power && m < order; m++) {
        const int64_t reflection = fraction(forward[0], backward[0]);
        for (unsigned j = 0; j < order - m; j++) {
            backward[j] -= multiply(reflection, forward[j]);
            if (j + 1u < order - m)
                forward[j] = forward[j + 1u] - multiply(reflection, backward[j + 1u]);
        }
        for (unsigned low = 0, high = m; low < high--; low++) {
            const int64_t first = step[low], second = step[high];
            step[low] = first - multiply(reflection, second);
            if (high != low)
                step[high] = second - multiply(reflection, first);
        }
        step[m] = reflection >> (FRACTION_BITS - STEP_BITS);
    }
    for (unsigned j = 0; j < order; j++)
        a[j] = (int32_t)((step[j] + (INT64_C(1) << (STEP_BITS - OUTPUT_BITS - 1))) >> (STEP_BITS - OUTPUT_BITS));
}
