/* Features of one channel in the time domain; formulas, formats, bounds and sources: feature_set.h. */
#ifndef NRV_FEATURES_TIME_H
#define NRV_FEATURES_TIME_H

#include <stddef.h>
#include <stdint.h>

/* x[i] is samples[i * stride]; 1 <= n <= 4096. */
typedef struct {
    const int16_t *samples;
    size_t n;
    size_t stride;
} nrv_series_t;

/* Exact sums over the samples x and their first and second differences d, e. A spread is
 * count * (sum of squares) - (sum)^2, which is count^2 times the variance. */
typedef struct {
    uint32_t n;
    int32_t sum;
    uint32_t sum_abs;   /* of x */
    uint32_t sum_abs_d; /* of d */
    uint64_t squares;   /* of x, not about the mean */
    uint64_t spread, spread_d, spread_e;
} nrv_moments_t;

nrv_moments_t nrv_moments(const nrv_series_t *series);

int32_t nrv_mean_absolute_value(const nrv_moments_t *moments);
int32_t nrv_root_mean_square(const nrv_moments_t *moments);
int32_t nrv_variance(const nrv_moments_t *moments);
int32_t nrv_waveform_length(const nrv_moments_t *moments);
int32_t nrv_line_length(const nrv_moments_t *moments);
int32_t nrv_hjorth_activity(const nrv_moments_t *moments);
int32_t nrv_hjorth_mobility(const nrv_moments_t *moments);
int32_t nrv_hjorth_complexity(const nrv_moments_t *moments);

int32_t nrv_zero_crossings(const nrv_series_t *series, int32_t threshold);
int32_t nrv_slope_sign_changes(const nrv_series_t *series, int32_t threshold);
int32_t nrv_willison_amplitude(const nrv_series_t *series, int32_t threshold);
int32_t nrv_log_detector(const nrv_series_t *series);

#endif
