#include "features_spectrum.h"

#define SINE_BITS 30
#define HALF_TURN (2 * NRV_SINE_QUARTER)
#define STAGE_BITS 29 /* a stage lets values grow by 1 + sqrt(2) at most */
#define SPLIT_BITS 28
#define POWER_SHIFT 20 /* from |2 X|^2, doubled for all bins but the first and last, to what is stored */
#define FREQUENCY_BITS 16
#define LOG_BITS 16
#define LOG_FLOOR (-16 * (1 << LOG_BITS)) /* of no power at all */

/* Angles are 2048ths of half a turn, 0..2048. */
static int32_t sine(size_t angle)
{
    return nrv_sine[angle <= NRV_SINE_QUARTER ? angle : HALF_TURN - angle];
}

static int32_t cosine(size_t angle)
{
    return angle <= NRV_SINE_QUARTER ? nrv_sine[NRV_SINE_QUARTER - angle] : -nrv_sine[angle - NRV_SINE_QUARTER];
}

static int32_t scale_down(int64_t x)
{
    return (int32_t)((x + (1 << (SINE_BITS - 1))) >> SINE_BITS);
}

/* The lowest power of two above |x|, less one, or more: for finding the widest value of many. */
static uint32_t extent(int32_t x)
{
    return (uint32_t)(x ^ (x >> 31));
}

static int width(uint32_t extents)
{
    int bits = 0;
    for (; extents; extents >>= 1)
        bits++;
    return bits;
}

/* Shifts all values so that the widest has `bits` bits; returns by how much to the right. */
static int rescale(nrv_bin_t *bins, size_t points, uint32_t extents, int bits)
{
    const int right = width(extents) - bits;
    if (right > 0) {
        const int32_t half = 1 << (right - 1);
        for (size_t i = 0; i < points; i++) {
            bins[i].z.re = (bins[i].z.re + half) >> right;
            bins[i].z.im = (bins[i].z.im + half) >> right;
        }
    } else if (right < 0) {
        const int32_t factor = 1 << -right;
        for (size_t i = 0; i < points; i++) {
            bins[i].z.re *= factor;
            bins[i].z.im *= factor;
        }
    }
    return right;
}

/* Windows x less its mean into points complex values, even samples real, odd ones imaginary, in bit-reversed
 * order; returns their extents. *raised: the values are n (x - mean) w, times 2^raised. */
static uint32_t load(const nrv_series_t *series, nrv_bin_t *bins, size_t points, int *raised)
{
    const int32_t n = (int32_t)series->n;
    int32_t sum = 0;
    for (size_t i = 0; i < series->n; i++)
        sum += series->samples[i * series->stride];
    uint32_t extents = 0;
    for (size_t i = 0; i < series->n; i++)
        extents |= extent(n * series->samples[i * series->stride] - sum);
    *raised = 30 - width(extents); /* at least 2: |n x - sum| < 2^28 */
    const int32_t factor = 1 << (extents ? *raised : 0);

    for (size_t i = 0; i < points; i++)
        bins[i] = (nrv_bin_t){{0, 0}};
    /* i / n of half a turn is angle + rest / n of its 2048ths. */
    const size_t step = HALF_TURN / series->n, step_rest = HALF_TURN % series->n;
    const int64_t reciprocal = (INT64_C(1) << 31) / n;
    size_t angle = 0, rest = 0, reversed = 0;
    extents = 0;
    for (size_t i = 0; i < series->n; i++) {
        const int32_t below = sine(angle), rise = sine(angle + 1u) - below;
        const int32_t root = below + (int32_t)((rise * ((int64_t)rest * reciprocal)) >> 31); /* of the window */
        const int32_t y = (n * series->samples[i * series->stride] - sum) * factor;
        const int32_t value = scale_down((int64_t)scale_down((int64_t)y * root) * root);
        extents |= extent(value);
        if (i & 1u) {
            bins[reversed].z.im = value;
            /* The next number in bit-reversed order: the carry runs down instead of up. */
            size_t bit = points >> 1;
            for (; reversed & bit; bit >>= 1)
                reversed ^= bit;
            reversed |= bit;
        } else {
            bins[reversed].z.re = value;
        }
        angle += step;
        rest += step_rest;
        if (rest >= series->n) {
            rest -= series->n;
            angle++;
        }
    }
    return extents;
}

/* One stage of the transform: pairs `half` apart. Returns the extents of the results. */
static uint32_t stage(nrv_bin_t *bins, size_t points, size_t half)
{
    uint32_t extents = 0;
    for (size_t j = 0; j < half; j++) {
        const int64_t c = cosine(HALF_TURN / half * j), s = sine(HALF_TURN / half * j);
        for (nrv_bin_t *a = bins + j; a < bins + points; a += 2u * half) {
            nrv_bin_t *b = a + half;
            const int32_t re = scale_down(c * b->z.re + s * b->z.im);
            const int32_t im = scale_down(c * b->z.im - s * b->z.re);
            b->z.re = a->z.re - re;
            b->z.im = a->z.im - im;
            a->z.re += re;
            a->z.im += im;
            extents |= extent(a->z.re) | extent(a->z.im) | extent(b->z.re) | extent(b->z.im);
        }
    }
    return extents;
}

static uint64_t rounded(uint64_t x, int shift)
{
    return (x + (UINT64_C(1) << (shift - 1))) >> shift;
}

static uint64_t squared(int64_t re, int64_t im)
{
    return (uint64_t)(re * re) + (uint64_t)(im * im);
}

/* From the transform Z of even + i odd samples to the powers of X:
 * 2 X[k] = E + W^k O, 2 X[points - k] = conj(E - W^k O) with E = Z[k] + conj Z[points - k],
 * O = (Z[k] - conj Z[points - k]) / i, W = exp(-i pi / points). */
static void split(nrv_bin_t *bins, size_t points)
{
    const int64_t re = bins[0].z.re, im = bins[0].z.im;
    bins[0].power = rounded(squared(re + im, 0), POWER_SHIFT - 2);
    bins[points].power = rounded(squared(re - im, 0), POWER_SHIFT - 2);
    for (size_t k = 1; k <= points / 2u; k++) {
        nrv_bin_t *low = bins + k, *high = bins + (points - k);
        const int64_t c = cosine(HALF_TURN / points * k), s = sine(HALF_TURN / points * k);
        const int32_t even_re = low->z.re + high->z.re, even_im = low->z.im - high->z.im;
        const int32_t odd_re = low->z.im + high->z.im, odd_im = high->z.re - low->z.re;
        const int32_t turned_re = scale_down(c * odd_re + s * odd_im);
        const int32_t turned_im = scale_down(c * odd_im - s * odd_re);
        low->power = rounded(squared(even_re + turned_re, even_im + turned_im), POWER_SHIFT - 1);
        if (high != low)
            high->power = rounded(squared(even_re - turned_re, even_im - turned_im), POWER_SHIFT - 1);
    }
}

nrv_spectrum_t nrv_spectrum(const nrv_series_t *series, size_t length, nrv_bin_t *bins)
{
    const size_t points = length / 2u;
    const uint64_t n = series->n;
    int raised;
    uint32_t extents = load(series, bins, points, &raised);
    if (extents == 0) {
        for (size_t k = 0; k <= points; k++)
            bins[k].power = 0;
        return (nrv_spectrum_t){bins, {0, 0}};
    }
    int lowered = -raised;
    for (size_t half = 1; half < points; half *= 2u) {
        lowered += rescale(bins, points, extents, STAGE_BITS);
        extents = stage(bins, points, half);
    }
    lowered += rescale(bins, points, extents, SPLIT_BITS);
    split(bins, points);
    /* sum(w^2) is 3 n / 8, but 1 for n = 2; the loaded values were n times too large. */
    const uint64_t eight_energies = n == 2 ? 8u : 3u * n;
    nrv_scaled_t unit = nrv_scaled_divide(nrv_scaled(1), nrv_scaled(length * n * n * eight_energies));
    unit.exponent += 3 + POWER_SHIFT - 2 + 2 * lowered;
    return (nrv_spectrum_t){bins, unit};
}

static uint64_t power_between(const nrv_spectrum_t *spectrum, size_t first, size_t last)
{
    uint64_t sum = 0;
    for (size_t k = first; k <= last; k++)
        sum += spectrum->bins[k].power;
    return sum;
}

int32_t nrv_band_power(const nrv_spectrum_t *spectrum, size_t first, size_t last)
{
    const nrv_scaled_t power = nrv_scaled(power_between(spectrum, first, last));
    return nrv_scaled_fixed(nrv_scaled_multiply(power, spectrum->unit), 0);
}

int32_t nrv_log_band_power(const nrv_spectrum_t *spectrum, size_t first, size_t last)
{
    const nrv_scaled_t power = nrv_scaled(power_between(spectrum, first, last));
    if (power.mantissa == 0)
        return LOG_FLOOR;
    const int64_t log = nrv_scaled_log2(nrv_scaled_multiply(power, spectrum->unit), LOG_BITS);
    return log < LOG_FLOOR ? LOG_FLOOR : (int32_t)log;
}

int32_t nrv_spectral_edge(const nrv_spectrum_t *spectrum, size_t first, size_t last, uint16_t share)
{
    const uint64_t total = power_between(spectrum, first, last);
    const uint64_t target = (total >> 16) * share + (((total & 0xFFFFu) * share) >> 16);
    uint64_t below = 0;
    for (size_t k = first; k <= last; k++) {
        const uint64_t power = spectrum->bins[k].power;
        if (power && below + power >= target) {
            const nrv_scaled_t part = nrv_scaled_divide(nrv_scaled(target - below), nrv_scaled(power));
            return (int32_t)k * (1 << FREQUENCY_BITS) - (1 << (FREQUENCY_BITS - 1)) +
                   nrv_scaled_fixed(part, FREQUENCY_BITS);
        }
        below += power;
    }
    return 0;
}

int32_t nrv_mean_frequency(const nrv_spectrum_t *spectrum, size_t first, size_t last)
{
    uint64_t moment = 0; /* below 2^11 * 2^52 */
    for (size_t k = first; k <= last; k++)
        moment += k * spectrum->bins[k].power;
    const nrv_scaled_t total = nrv_scaled(power_between(spectrum, first, last));
    return nrv_scaled_fixed(nrv_scaled_divide(nrv_scaled(moment), total), FREQUENCY_BITS);
}
