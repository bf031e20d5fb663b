#include "features_time.h"

#include "features_math.h"

#define AMPLITUDE_BITS 8
#define HJORTH_BITS 16
#define LOG_BITS 26

static uint32_t magnitude(int32_t x)
{
    return x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
}

static int32_t sample(const nrv_series_t *series, size_t i)
{
    return series->samples[i * series->stride];
}

static uint64_t square(int32_t x)
{
    return (uint64_t)((int64_t)x * x);
}

/* count * squares - sum^2: at most 2^12 * 2^46 with 4096 samples, for second differences. */
static uint64_t spread(uint32_t count, uint64_t squares, int32_t sum)
{
    return count * squares - square(sum);
}

nrv_moments_t nrv_moments(const nrv_series_t *series)
{
    const size_t n = series->n;
    int32_t last = sample(series, 0), last_d = 0, sum = 0, sum_e = 0;
    uint64_t squares = 0, squares_d = 0, squares_e = 0;
    uint32_t sum_abs = 0, sum_abs_d = 0;
    for (size_t i = 0; i < n; i++) {
        const int32_t x = sample(series, i);
        const int32_t d = x - last; /* 0 for the first sample */
        sum += x;
        sum_abs += magnitude(x);
        squares += square(x);
        sum_abs_d += magnitude(d);
        squares_d += square(d);
        if (i >= 2) {
            const int32_t e = d - last_d;
            sum_e += e;
            squares_e += square(e);
        }
        last = x;
        last_d = d;
    }
    const uint32_t count = (uint32_t)n;
    nrv_moments_t moments = {count, sum, sum_abs, sum_abs_d, squares, spread(count, squares, sum), 0, 0};
    if (count > 1)
        moments.spread_d = spread(count - 1u, squares_d, last - sample(series, 0));
    if (count > 2)
        moments.spread_e = spread(count - 2u, squares_e, sum_e);
    return moments;
}

int32_t nrv_mean_absolute_value(const nrv_moments_t *moments)
{
    return (int32_t)nrv_divide((uint64_t)moments->sum_abs << AMPLITUDE_BITS, moments->n);
}

int32_t nrv_root_mean_square(const nrv_moments_t *moments)
{
    return (int32_t)nrv_isqrt(nrv_divide(moments->squares << (2 * AMPLITUDE_BITS), moments->n));
}

int32_t nrv_variance(const nrv_moments_t *moments)
{
    const uint64_t n = moments->n;
    return n < 2 ? 0 : (int32_t)nrv_divide(moments->spread, n * (n - 1));
}

int32_t nrv_waveform_length(const nrv_moments_t *moments)
{
    return (int32_t)moments->sum_abs_d;
}

int32_t nrv_line_length(const nrv_moments_t *moments)
{
    const uint32_t n = moments->n;
    return n < 2 ? 0 : (int32_t)nrv_divide((uint64_t)moments->sum_abs_d << AMPLITUDE_BITS, n - 1u);
}

int32_t nrv_hjorth_activity(const nrv_moments_t *moments)
{
    const uint64_t n = moments->n;
    return (int32_t)nrv_divide(moments->spread, n * n);
}

/* sqrt(numerator / denominator) * count / other, 0 for a denominator of 0. */
static nrv_scaled_t deviation_ratio(uint64_t numerator, uint64_t denominator, uint64_t count, uint64_t other)
{
    const nrv_scaled_t root = nrv_scaled_sqrt(nrv_scaled_divide(nrv_scaled(numerator), nrv_scaled(denominator)));
    return nrv_scaled_multiply(root, nrv_scaled_divide(nrv_scaled(count), nrv_scaled(other)));
}

int32_t nrv_hjorth_mobility(const nrv_moments_t *moments)
{
    const uint32_t n = moments->n;
    if (n < 2)
        return 0;
    return nrv_scaled_fixed(deviation_ratio(moments->spread_d, moments->spread, n, n - 1u), HJORTH_BITS);
}

int32_t nrv_hjorth_complexity(const nrv_moments_t *moments)
{
    const uint32_t n = moments->n;
    if (n < 3)
        return 0;
    /* The mobility of the differences by that of the samples. */
    const nrv_scaled_t of_d = deviation_ratio(moments->spread_e, moments->spread_d, n - 1u, n - 2u);
    const nrv_scaled_t of_x = deviation_ratio(moments->spread_d, moments->spread, n, n - 1u);
    return nrv_scaled_fixed(nrv_scaled_divide(of_d, of_x), HJORTH_BITS);
}

int32_t nrv_zero_crossings(const nrv_series_t *series, int32_t threshold)
{
    int32_t last = sample(series, 0), count = 0;
    for (size_t i = 1; i < series->n; i++) {
        const int32_t x = sample(series, i);
        count += x * last < 0 && magnitude(x - last) >= (uint32_t)threshold;
        last = x;
    }
    return count;
}

int32_t nrv_slope_sign_changes(const nrv_series_t *series, int32_t threshold)
{
    int32_t last = sample(series, 0), last_d = 0, count = 0;
    for (size_t i = 1; i < series->n; i++) {
        const int32_t x = sample(series, i);
        const int32_t d = x - last;
        const int turned = (d > 0 && last_d < 0) || (d < 0 && last_d > 0);
        count += turned && (magnitude(d) >= (uint32_t)threshold || magnitude(last_d) >= (uint32_t)threshold);
        last = x;
        last_d = d;
    }
    return count;
}

int32_t nrv_willison_amplitude(const nrv_series_t *series, int32_t threshold)
{
    int32_t last = sample(series, 0), count = 0;
    for (size_t i = 1; i < series->n; i++) {
        const int32_t x = sample(series, i);
        count += magnitude(x - last) >= (uint32_t)threshold;
        last = x;
    }
    return count;
}

int32_t nrv_log_detector(const nrv_series_t *series)
{
    /* The logarithm of the product, not the sum of rounded logarithms. Four factors fit 64 bits. */
    nrv_scaled_t product = nrv_scaled(1);
    uint64_t factors = 1;
    for (size_t i = 0; i < series->n; i++) {
        const int32_t x = sample(series, i);
        factors *= x == 0 ? 1u : magnitude(x);
        if ((i & 3u) == 3u) {
            product = nrv_scaled_multiply(product, nrv_scaled(factors));
            factors = 1;
        }
    }
    product = nrv_scaled_multiply(product, nrv_scaled(factors));
    const uint64_t log = (uint64_t)nrv_scaled_log2(product, LOG_BITS); /* of at least 1: not negative */
    return nrv_exp2_fixed((int64_t)nrv_divide(log, series->n), AMPLITUDE_BITS);
}
