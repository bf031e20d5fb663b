#include "feature_set.h"

size_t nrv_feature_values(const nrv_feature_t *feature)
{
    return feature->kind == NRV_FEATURE_AUTOREGRESSION ? feature->order : 1u;
}

size_t nrv_feature_outputs(const nrv_feature_set_t *set)
{
    size_t outputs = 0;
    for (size_t i = 0; i < set->count; i++)
        outputs += nrv_feature_values(&set->features[i]);
    return outputs;
}

static int is_spectral(const nrv_feature_t *feature)
{
    return feature->kind >= NRV_FEATURE_BAND_POWER;
}

int nrv_feature_needs_spectrum(const nrv_feature_set_t *set)
{
    for (size_t i = 0; i < set->count; i++)
        if (is_spectral(&set->features[i]))
            return 1;
    return 0;
}

/* Whether any feature is of the exact sums. */
static int needs_moments(const nrv_feature_set_t *set)
{
    for (size_t i = 0; i < set->count; i++)
        switch ((nrv_feature_kind_t)set->features[i].kind) {
        case NRV_FEATURE_MAV:
        case NRV_FEATURE_RMS:
        case NRV_FEATURE_VARIANCE:
        case NRV_FEATURE_WAVEFORM_LENGTH:
        case NRV_FEATURE_LINE_LENGTH:
        case NRV_FEATURE_ACTIVITY:
        case NRV_FEATURE_MOBILITY:
        case NRV_FEATURE_COMPLEXITY: return 1;
        default: break;
        }
    return 0;
}

static void evaluate_time(const nrv_feature_t *feature, const nrv_series_t *series, const nrv_moments_t *moments,
                          int32_t *out)
{
    switch ((nrv_feature_kind_t)feature->kind) {
    case NRV_FEATURE_MAV: *out = nrv_mean_absolute_value(moments); break;
    case NRV_FEATURE_RMS: *out = nrv_root_mean_square(moments); break;
    case NRV_FEATURE_VARIANCE: *out = nrv_variance(moments); break;
    case NRV_FEATURE_WAVEFORM_LENGTH: *out = nrv_waveform_length(moments); break;
    case NRV_FEATURE_LINE_LENGTH: *out = nrv_line_length(moments); break;
    case NRV_FEATURE_ZERO_CROSSINGS: *out = nrv_zero_crossings(series, feature->threshold); break;
    case NRV_FEATURE_SLOPE_SIGN_CHANGES: *out = nrv_slope_sign_changes(series, feature->threshold); break;
    case NRV_FEATURE_WILLISON_AMPLITUDE: *out = nrv_willison_amplitude(series, feature->threshold); break;
    case NRV_FEATURE_LOG_DETECTOR: *out = nrv_log_detector(series); break;
    case NRV_FEATURE_ACTIVITY: *out = nrv_hjorth_activity(moments); break;
    case NRV_FEATURE_MOBILITY: *out = nrv_hjorth_mobility(moments); break;
    case NRV_FEATURE_COMPLEXITY: *out = nrv_hjorth_complexity(moments); break;
    case NRV_FEATURE_AUTOREGRESSION: nrv_autoregression(series, feature->order, out); break;
    default: break;
    }
}

static void evaluate_spectrum(const nrv_feature_t *feature, const nrv_spectrum_t *spectrum, int32_t *out)
{
    switch ((nrv_feature_kind_t)feature->kind) {
    case NRV_FEATURE_BAND_POWER: *out = nrv_band_power(spectrum, feature->first, feature->last); break;
    case NRV_FEATURE_LOG_BAND_POWER: *out = nrv_log_band_power(spectrum, feature->first, feature->last); break;
    case NRV_FEATURE_SPECTRAL_EDGE:
        *out = nrv_spectral_edge(spectrum, feature->first, feature->last, feature->share);
        break;
    case NRV_FEATURE_MEAN_FREQUENCY:
        *out = nrv_mean_frequency(spectrum, feature->first, feature->last);
        break;
    default: break;
    }
}

void nrv_features_run_time(const nrv_feature_set_t *set, const int16_t *window, size_t samples, size_t channels,
                           nrv_bin_t *scratch, int32_t *out)
{
    (void)scratch;
    const int summed = needs_moments(set);
    for (size_t channel = 0; channel < channels; channel++) {
        const nrv_series_t series = {window + channel, samples, channels};
        nrv_moments_t moments = {0};
        if (summed)
            moments = nrv_moments(&series);
        for (size_t i = 0; i < set->count; i++) {
            evaluate_time(&set->features[i], &series, &moments, out);
            out += nrv_feature_values(&set->features[i]);
        }
    }
}

void nrv_features_run(const nrv_feature_set_t *set, const int16_t *window, size_t samples, size_t channels,
                      nrv_bin_t *scratch, int32_t *out)
{
    nrv_features_run_time(set, window, samples, channels, scratch, out);
    if (!nrv_feature_needs_spectrum(set))
        return;
    for (size_t channel = 0; channel < channels; channel++) {
        const nrv_series_t series = {window + channel, samples, channels};
        const nrv_spectrum_t spectrum = nrv_spectrum(&series, set->length, scratch);
        for (size_t i = 0; i < set->count; i++) {
            if (is_spectral(&set->features[i]))
                evaluate_spectrum(&set->features[i], &spectrum, out);
            out += nrv_feature_values(&set->features[i]);
        }
    }
}
