/* A window as a vector of features for a model: int16 samples -> features -> int8.
 *
 * Of each value v of nrv_features_run the level is t = nrv_log2(v) (log2 in Q16, 0 for v = 0) where it is a size,
 * which spans decades: MAV, RMS, VARIANCE, WAVEFORM_LENGTH, LINE_LENGTH, LOG_DETECTOR, ACTIVITY, BAND_POWER; of all
 * others t = v. Then
 *
 *     int8 = nrv_sat8(floor((t * multiplier + bias) / 2^shift))
 *
 * with half of 2^shift in the bias, so that a / 2^shift * t + b is rounded to nearest, halves upwards, once.
 * |bias| <= 2^62, so nothing overflows for any t.
 */
#ifndef NRV_FEATURE_VECTOR_H
#define NRV_FEATURE_VECTOR_H

#include "feature_set.h"

typedef struct {
    int64_t bias;       /* -2^62..2^62 */
    int32_t multiplier; /* >= 0 */
    uint8_t shift;      /* 1..62 */
} nrv_feature_scale_t;

typedef struct {
    nrv_feature_set_t set;            /* count 0: no features */
    const nrv_feature_scale_t *scale; /* [channels][values of a channel] */
    /* nrv_features_run, or nrv_features_run_time without features of the spectrum. */
    void (*run)(const nrv_feature_set_t *set, const int16_t *window, size_t samples, size_t channels,
                nrv_bin_t *scratch, int32_t *out);
} nrv_feature_vector_t;

/* Computes the vector, int8 [channels][values of a channel], of window[samples][channels]. Leaves in levels[channels]
 * [values of a channel] the t. `scratch` as for nrv_features_run. */
void nrv_feature_vector(const nrv_feature_vector_t *config, const int16_t *window, size_t samples, size_t channels,
                        nrv_bin_t *scratch, int32_t *levels, int8_t *vector);

#endif
